package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kith/actors/user"
	"kith/gateway"
	"kith/gateway/auth"
)

func TestLookupHasTheShapeOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "johndoe")
	w.join(t, "janedoe")
	got := w.get(t, token, "/users/janedoe").is(t, 200)
	const want = `{"status":"success","user":{"id":2,"uid":"00000000000000000000000000000002","username":"janedoe",` +
		`"name":"Name of janedoe","role":"user","profile_picture":"","followers":0,"following":0,"total_streams":0,"total_videos":0,` +
		`"created_at":"2024-01-15T10:30:00Z","updated_at":"2024-01-15T10:30:00Z"},"following":false}` + "\n"
	if got.Body.String() != want {
		t.Errorf("got  %s\nwant %s", got.Body, want)
	}
	if got.Header().Get("Content-Type") != "application/json" {
		t.Error(got.Header())
	}
}

func TestLookupSaysWhetherTheCallerFollows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.join(t, "alice"), w.join(t, "bob")
	w.follow(t, "alice", "bob")
	for _, active := range []bool{false, true} {
		w.views[1], w.views[2] = active, active
		if got := w.get(t, alice, "/users/bob").is(t, 200); got.body["following"] != true {
			t.Errorf("active %v: %s", active, got.Body)
		}
		if got := w.get(t, bob, "/users/alice").is(t, 200); got.body["following"] != false {
			t.Errorf("active %v: %s", active, got.Body)
		}
		if got := w.get(t, alice, "/users/alice").is(t, 200); got.body["following"] != false {
			t.Errorf("active %v: %s", active, got.Body)
		}
	}
	if n := w.relations.Load(); n != 2 {
		t.Errorf("%d queries for relations, want one for each caller without a view", n)
	}
	if !slices.Equal(w.warmed, []user.ID{1, 2}) {
		t.Errorf("warmed %v", w.warmed)
	}
}

func TestUsernamesOfPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob_99")
	for path, username := range map[string]string{
		"/users/bob_99": "bob_99", "/users/BOB_99": "bob_99", "/users/%20Bob_99%20": "bob_99", "/users/b%6Fb_99": "bob_99",
		"/users/Self": "alice", "/users/%73elf": "alice", "/users/alice": "alice",
	} {
		got := w.get(t, token, path).is(t, 200)
		if got.user("username") != username {
			t.Errorf("%s: %s", path, got.Body)
		}
	}
	for _, path := range []string{
		"/users/nobody", "/users/ab", "/users/admin", "/users/bob-99", "/users/bob%2F99", "/users/bob%00", "/users/%FF%FE", "/users/%F0%9F%98%80abc",
		"/users/" + strings.Repeat("a", 31), "/users/%E2%84%AAith", "/users/" + strings.Repeat("a", 5000), "/users/..%2Fself",
	} {
		w.get(t, token, path).refused(t, 404, "user_not_found", "User not found")
		w.get(t, token, path+"/followers").refused(t, 404, "user_not_found", "User not found")
		w.call(t, call{method: http.MethodPut, path: strings.Replace(path, "/users/", "/users/self/following/", 1), token: token}).refused(t, 404, "user_not_found", "User not found")
	}
	for _, blank := range []string{"", "%20", "%20%20", "%09", "%C2%A0"} {
		for _, c := range []call{
			{method: http.MethodGet, path: "/users/" + blank},
			{method: http.MethodHead, path: "/users/" + blank},
			{method: http.MethodDelete, path: "/users/" + blank},
			{method: http.MethodGet, path: "/users/" + blank + "/followers"},
			{method: http.MethodGet, path: "/users/" + blank + "/following"},
			{method: http.MethodPut, path: "/users/self/following/" + blank},
			{method: http.MethodDelete, path: "/users/self/following/" + blank},
		} {
			w.call(t, c).refused(t, 401, "unauthorized", "Missing or invalid authentication token")
			c.token = token
			w.call(t, c).refused(t, 400, "username_required", "Username is required")
		}
	}
}

