package gateway_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"kith/actors/user"
)

func TestSearchFindsUsernamesThenNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "anna")
	for username, name := range map[string]string{"annabel": "Zoe", "zed": "Anna Bell", "ann_x": "Q", "other": "Not her", "quentin": "Hannah"} {
		w.join(t, username)
		w.do(t, username, user.UpdateProfile{Name: &name, At: w.clock()})
	}
	found := func(path string) string {
		var names []string
		got := w.get(t, token, path).is(t, 200)
		for _, m := range regexp.MustCompile(`"username":"(\w+)"`).FindAllStringSubmatch(got.Body.String(), -1) {
			names = append(names, m[1])
		}
		if got.body["count"] != float64(len(names)) {
			t.Errorf("%s: count %v of %d", path, got.body["count"], len(names))
		}
		return strings.Join(names, " ")
	}
	for q, want := range map[string]string{
		"anna": "anna annabel zed", "ANN": "ann_x anna annabel zed", "bell": "zed", "%20zo%20": "annabel", "h": "other quentin", "nobody": "", "%F0%9F%98%80": "", "anna%20bell": "",
	} {
		if got := found("/users/search?q=" + q); got != want {
			t.Errorf("%s: %q, want %q", q, got, want)
		}
	}
	w.do(t, "annabel", user.Delete{At: w.clock()})
	if got := found("/users/search?q=anna"); got != "anna zed" {
		t.Errorf("after a deletion: %q", got)
	}
	if got := w.get(t, token, "/users/search?q=nobody").is(t, 200); got.Body.String() != `{"status":"success","users":[],"count":0,"next_cursor":null}`+"\n" {
		t.Error(got.Body)
	}
}

func TestSearchIsPaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "zed")
	other := w.join(t, "yan")
	for i := range 7 {
		name := fmt.Sprintf("fan%d", i)
		w.join(t, name)
		if i > 3 {
			w.do(t, name, user.UpdateProfile{Name: new("fan"), At: w.clock()})
		}
		w.join(t, fmt.Sprintf("x%02d", i))
		w.do(t, fmt.Sprintf("x%02d", i), user.UpdateProfile{Name: new("the fan"), At: w.clock()})
	}
	seen := map[string]int{}
	var first string
	for path := "/users/search?q=fan&limit=3"; path != ""; {
		got := w.get(t, token, path).is(t, 200)
		for _, m := range regexp.MustCompile(`"username":"(\w+)"`).FindAllStringSubmatch(got.Body.String(), -1) {
			seen[m[1]]++
		}
		path = ""
		if next, _ := got.body["next_cursor"].(string); next != "" {
			if first == "" {
				first = next
			}
			path = "/users/search?q=fan&limit=3&cursor=" + next
			if link := got.Header().Get("Link"); !strings.Contains(link, "q=fan") || !strings.Contains(link, "cursor="+next) {
				t.Errorf("link %q", link)
			}
		}
	}
	if len(seen) != 14 {
		t.Errorf("%d of 14 were shown", len(seen))
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s was shown %d times", name, n)
		}
	}
	for _, c := range []struct{ token, q string }{{token, "x"}, {other, "fan"}} {
		w.get(t, c.token, "/users/search?q="+c.q+"&cursor="+first).refused(t, 400, "invalid_cursor", "Invalid cursor")
	}
	w.get(t, token, "/users/search?q=FAN&cursor="+first).is(t, 200) // the same question
}

func TestQuestionsThatAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for _, query := range []string{"", "?q=", "?q=%20%09", "?q=%C2%A0"} {
		w.get(t, token, "/users/search"+query).refused(t, 400, "q_required", "Query is required")
	}
	for _, query := range []string{"?q=%FF", "?q=" + strings.Repeat("a", 257), "?q=a&q=b"} {
		w.get(t, token, "/users/search"+query).refused(t, 400, "invalid_q", "Query must be text of at most 256 characters")
	}
	w.get(t, token, "/users/search?q=a&limit=0").refused(t, 400, "invalid_limit", "Limit must be from 1 to 100")
	w.get(t, token, "/users/search?q=%zz").refused(t, 400, "invalid_query", "Invalid query string")
	w.get(t, "", "/users/search?q=a").is(t, 401)
	tag := w.get(t, token, "/users/search?q=ali").is(t, 200).Header().Get("ETag")
	if got := w.call(t, call{method: http.MethodGet, path: "/users/search?q=ali", token: token, header: []string{"If-None-Match", tag}}); got.Code != 304 {
		t.Error(got.Code)
	}
}
