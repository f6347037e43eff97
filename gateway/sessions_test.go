package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kith/actors/user"
	"kith/gateway"
	"kith/gateway/auth"
	"kith/persistence"
)

// pair is what a client keeps of a session.
type pair struct{ access, refresh string }

func (r reply) pair(tb testing.TB) pair {
	tb.Helper()
	access, _ := r.body["token"].(string)
	refresh, _ := r.body["refresh_token"].(string)
	if access == "" || refresh == "" || r.body["expires_in"] != 3600.0 || r.user("username") == nil || len(r.body) != 5 {
		tb.Fatalf("no session: %s", r.Body)
	}
	return pair{access, refresh}
}

func (w *world) signUp(tb testing.TB, username string) pair {
	tb.Helper()
	return w.call(tb, call{method: http.MethodPost, path: "/auth/register", body: `{"username":"` + username + `","name":"N","password":"` + password + `"}`}).is(tb, 201).pair(tb)
}

// again logs alice in.
func (w *world) again(tb testing.TB) pair {
	tb.Helper()
	return w.call(tb, call{method: http.MethodPost, path: "/auth/login", body: `{"username":"alice","password":"` + password + `"}`}).is(tb, 200).pair(tb)
}

func (w *world) refresh(tb testing.TB, token string) reply {
	tb.Helper()
	return w.call(tb, call{method: http.MethodPost, path: "/auth/refresh", body: `{"refresh_token":"` + token + `"}`})
}

func (r reply) refreshRefused(tb testing.TB) {
	tb.Helper()
	r.refused(tb, 401, "invalid_refresh_token", "Invalid refresh token")
	if r.Header().Get("WWW-Authenticate") == "" {
		tb.Error("no challenge")
	}
}

func TestARefreshTokenIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.signUp(t, "alice")
	w.pass(50 * time.Minute)
	got := w.refresh(t, first.refresh).is(t, 200)
	second := got.pair(t)
	if second.refresh == first.refresh || second.access == first.access || got.Header().Get("Cache-Control") != "no-store" {
		t.Error("nothing is fresh")
	}
	if len(w.sessions) != 1 || !w.sessions[0].ExpiresAt.Equal(w.now.Add(30*24*time.Hour)) {
		t.Errorf("sessions %+v", w.sessions)
	}
	w.pass(50 * time.Minute) // the first access token has expired
	w.get(t, first.access, "/users/self").is(t, 401)
	w.get(t, second.access, "/users/self").is(t, 200)
	w.refresh(t, second.refresh).is(t, 200)
}

// The answer with the new token may have been lost: for ten seconds the old one
// gives another pair of the same session, and any of the pairs goes on.
func TestAReplacedTokenWorksForTenSeconds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.signUp(t, "alice")
	lost := w.refresh(t, first.refresh).is(t, 200).pair(t)
	w.pass(10 * time.Second)
	again := w.refresh(t, first.refresh).is(t, 200).pair(t)
	if again == lost || len(w.sessions) != 1 {
		t.Errorf("%d sessions", len(w.sessions))
	}
	w.pass(30 * time.Minute)
	for _, p := range []pair{lost, again} { // within ten seconds of each other
		w.get(t, p.access, "/users/self").is(t, 200)
		w.refresh(t, p.refresh).is(t, 200)
	}
}

// Each token works for ten seconds after it was replaced, however many were
// replaced since.
func TestTheTenSecondsAreEachTokensOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := []pair{w.signUp(t, "alice")}
	for range 4 {
		w.pass(2 * time.Second)
		all = append(all, w.refresh(t, all[len(all)-1].refresh).is(t, 200).pair(t))
	}
	w.pass(2 * time.Second) // the first was replaced 8 seconds ago
	for _, p := range all[:4] {
		w.refresh(t, p.refresh).is(t, 200)
	}
	w.pass(3 * time.Second)
	w.refresh(t, all[1].refresh).is(t, 200)
	w.refresh(t, all[0].refresh).refreshRefused(t)
	w.refresh(t, all[4].refresh).refreshRefused(t) // and so the session has ended
}