func TestSelfIsDeprecated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	got := w.get(t, token, "/users/self").is(t, 200)
	if !strings.HasPrefix(got.Body.String(), `{"status":"success","user":{"id":1,`) || got.body["following"] != nil || len(got.body) != 2 {
		t.Error(got.Body)
	}
	if got.Header().Get("Deprecation") == "" || got.Header().Get("Link") != `</users/alice>; rel="successor-version"` {
		t.Error(got.Header())
	}
}

func TestETags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	w.follow(t, "bob", "alice")
	for _, path := range []string{"/users/bob", "/users/self", "/users/alice/followers", "/users/bob/following"} {
		tag := w.get(t, token, path).is(t, 200).Header().Get("ETag")
		if len(tag) < 4 || tag[0] != '"' {
			t.Fatalf("%s: ETag %q", path, tag)
		}
		for _, match := range []string{tag, "*", `"x", ` + tag, "W/" + tag} {
			got := w.call(t, call{method: http.MethodGet, path: path, token: token, header: []string{"If-None-Match", match}})
			if got.Code != 304 || got.Body.Len() != 0 || got.Header().Get("ETag") != tag {
				t.Errorf("%s with %s: %d %s", path, match, got.Code, got.Body)
			}
		}
		w.call(t, call{method: http.MethodGet, path: path, token: token, header: []string{"If-None-Match", `"other"`}}).is(t, 200)
	}

	// What an answer shows changes its tag: the card, and the relation.
	before := w.get(t, token, "/users/bob").Header().Get("ETag")
	w.call(t, call{method: http.MethodPut, path: "/users/self/following/bob", token: token}).is(t, 201)
	following := w.get(t, token, "/users/bob").Header().Get("ETag")
	w.settle()
	counted := w.get(t, token, "/users/bob").Header().Get("ETag")
	if before == following || following == counted {
		t.Errorf("tags %s, %s, %s", before, following, counted)
	}
	// A refusal comes before the condition.
	w.call(t, call{method: http.MethodGet, path: "/users/nobody", token: token, header: []string{"If-None-Match", "*"}}).is(t, 404)
	w.call(t, call{method: http.MethodGet, path: "/users/bob", header: []string{"If-None-Match", "*"}}).is(t, 401)
}

func TestIfNoneMatch(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"": false, `"a"`: true, `W/"a"`: true, `"b","a"`: true, ` "b" , W/"a"`: true, "*": true, " * ": true,
		`"b"`: false, `a`: false, `"a`: false, `"ab"`: false, `garbage,"a"`: false, `"b,"a"`: false, ",,": false, `W/`: false,
	} {
		if got := gateway.Unchanged([]string{header}, `"a"`); got != want {
			t.Errorf("If-None-Match: %s: %v", header, got)
		}
	}
}

func TestUpdateChangesWhatIsGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	w.do(t, "bob", user.UpdateProfile{Email: new("bob@example.com"), At: w.clock()})
	w.pass(time.Minute)
	put := func(body string) reply {
		return w.call(t, call{method: http.MethodPut, path: "/users/self", token: token, body: body})
	}
	is := func(got reply, field string, want any) {
		t.Helper()
		if v := got.is(t, 200).user(field); v != want {
			t.Errorf("%s is %v, want %v", field, v, want)
		}
	}
	for _, nothing := range []string{`{}`, `{"username":"mallory","id":7,"unknown":[{}]}`, `{"name":null,"role":null,"bio":null,"email":null,"profile_picture":null}`, `{"NAME":"x"}`} {
		is(put(nothing), "updated_at", "2024-01-15T10:30:00Z")
	}
	if w.commands != 1 {
		t.Errorf("%d commands for updates of nothing", w.commands-1)
	}
	is(put(`{"name":"  New \u00e9 Name "}`), "name", "New é Name")
	is(put(`{"name":"Newer"}`), "username", "alice")
	is(put(`{"role":"creator"}`), "role", "creator")
	is(put(`{"profile_picture":"https://example.com/a.jpg"}`), "profile_picture", "https://example.com/a.jpg")
	w.photos["ProfileProto/users/00000000000000000000000000000001.jpg"] = photo{bytes: []byte(jpegBytes)}
	is(put(`{"profile_picture":"ProfileProto/users/00000000000000000000000000000001.jpg"}`), "name", "Newer")
	is(put(`{"profile_picture":""}`), "profile_picture", "")
	got := put(`{"bio":"two\nlines\tand a tab","email":" Alice@Example.com "}`)
	is(got, "updated_at", got.user("updated_at"))
	if s := w.states[1]; s.Bio != "two\nlines\tand a tab" || s.Email != "Alice@Example.com" {
		t.Errorf("stored %q %q", s.Bio, s.Email)
	}
	if strings.Contains(got.Body.String(), "xample") {
		t.Error("the user object shows the address")
	}
	is(w.get(t, token, "/users/self"), "name", "Newer") // read your own writes
	is(put(`{"email":""}`), "name", "Newer")
	if w.states[1].Email != "" {
		t.Error("the address is still there")
	}
	put(`{"email":"BOB@example.com"}`).refused(t, 409, "email_taken", "Email already in use")
	for body, field := range map[string]string{
		`{"name":"  "}`: "name", `{"name":"` + strings.Repeat("x", 30) + `"}`: "name", `{"role":"admin"}`: "role", `{"role":""}`: "role",
		`{"profile_picture":"ftp://x/y"}`: "profile_picture", `{"profile_picture":"ProfileProto/users/00000000000000000000000000000002.jpg"}`: "profile_picture",
		`{"email":"no address"}`: "email", `{"bio":"` + strings.Repeat("x", 501) + `"}`: "bio",
	} {
		if got := put(body).is(t, 400); got.body["code"] != "invalid_"+field || got.body["field"] != field {
			t.Errorf("%s: %s", body, got.Body)
		}
	}
}

func TestOnlyOnesOwnAccountCanBeDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.join(t, "alice"), w.join(t, "bob")
	del := func(token, username string) reply {
		return w.call(t, call{method: http.MethodDelete, path: "/users/" + username, token: token})
	}
	for _, other := range []string{"bob", "nobody", "a", "not-a-name", "%00"} {
		del(alice, other).refused(t, 403, "not_own_account", "You can only delete your own account")
	}
	if got := del(alice, "ALICE").is(t, 200); got.Body.String() != `{"status":"success","message":"User deleted successfully"}`+"\n" {
		t.Error(got.Body)
	}
	w.get(t, bob, "/users/alice").refused(t, 404, "user_not_found", "User not found")
	del(bob, "self").is(t, 200)
}

// A valid token of a user who is gone: 404 on routes about the caller, 401 on all
// others, whatever the cache remembers.
func TestTokensOfUsersWhoAreGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.join(t, "alice")
	w.join(t, "bob")
	w.get(t, alice, "/users/bob").is(t, 200) // the token is known
	w.do(t, "alice", user.Delete{At: w.clock()})
	never := w.token(t, user.UID{0xff})
	for _, token := range []string{alice, never, alice} {
		for _, c := range []call{
			{method: http.MethodGet, path: "/users/self"},
			{method: http.MethodPut, path: "/users/self", body: `{"name":"x"}`},
			{method: http.MethodDelete, path: "/users/self"},
			{method: http.MethodDelete, path: "/users/alice"},
			{method: http.MethodDelete, path: "/users/"},
			{method: http.MethodPut, path: "/users/self/following/"},
			{method: http.MethodGet, path: "/users/self/followers"},
			{method: http.MethodGet, path: "/users/SELF/following"},
			{method: http.MethodPut, path: "/users/self/following/bob"},
			{method: http.MethodDelete, path: "/users/self/following/bob"},
		} {
			c.token = token
			w.call(t, c).refused(t, 404, "user_not_found", "User not found")
		}
		for _, path := range []string{"/users/", "/users/bob", "/users/alice", "/users/nobody", "/users/not-a-name", "/users/bob/followers"} {
			got := w.get(t, token, path).refused(t, 401, "unauthorized", "Missing or invalid authentication token")
			if got.Header().Get("WWW-Authenticate") != `Bearer realm="kith", error="invalid_token"` {
				t.Error(got.Header())
			}
		}
		w.cards.drop() // the second time without tombstones
	}
}

