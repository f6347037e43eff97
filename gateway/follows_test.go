package gateway_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kith/actors/user"
	"kith/gateway"
)

func TestFollowTwiceIsSatisfied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	follow := call{method: http.MethodPut, path: "/users/self/following/Bob", token: token}
	got := w.call(t, follow).is(t, 201)
	if !strings.HasPrefix(got.Body.String(), `{"status":"success","following":true,"user":{"id":2,`) || len(got.body) != 3 {
		t.Error(got.Body)
	}
	w.call(t, follow).is(t, 200)
	w.settle()
	if got := w.get(t, token, "/users/bob").is(t, 200); got.body["following"] != true || got.user("followers") != 1.0 {
		t.Error(got.Body)
	}
	unfollow := call{method: http.MethodDelete, path: "/users/self/following/bob", token: token}
	for range 2 {
		if got := w.call(t, unfollow).is(t, 200); got.Body.String() != `{"status":"success","following":false}`+"\n" {
			t.Error(got.Body)
		}
	}
	w.settle()
	if got := w.get(t, token, "/users/bob").is(t, 200); got.body["following"] != false || got.user("followers") != 0.0 {
		t.Error(got.Body)
	}
	for _, self := range []string{"self", "alice", "Alice"} {
		w.call(t, call{method: http.MethodPut, path: "/users/self/following/" + self, token: token}).refused(t, 422, "self_follow", "You cannot follow yourself")
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		w.call(t, call{method: method, path: "/users/self/following/nobody", token: token}).refused(t, 404, "user_not_found", "User not found")
	}
}

func TestListsHaveTheShapeOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	if got := w.get(t, token, "/users/alice/followers").is(t, 200); got.Body.String() != `{"status":"success","users":[],"count":0,"next_cursor":null}`+"\n" || got.Header().Get("Link") != "" {
		t.Error(got.Body, got.Header())
	}
	w.follow(t, "bob", "alice")
	got := w.get(t, token, "/users/self/followers").is(t, 200)
	if !regexp.MustCompile(`^\{"status":"success","users":\[\{"id":2,.*"username":"bob".*\}\],"count":1,"next_cursor":null\}\n$`).MatchString(got.Body.String()) {
		t.Error(got.Body)
	}
	if got := w.get(t, token, "/users/bob/following").is(t, 200); got.body["count"] != 1.0 {
		t.Error(got.Body)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "star")
	for i := range 101 {
		name := fmt.Sprintf("fan%d", i)
		w.join(t, name)
		w.follow(t, name, "star")
	}
	for query, count := range map[string]float64{"": 20, "?limit=1": 1, "?limit=100": 100, "?other=1": 20} {
		if got := w.get(t, token, "/users/star/followers"+query).is(t, 200); got.body["count"] != count || strings.Count(got.Body.String(), `"uid"`) != int(count) {
			t.Errorf("%s: count %v", query, got.body["count"])
		}
	}
	for _, limit := range []string{"0", "101", "-1", "", "x", "1.5", "1e1", "+5", "05", "%205", "99999999999999999999", "1&limit=2", "%00"} {
		w.get(t, token, "/users/star/followers?limit="+limit).refused(t, 400, "invalid_limit", "Limit must be from 1 to 100")
	}
	w.get(t, token, "/users/star/followers?limit=%zz").refused(t, 400, "invalid_query", "Invalid query string")
}

