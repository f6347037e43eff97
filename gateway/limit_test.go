package gateway_test

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"kith/gateway"
	"kith/gateway/limits"
	"kith/persistence"
	"kith/persistence/memory"
)

// withLimits makes the server of w limit, on the clock of w.
func (w *world) withLimits(tb testing.TB, rates limits.Rates, proxies string) {
	tb.Helper()
	counts, err := memory.NewLimits(memory.LimitsConfig{Now: w.clock})
	if err != nil {
		tb.Fatal(err)
	}
	trusted, err := limits.ParseProxies(proxies)
	if err != nil {
		tb.Fatal(err)
	}
	gate, err := limits.New(limits.Config{Limits: counts, Rates: rates, TrustedProxies: trusted})
	if err != nil {
		tb.Fatal(err)
	}
	w.serve(tb, func(cfg *gateway.Config) {
		cfg.Limits = gate
		if _, measured := tb.(*testing.B); measured {
			cfg.Logger = slog.New(slog.DiscardHandler)
		}
	})
}

func perMinute(n int) persistence.Rate { return persistence.Rate{Count: n, Per: time.Minute} }

// told checks the headers of a limited answer.
func (r reply) told(tb testing.TB, limit, remaining, reset int) reply {
	tb.Helper()
	for name, want := range map[string]int{"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset} {
		if got := r.Header().Get(name); got != strconv.Itoa(want) {
			tb.Fatalf("%s is %q, want %d", name, got, want)
		}
	}
	return r
}

func (r reply) limited(tb testing.TB, wait int) {
	tb.Helper()
	r.refused(tb, 429, "rate_limited", "Too many requests, try again later")
	if got := r.Header().Get("Retry-After"); got != strconv.Itoa(wait) {
		tb.Fatalf("Retry-After is %q, want %d", got, wait)
	}
}

func TestAUserIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.join(t, "alice"), w.join(t, "bob")
	w.withLimits(t, limits.Rates{User: perMinute(3)}, "")
	w.get(t, alice, "/users/bob").is(t, 200).told(t, 3, 2, 20)
	w.get(t, alice, "/nobody/here").is(t, 404)
	w.get(t, alice, "/users/nobody").is(t, 404).told(t, 3, 1, 40)
	w.call(t, call{method: http.MethodPut, path: "/users/self", token: alice, body: `{}`}).is(t, 200).told(t, 3, 0, 60)
	w.get(t, alice, "/users/bob").told(t, 3, 0, 60).limited(t, 20)
	w.call(t, call{method: http.MethodGet, path: "/users/bob", token: alice, header: []string{"Accept", "application/problem+json"}}).told(t, 3, 0, 60)
	w.get(t, bob, "/users/alice").is(t, 200).told(t, 3, 2, 20)
	w.pass(20*time.Second - time.Millisecond)
	w.get(t, alice, "/users/bob").limited(t, 1)
	w.pass(time.Millisecond)
	w.get(t, alice, "/users/bob").is(t, 200).told(t, 3, 0, 60)
	// Who is not known is not counted; what is public neither.
	for range 10 {
		w.get(t, "garbage", "/users/bob").is(t, 401)
		if got := w.get(t, "", "/healthz").is(t, 200); got.Header().Get("X-RateLimit-Limit") != "" {
			t.Error(got.Header())
		}
	}
}

func TestAvailabilityIsLimitedByAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withLimits(t, limits.Rates{Availability: perMinute(2)}, "10.0.0.0/8")
	ask := func(remote, forwarded string) reply {
		r := call{method: http.MethodGet, path: "/users/availability/alice"}.request(t)
		r.RemoteAddr = remote
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		return w.send(t, r)
	}
	ask("192.0.2.1:1", "").is(t, 200).told(t, 2, 1, 30)
	ask("192.0.2.1:2", "198.51.100.1").is(t, 200).told(t, 2, 0, 60) // says who it is, and is not believed
	ask("192.0.2.1:3", "198.51.100.2").limited(t, 30)
	ask("10.0.0.1:1", "198.51.100.1").is(t, 200).told(t, 2, 1, 30)
	ask("10.0.0.1:1", "192.0.2.1, 198.51.100.1").is(t, 200).told(t, 2, 0, 60)
	ask("10.0.0.2:1", "192.0.2.7, 198.51.100.1").limited(t, 30)
	ask("[2001:db8::1]:1", "").is(t, 200).told(t, 2, 1, 30)
	ask("[2001:db8::2]:1", "").is(t, 200).told(t, 2, 0, 60)
	ask("[2001:db8:0:1::1]:1", "").is(t, 200).told(t, 2, 1, 30)
	if strings.Contains(w.log.String(), "192.0.2") || strings.Contains(w.log.String(), "198.51") {
		t.Error("the log holds an address")
	}
}