func TestATokenUsedAgainEndsItsSession(t *testing.T) {
	t.Parallel()
	for name, old := range map[string]int{"the last": 3, "the first": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			other := w.signUp(t, "alice")
			all := []pair{w.again(t)}
			for range 4 {
				w.pass(15 * time.Second)
				all = append(all, w.refresh(t, all[len(all)-1].refresh).is(t, 200).pair(t))
			}
			w.pass(10*time.Second + time.Microsecond)
			w.refresh(t, all[old].refresh).refreshRefused(t)
			for _, p := range all {
				w.refresh(t, p.refresh).refreshRefused(t)
				w.get(t, p.access, "/users/self").refused(t, 401, "unauthorized", "Missing or invalid authentication token")
			}
			w.get(t, other.access, "/users/self").is(t, 200)
			w.refresh(t, other.refresh).is(t, 200)
			if len(w.ended) != 1 || w.ended[0].Until.Before(w.now.Add(time.Hour)) {
				t.Errorf("ended %+v", w.ended)
			}
		})
	}
}

func TestTwoRefreshesAtOnceAreOneSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.signUp(t, "alice")
	var wg sync.WaitGroup
	pairs := make([]pair, 8)
	for i := range pairs {
		wg.Go(func() { pairs[i] = w.refresh(t, first.refresh).is(t, 200).pair(t) })
	}
	wg.Wait()
	if len(w.sessions) != 1 || w.sessions[0].Generation != 1 {
		t.Errorf("sessions %+v", w.sessions)
	}
	w.pass(time.Hour - time.Second)
	w.get(t, pairs[3].access, "/users/self").is(t, 200)
	w.refresh(t, pairs[3].refresh).is(t, 200)
}

func TestRefreshTokensThatAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.signUp(t, "alice")
	queries := w.queries.Load()
	for _, token := range []string{"", "x", p.access, p.refresh[:85], p.refresh + "A", strings.Repeat("A", 86), strings.Repeat("x", 5000)} {
		w.refresh(t, token).refreshRefused(t)
	}
	if w.queries.Load() != queries {
		t.Error("what was not issued here costs queries")
	}
	w.call(t, call{method: http.MethodPost, path: "/auth/refresh", body: `{}`}).is(t, 401)
	w.call(t, call{method: http.MethodPost, path: "/auth/refresh", body: `{"refresh_token":1}`}).is(t, 400)
	w.pass(30 * 24 * time.Hour)
	w.refresh(t, p.refresh).refreshRefused(t)
}

func TestARefreshTokenEndsWithItsUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.signUp(t, "alice")
	w.do(t, "alice", user.Delete{At: w.clock()})
	w.refresh(t, p.refresh).refreshRefused(t)
	w.get(t, p.access, "/users/self").is(t, 404)
	if len(w.ended) != 0 {
		t.Error("a deletion is on the list")
	}
}

func TestRefreshWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.signUp(t, "alice")
	w.failStores = context.DeadlineExceeded
	w.refresh(t, p.refresh).is(t, 503)
	w.failStores = nil
	w.refresh(t, p.refresh).is(t, 200)
}

func (w *world) logout(tb testing.TB, token, body string) reply {
	tb.Helper()
	return w.call(tb, call{method: http.MethodPost, path: "/auth/logout", token: token, body: body})
}

func TestLogoutEndsTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.signUp(t, "alice"), w.again(t)
	got := w.logout(t, one.access, "").is(t, 200)
	if got.Body.String() != `{"status":"success","message":"Logged out"}`+"\n" {
		t.Error(got.Body)
	}
	refused := w.get(t, one.access, "/users/self").refused(t, 401, "unauthorized", "Missing or invalid authentication token")
	if !strings.Contains(refused.Header().Get("WWW-Authenticate"), "invalid_token") {
		t.Error(refused.Header())
	}
	w.refresh(t, one.refresh).refreshRefused(t)
	w.logout(t, one.access, "").is(t, 401)
	w.get(t, two.access, "/users/self").is(t, 200)
	w.refresh(t, two.refresh).is(t, 200)
}

func TestLogoutOfAllSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two, other := w.signUp(t, "alice"), w.again(t), w.signUp(t, "bob")
	w.logout(t, one.access, `{"all":"yes"}`).is(t, 400)
	w.logout(t, one.access, `{"all":true}`).is(t, 200)
	for _, p := range []pair{one, two} {
		w.get(t, p.access, "/users/self").is(t, 401)
		w.refresh(t, p.refresh).refreshRefused(t)
	}
	w.get(t, other.access, "/users/self").is(t, 200)
	w.get(t, w.again(t).access, "/users/self").is(t, 200)
}

// A token that was issued for no session, such as an operator's, is one by itself.
func TestLogoutEndsATokenWithoutASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signUp(t, "alice")
	issue := func(ttl time.Duration) string {
		token, err := w.tokens.Issue(w.states[1].UID, auth.SessionID{}, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	one, two := issue(48*time.Hour), issue(49*time.Hour)
	w.logout(t, one, "").is(t, 200)
	w.get(t, one, "/users/self").is(t, 401)
	w.get(t, two, "/users/self").is(t, 200)
	if !w.ended[0].Until.Equal(w.now.Add(48 * time.Hour)) {
		t.Errorf("forgotten at %s", w.ended[0].Until)
	}
}

// What names a session may have any form: whoever signs with our secret names
// theirs as they like. Every token of it ends, also one that lives longer.
func TestSessionsOfAnyName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signUp(t, "alice")
	sign := func(sid string, ttl time.Duration) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"sub": w.states[1].UID.String(), "exp": w.now.Add(ttl).Unix(), "sid": sid,
		}).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for _, sid := range []string{
		"x", "session-1", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", strings.Repeat("g", 32), strings.Repeat("0", 32), strings.Repeat("ab", 16), strings.Repeat("é ", 100),
	} {
		short, long, other := sign(sid, time.Hour), sign(sid, 2*time.Hour), sign(sid+"x", 3*time.Hour)
		w.get(t, short, "/users/self").is(t, 200)
		w.logout(t, short, "").is(t, 200)
		w.get(t, short, "/users/self").refused(t, 401, "unauthorized", "Missing or invalid authentication token")
		w.get(t, long, "/users/self").is(t, 401)
		w.get(t, other, "/users/self").is(t, 200)
	}
	if until := w.ended[0].Until; until.Before(w.now.Add(30 * 24 * time.Hour)) {
		t.Errorf("a session whose tokens are not known is forgotten at %s", until)
	}
}

func TestLogoutNeedsAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.logout(t, "", "").is(t, 401)
	token := w.join(t, "alice")
	w.failStores = errors.New("planted")
	w.logout(t, token, "").is(t, 500)
	w.failStores = nil
	w.get(t, token, "/users/self").is(t, 200) // it was not logged out
}

// A session that ended elsewhere ends here within 250 ms; while the database is
// away what is known stays known.
func TestSessionsThatEndedElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.signUp(t, "alice")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := w.server.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		w.get(t, p.access, "/users/self").is(t, 200)
		if _, err := (credentials{w}).EndSessions(ctx, persistence.SessionEnd{ID: w.sessions[0].ID, Until: w.now.Add(time.Hour)}); err != nil {
			t.Error(err)
		}
		<-time.After(250 * time.Millisecond)
		synctest.Wait()
		w.get(t, p.access, "/users/self").is(t, 401)

		w.mu.Lock()
		w.failStores = errors.New("away")
		w.mu.Unlock()
		<-time.After(10 * time.Second)
		w.get(t, p.access, "/users/self").is(t, 401)
		cancel()
		wg.Wait()
		if n := strings.Count(w.log.String(), "ended sessions cannot be read"); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
	})
}

// Without the list, nobody knows whose session has ended.
func TestNobodyIsLetInBeforeTheListWasRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.signUp(t, "alice")
	w.logout(t, p.access, "").is(t, 200)
	cfg := w.config()
	cfg.Registerer = nil
	s, err := gateway.New(cfg) // a restart
	if err != nil {
		t.Fatal(err)
	}
	w.handler = s.Handler()
	w.failStores = errors.New("away")
	w.get(t, p.access, "/users/self").is(t, 503)
	w.failStores = nil
	w.get(t, p.access, "/users/self").is(t, 401)
}