// Paging while rows come and go shows every row that stayed exactly once.
func TestPagingShowsWhatStayedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "star")
	var stayed []string
	for i := range 23 {
		name := fmt.Sprintf("fan%02d", i)
		w.join(t, name)
		w.follow(t, name, "star")
		if i%5 != 0 {
			stayed = append(stayed, name)
		}
	}
	var seen []string
	path := "/users/star/followers?limit=4&x=a%26b"
	for page := 0; path != ""; page++ {
		got := w.get(t, token, path).is(t, 200)
		for _, u := range regexp.MustCompile(`"username":"(\w+)"`).FindAllStringSubmatch(got.Body.String(), -1) {
			seen = append(seen, u[1])
		}
		link := got.Header().Get("Link")
		next, _ := got.body["next_cursor"].(string)
		if (next == "") != (link == "") {
			t.Fatalf("cursor %q, link %q", next, link)
		}
		path = ""
		if next != "" {
			path = link[1:strings.Index(link, ">")]
			if !strings.HasPrefix(path, "/users/star/followers?") || !strings.Contains(path, "limit=4") || !strings.Contains(path, "x=a%26b") ||
				!strings.Contains(path, "cursor="+next) || !strings.HasSuffix(link, `>; rel="next"`) {
				t.Fatalf("link %q", link)
			}
		}
		// One comes in front, one goes: unfollowed, or deleted.
		late := fmt.Sprintf("late%02d", page)
		w.join(t, late)
		w.follow(t, late, "star")
		switch gone := fmt.Sprintf("fan%02d", page*5); {
		case page > 4:
		case page%2 == 0:
			w.do(t, gone, user.Unfollow{Target: 1, At: w.clock()})
		default:
			w.do(t, gone, user.Delete{At: w.clock()})
		}
		w.settle()
	}
	for _, name := range stayed {
		if n := len(slices.DeleteFunc(slices.Clone(seen), func(s string) bool { return s != name })); n != 1 {
			t.Errorf("%s was shown %d times", name, n)
		}
	}
}

func TestCursorsAreBoundToTheirList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	for i := range 3 {
		name := fmt.Sprintf("fan%d", i)
		w.join(t, name)
		w.follow(t, name, "alice")
		w.follow(t, name, "bob")
	}
	cursor, _ := w.get(t, token, "/users/alice/followers?limit=1").is(t, 200).body["next_cursor"].(string)
	w.get(t, token, "/users/alice/followers?cursor="+cursor).is(t, 200)
	w.get(t, token, "/users/self/followers?cursor="+cursor).is(t, 200)
	bad := []string{"/users/alice/following?cursor=" + cursor, "/users/bob/followers?cursor=" + cursor}
	for i := range cursor {
		for _, c := range "A_-b" {
			if byte(c) != cursor[i] {
				bad = append(bad, "/users/alice/followers?cursor="+cursor[:i]+string(c)+cursor[i+1:])
			}
		}
	}
	for _, s := range []string{"", "x", cursor + "A", cursor + "=", cursor + "%0A", cursor[:len(cursor)-1], cursor[4:], token, strings.Repeat("A", 600), cursor + "&cursor=" + cursor} {
		bad = append(bad, "/users/alice/followers?cursor="+s)
	}
	for _, path := range bad {
		w.get(t, token, path).refused(t, 400, "invalid_cursor", "Invalid cursor")
	}
	foreign := gateway.SealSeq([]byte(strings.Repeat("k", 32)), "followers", 1, 3)
	w.get(t, token, "/users/alice/followers?cursor="+foreign).refused(t, 400, "invalid_cursor", "Invalid cursor")
}

func FuzzCursor(f *testing.F) {
	valid := gateway.SealSeq([]byte(secret), "followers", 9, 7)
	f.Add(valid)
	f.Add("")
	f.Add(valid[:10])
	f.Add("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		got, err := gateway.OpenSeq([]byte(secret), "followers", 9, cursor)
		switch {
		case cursor == "":
			if err != nil || got != 0 {
				t.Errorf("the start is %v, %v", got, err)
			}
		case err == nil && gateway.SealSeq([]byte(secret), "followers", 9, got) != cursor:
			t.Errorf("%q opens, and was never sealed", cursor)
		case err != nil && cursor == valid:
			t.Error(err)
		}
	})
}

func TestListsOfPrivateProfiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob, carol := w.join(t, "alice"), w.join(t, "bob"), w.join(t, "carol")
	w.follow(t, "alice", "bob") // alice follows bob, carol follows alice
	w.follow(t, "carol", "alice")
	hidden := false
	w.do(t, "alice", user.SetPrivacy{Profile: &hidden, At: w.clock()})
	for _, active := range []bool{false, true} {
		w.views[1] = active
		for _, path := range []string{"/users/alice/followers", "/users/alice/following"} {
			w.get(t, alice, path).is(t, 200)
			w.get(t, bob, path).is(t, 200)
			w.get(t, carol, path).refused(t, 403, "profile_private", "This profile is private")
		}
		w.get(t, carol, "/users/alice").is(t, 200) // the user object stays visible
	}
	w.get(t, carol, "/users/alice/followers?cursor=x").refused(t, 403, "profile_private", "This profile is private")
}