func TestRegisterAndLoginAreLimitedByAddressAndByName(t *testing.T) {
	t.Parallel()
	for path, first := range map[string]int{"/auth/register": 201, "/auth/login": 401} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.withLimits(t, limits.Rates{Register: perMinute(2), Login: perMinute(2)}, "")
			ask := func(remote, username string) reply {
				r := call{method: http.MethodPost, path: path, body: `{"username":"` + username + `","name":"N","password":"` + password + `"}`}.request(t)
				r.RemoteAddr = remote
				return w.send(t, r)
			}
			ask("192.0.2.1:1", "alice").is(t, first).told(t, 2, 1, 30)
			ask("192.0.2.2:1", " ALICE ").told(t, 2, 0, 60) // one name, however it is written: fewer are left of it
			commands := len(w.states)
			ask("192.0.2.3:1", "alice").told(t, 2, 0, 60).limited(t, 30)
			ask("192.0.2.3:1", "bob").told(t, 2, 0, 60) // also what the name refused counts for the address
			ask("192.0.2.3:1", "carol").limited(t, 30)
			ask("192.0.2.3:1", "").limited(t, 30)
			ask("192.0.2.4:1", "-").told(t, 2, 1, 30) // no name that there could be
			if path == "/auth/login" && len(w.states) != commands {
				t.Error("somebody was made")
			}
		})
	}
}

func TestRefreshingCountsForTheUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withLimits(t, limits.Rates{User: perMinute(2)}, "")
	p := w.signUp(t, "alice")
	w.get(t, p.access, "/users/self").is(t, 200).told(t, 2, 1, 30)
	p = w.refresh(t, p.refresh).is(t, 200).told(t, 2, 0, 60).pair(t)
	w.refresh(t, p.refresh).limited(t, 30)
	w.pass(30 * time.Second)
	w.refresh(t, p.refresh).is(t, 200) // and nothing was rotated by it
}

func TestABatchCostsWhatItHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.withLimits(t, limits.Rates{User: perMinute(100), Events: perMinute(10)}, "")
	send := func(n int) reply {
		one := `{"type":"view","movie_id":7}`
		body := `{"events":[` + strings.Repeat(one+",", n-1) + one + `]}`
		if n == 1 {
			body = one
		}
		return w.call(t, call{method: http.MethodPost, path: "/users/self/events", token: token, body: body})
	}
	send(1).is(t, 201).told(t, 10, 9, 6)
	send(6).is(t, 200).told(t, 10, 3, 42)
	send(4).told(t, 10, 2, 48).limited(t, 6) // one was taken before the batch was read
	send(2).is(t, 200).told(t, 10, 0, 60)
	send(1).limited(t, 6)
	w.get(t, token, "/users/self").is(t, 200).told(t, 100, 99, 1)
	w.pass(time.Minute)
	for i, n := range []int{11, 500} { // more than there ever is, of which one was taken
		left := 9 - i
		send(n).told(t, 10, left, 6*(10-left)).limited(t, 6*(10-left)+6)
	}
	if got := w.get(t, token, "/users/self/events").is(t, 200); len(eventIDs(got)) != 9 {
		t.Error(got.Body)
	}
	w.pass(time.Minute)
	send(10).is(t, 200).told(t, 10, 0, 60)
}

// Also what names nobody is counted.
func TestABlankNameIsLimitedLikeOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.withLimits(t, limits.Rates{Availability: perMinute(2), User: perMinute(3)}, "")
	w.get(t, "", "/users/availability/").refused(t, 400, "username_required", "Username is required").told(t, 2, 1, 30)
	w.get(t, "", "/users/availability/bob").is(t, 200).told(t, 2, 0, 60)
	w.get(t, "", "/users/availability/").told(t, 2, 0, 60).limited(t, 30)
	w.get(t, token, "/users/").refused(t, 400, "username_required", "Username is required").told(t, 3, 2, 20)
}

func TestLimitsThatAreOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.withLimits(t, limits.Rates{}, "")
	for range 50 {
		if got := w.get(t, token, "/users/self").is(t, 200); got.Header().Get("X-RateLimit-Limit") != "" {
			t.Fatal(got.Header())
		}
	}
	if w.server.OpenAPI().Paths["/users/self"].Get.Responses["429"] != nil {
		t.Error("a limit that is off is described")
	}
}

func TestLimitedRoutesSaySo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withLimits(t, limits.DefaultRates(), "")
	doc := w.server.OpenAPI()
	for path, limited := range map[string]bool{"/users/availability/{username}": true, "/users/self": true, "/users/list": true, "/healthz": false} {
		responses := doc.Paths[path].Get.Responses
		if (responses["429"] != nil) != limited {
			t.Errorf("%s: 429 is %v", path, responses["429"])
		}
		for status, r := range responses {
			if (r.Headers["X-RateLimit-Remaining"] != nil) != limited {
				t.Errorf("%s %s: %v", path, status, r.Headers)
			}
		}
	}
	if doc.Paths["/auth/login"].Post.Responses["429"].Headers["Retry-After"] == nil {
		t.Error("Retry-After is not described")
	}
}

// BenchmarkLimitedLookup is BenchmarkLookup behind the limit of a user.
func BenchmarkLimitedLookup(b *testing.B) {
	w := newWorld(b)
	token := w.join(b, "alice")
	w.join(b, "bob")
	w.views[w.id(b, "alice")] = true
	w.withLimits(b, limits.Rates{User: persistence.Rate{Count: 1_000_000, Per: time.Second}}, "")
	r := call{method: http.MethodGet, path: "/users/bob", token: token}.request(b)
	b.ReportAllocs()
	for b.Loop() {
		w.handler.ServeHTTP(&discard{header: http.Header{}}, r)
	}
}
