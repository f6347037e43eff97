package gateway_test

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"kith/actors/user"
	"kith/gateway"
)

func TestTheListOfUsersHasTheShapeOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "johndoe")
	w.join(t, "janedoe")
	got := w.get(t, token, "/users/list?limit=10&offset=1").is(t, 200)
	const want = `{"status":"success","users":[{"id":2,"uid":"00000000000000000000000000000002","username":"janedoe",` +
		`"name":"Name of janedoe","role":"user","profile_picture":"","followers":0,"following":0,"total_streams":0,"total_videos":0,` +
		`"created_at":"2024-01-15T10:30:00Z","updated_at":"2024-01-15T10:30:00Z"}],` +
		`"limit":10,"offset":1,"count":1,"seed":"hifi_users_shuffle_2024"}` + "\n"
	if got.Body.String() != want {
		t.Errorf("got  %s\nwant %s", got.Body, want)
	}
	got = w.get(t, token, "/users/list?offset=5&seed=a%22%C3%A9").is(t, 200)
	if got.Body.String() != `{"status":"success","users":[],"limit":20,"offset":5,"count":0,"seed":"a\"é"}`+"\n" {
		t.Error(got.Body)
	}
}

func TestTheSeedChoosesTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "u001")
	for i := 2; i <= 130; i++ {
		w.join(t, fmt.Sprintf("u%03d", i))
	}
	usernames := func(query string) string {
		var names []string
		for _, m := range regexp.MustCompile(`"username":"(\w+)"`).FindAllStringSubmatch(w.get(t, token, "/users/list"+query).is(t, 200).Body.String(), -1) {
			names = append(names, m[1])
		}
		return strings.Join(names, " ")
	}
	for query, want := range map[string]string{
		"?limit=2": "u001 u002", "?limit=2&offset=3": "u004 u005", "?limit=2&offset=3&seed=x": "u127 u126", "?limit=2&seed=": "u001 u002", "?offset=128": "u129 u130",
	} {
		if got := usernames(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for query, count := range map[string]float64{"": 20, "?limit=100": 100, "?limit=1": 1} {
		if got := w.get(t, token, "/users/list"+query).is(t, 200); got.body["count"] != count || got.body["limit"] != count {
			t.Errorf("%s: %v of %v", query, got.body["count"], got.body["limit"])
		}
	}
}

func TestInvalidLimitsAndOffsetsAreIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for _, value := range []string{"0", "101", "-1", "", "x", "1.5", "+5", "05", "%205", "99999999999999999999", "7&limit=7", "%zz", "%00"} {
		if got := w.get(t, token, "/users/list?limit="+value).is(t, 200); got.body["limit"] != 20.0 {
			t.Errorf("limit %s: %v", value, got.body["limit"])
		}
	}
	for _, value := range []string{"-1", "", "x", "1.5", "99999999999999999999", "7&offset=7", "%zz"} {
		if got := w.get(t, token, "/users/list?offset="+value).is(t, 200); got.body["offset"] != 0.0 {
			t.Errorf("offset %s: %v", value, got.body["offset"])
		}
	}
	w.get(t, token, "/users/list?offset=9223372036854775807").is(t, 200)
	w.get(t, token, "/users/list?seed="+strings.Repeat("%C3%A9", 128)).is(t, 200)
	for _, seed := range []string{strings.Repeat("a", 129), "%FF", "a%00", "a&seed=b"} {
		w.get(t, token, "/users/list?seed="+seed).refused(t, 400, "invalid_seed", "Seed must be text of at most 128 characters")
	}
}

func TestTheListOfUsersIsConditional(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	tags := map[string]string{}
	for _, query := range []string{"", "?seed=x", "?limit=1", "?limit=2", "?offset=1"} {
		tag := w.get(t, token, "/users/list"+query).is(t, 200).Header().Get("ETag")
		if other, seen := tags[tag]; tag == "" || seen {
			t.Errorf("%s and %s have the tag %s", query, other, tag)
		}
		tags[tag] = query
		if got := w.call(t, call{method: http.MethodGet, path: "/users/list" + query, token: token, header: []string{"If-None-Match", tag}}); got.Code != 304 || got.Body.Len() > 0 {
			t.Errorf("%s: %d", query, got.Code)
		}
	}
	// A shuffle that lags shows nobody who is gone.
	w.do(t, "bob", user.Delete{At: w.clock()})
	w.stale = true
	if got := w.get(t, token, "/users/list").is(t, 200); got.body["count"] != 1.0 || strings.Contains(got.Body.String(), "bob") {
		t.Error(got.Body)
	}
	w.get(t, "", "/users/list").is(t, 401)
	w.failStores, w.failCards = errors.New("away"), errors.New("away")
	w.get(t, token, "/users/list").is(t, 500)
}

// A page without its cards in the cache is one query for all of them.
func TestThePageOfAListIsOneLookup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	w.get(t, token, "/users/list").is(t, 200)
	w.queries.Store(0)
	w.get(t, token, "/users/list").is(t, 200)
	if n := w.queries.Load(); n != 0 {
		t.Errorf("%d queries for cached cards", n)
	}
}

func FuzzRoster(f *testing.F) {
	for _, seed := range []string{"", "limit=1&offset=2&seed=x", "limit=%zz", "seed=%ff", "limit=1;offset=2", "offset=-0", "limit=100&limit=100", "seed=" + strings.Repeat("a", 129)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		limit, offset, seed, err := gateway.ParseRoster(raw)
		if err != nil {
			return
		}
		if limit < 1 || limit > 100 || offset < 0 || seed == "" || len([]rune(seed)) > 128 {
			t.Errorf("%q: limit %d, offset %d, seed %q", raw, limit, offset, seed)
		}
	})
}
