package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"kith/actors/user"
)

func TestCrewMembersAndStudiosAreFollowed(t *testing.T) {
	t.Parallel()
	for list, field := range map[string]string{"crew-members": "crew_members", "studios": "studios"} {
		w := newWorld(t)
		token := w.join(t, "alice")
		bob := w.join(t, "bob")
		path := "/users/self/followed/" + list + "/"
		put := call{method: http.MethodPut, path: path + "287", token: token}
		if got := w.call(t, put).is(t, 201); got.Body.String() != `{"status":"success","followed":true}`+"\n" {
			t.Error(got.Body)
		}
		w.call(t, put).is(t, 200)
		w.pass(time.Second)
		w.call(t, call{method: http.MethodPut, path: path + "9223372036854775807", token: token}).is(t, 201)
		const rows = `[{"id":9223372036854775807,"followed_at":"2024-01-15T10:30:01Z"},{"id":287,"followed_at":"2024-01-15T10:30:00Z"}]`
		for _, who := range []string{"alice", "self"} {
			if got := w.get(t, token, "/users/"+who+"/followed/"+list).is(t, 200); got.Body.String() != `{"status":"success","`+field+`":`+rows+`,"count":2,"next_cursor":null}`+"\n" {
				t.Error(got.Body)
			}
		}
		first := w.get(t, bob, "/users/alice/followed/"+list+"?limit=1").is(t, 200)
		next, _ := first.body["next_cursor"].(string)
		if next == "" || !strings.Contains(first.Header().Get("Link"), next) || first.body["count"] != 1.0 {
			t.Error(first.Body, first.Header())
		}
		second := w.get(t, bob, "/users/alice/followed/"+list+"?limit=1&cursor="+next).is(t, 200)
		if !strings.Contains(second.Body.String(), `[{"id":287,`) || second.body["next_cursor"] != nil {
			t.Error(second.Body)
		}
		for _, other := range []string{"/users/bob/followed/" + list, "/users/alice/followers", "/users/alice/followed/" + map[string]string{"studios": "crew-members", "crew-members": "studios"}[list]} {
			w.get(t, bob, other+"?cursor="+next).refused(t, 400, "invalid_cursor", "Invalid cursor")
		}
		tag := first.Header().Get("ETag")
		if got := w.call(t, call{method: http.MethodGet, path: "/users/alice/followed/" + list + "?limit=1", token: bob, header: []string{"If-None-Match", tag}}); got.Code != 304 {
			t.Errorf("answered %d", got.Code)
		}
		del := call{method: http.MethodDelete, path: path + "287", token: token}
		for range 2 {
			if got := w.call(t, del).is(t, 200); got.Body.String() != `{"status":"success","followed":false}`+"\n" {
				t.Error(got.Body)
			}
		}
		if got := w.get(t, token, "/users/self/followed/"+list).is(t, 200); got.body["count"] != 1.0 {
			t.Error(got.Body)
		}
		what := map[string]string{"studios": "Studio", "crew-members": "Crew member"}[list]
		for _, id := range []string{"0", "-1", "x", "1.0", "+1", "01", "9223372036854775808", "%20", "1%2F2"} {
			for _, method := range []string{http.MethodPut, http.MethodDelete} {
				w.call(t, call{method: method, path: path + id, token: token}).refused(t, 400, "invalid_id", what+" id must be a positive 64-bit integer")
			}
		}
		w.get(t, token, "/users/nobody/followed/"+list).refused(t, 404, "user_not_found", "User not found")
		w.call(t, call{method: http.MethodPut, path: path + "1"}).is(t, 401)
		w.call(t, call{method: http.MethodGet, path: path + "1", token: token}).refused(t, 405, "method_not_allowed", "Method not allowed")
		w.do(t, "alice", user.Delete{At: w.clock()})
		w.call(t, put).refused(t, 404, "user_not_found", "User not found")
	}
}

func TestNoMoreThanTenThousandAreFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for i := range int64(user.MaxFollowed) {
		w.states[1].Crew.Add(i + 1)
		w.states[1].Studios.Add(i + 1)
	}
	for _, list := range []string{"crew-members", "studios"} {
		path := "/users/self/followed/" + list + "/"
		w.call(t, call{method: http.MethodPut, path: path + "10000", token: token}).is(t, 200)
		w.call(t, call{method: http.MethodPut, path: path + "10001", token: token}).refused(t, 422, "too_many_followed", "You cannot follow more than 10000")
	}
}

func TestRelationships(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	w.join(t, "carol")
	w.join(t, "dave")
	w.follow(t, "alice", "bob")
	w.follow(t, "bob", "alice")
	w.follow(t, "carol", "alice")
	got := w.get(t, token, "/users/relationships?username=carol&username=nobody&username=%20BOB&username=self&username=not-a-name&username=dave&username=alice&username=bob").is(t, 200)
	const want = `{"status":"success","relationships":[{"username":"carol","following":false,"followed_by":true},{"username":"bob","following":true,"followed_by":true},` +
		`{"username":"dave","following":false,"followed_by":false},{"username":"alice","following":false,"followed_by":false},{"username":"bob","following":true,"followed_by":true}]}`
	if strings.TrimSpace(got.Body.String()) != want {
		t.Errorf("got  %s\nwant %s", got.Body, want)
	}
	tag := got.Header().Get("ETag")
	if w.relations.Load() != 1 || tag == "" {
		t.Errorf("%d queries, tag %s", w.relations.Load(), tag)
	}
	if got := w.get(t, token, "/users/relationships?username=nobody").is(t, 200); got.Body.String() != `{"status":"success","relationships":[]}`+"\n" {
		t.Error(got.Body)
	}
	w.get(t, token, "/users/relationships").refused(t, 400, "username_required", "Username is required")
	many := strings.Repeat("username=bob&", 100)
	if got := w.get(t, token, "/users/relationships?"+many).is(t, 200); strings.Count(got.Body.String(), `"bob"`) != 100 {
		t.Error(got.Body)
	}
	w.get(t, token, "/users/relationships?"+many+"username=bob").refused(t, 400, "too_many_usernames", "At most 100 usernames are allowed")
	w.get(t, token, "/users/relationships?username=%zz").refused(t, 400, "invalid_query", "Invalid query string")
	w.get(t, "", "/users/relationships?username=bob").is(t, 401)
	w.do(t, "bob", user.Delete{At: w.clock()})
	if got := w.get(t, token, "/users/relationships?username=bob&username=dave").is(t, 200); strings.Contains(got.Body.String(), "bob") {
		t.Error(got.Body)
	}
	// The cache is away: each name is looked for.
	w.failCards = fmt.Errorf("away")
	if got := w.get(t, token, "/users/relationships?username=carol&username=bob").is(t, 200); !strings.Contains(got.Body.String(), "carol") || strings.Contains(got.Body.String(), "bob") {
		t.Error(got.Body)
	}
}