func TestTokensAreRequired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	other, err := auth.New(auth.Config{Secret: []byte(strings.Repeat("k", 32)), Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Issue(w.states[1].UID, auth.SessionID{}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	routes := []call{
		{method: http.MethodGet, path: "/users/self"},
		{method: http.MethodPut, path: "/users/self", body: `not json`},
		{method: http.MethodGet, path: "/users/alice"},
		{method: http.MethodDelete, path: "/users/alice"},
		{method: http.MethodPut, path: "/users/self/following/alice"},
		{method: http.MethodDelete, path: "/users/self/following/alice"},
		{method: http.MethodGet, path: "/users/alice/followers?limit=0"},
		{method: http.MethodGet, path: "/users/alice/following"},
	}
	const message = "Missing or invalid authentication token"
	for _, c := range routes {
		got := w.call(t, c).refused(t, 401, "unauthorized", message)
		if got.Header().Get("WWW-Authenticate") != `Bearer realm="kith"` {
			t.Error(got.Header())
		}
		for _, header := range []string{"Bearer", "Bearer ", "Basic " + token, token, "Bearer " + token + " x", "Bearer " + foreign, "Bearer " + token[:len(token)-2], "Bearer é"} {
			c.header = []string{"Authorization", header}
			got := w.call(t, c).refused(t, 401, "unauthorized", message)
			if got.Header().Get("WWW-Authenticate") != `Bearer realm="kith", error="invalid_token"` {
				t.Error(header, got.Header())
			}
		}
	}
	w.call(t, call{method: http.MethodGet, path: "/users/alice", header: []string{"Authorization", "bearer  " + token}}).is(t, 200)
	w.pass(time.Hour)
	w.get(t, token, "/users/alice").refused(t, 401, "unauthorized", message)
}

func TestMissesOfOneUserAreOneQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.join(t, "alice")
		w.join(t, "bob")
		w.get(t, token, "/users/bob").is(t, 200)
		delete(w.cards.byID, 2)
		w.queries.Store(0)
		w.hold = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/users/bob", http.NoBody)
				r.Header.Set("Authorization", "Bearer "+token)
				w.send(t, r).is(t, 200)
			})
			if i == 0 {
				synctest.Wait() // the first one's query waits
			}
		}
		synctest.Wait()
		cancel() // a client that leaves takes nobody's query along
		close(w.hold)
		wg.Wait()
		if n := w.queries.Load(); n != 1 {
			t.Errorf("%d queries for one card", n)
		}
		w.get(t, token, "/users/bob").is(t, 200)
		if n := w.queries.Load(); n != 1 {
			t.Error("a cached card was queried")
		}
	})
}

func TestANameIsAHintOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	w.join(t, "carol")
	w.cards.byName["bob"] = 3 // the cache is wrong about who is called bob
	got := w.get(t, token, "/users/bob").is(t, 200)
	if got.user("id") != 2.0 {
		t.Error(got.Body)
	}
	w.do(t, "carol", user.Delete{At: w.clock()})
	w.cards.byName["bob"] = 3 // and then about somebody who is gone
	if got := w.get(t, token, "/users/bob").is(t, 200); got.user("id") != 2.0 {
		t.Error(got.Body)
	}
}
