package limits_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/gateway/limits"
	"kith/persistence"
	"kith/persistence/memory"
)

func TestRates(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]persistence.Rate{
		"off": {}, "1/s": {Count: 1, Per: time.Second}, "30/min": {Count: 30, Per: time.Minute},
		"1000000/h": {Count: 1_000_000, Per: time.Hour}, "007/min": {Count: 7, Per: time.Minute},
	} {
		if got, err := limits.ParseRate(s); err != nil || got != want {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "30", "/", "/min", "30/", "0/min", "-1/min", "+1/min", "1000001/s", "1.5/s", "30 /min", "30/ min", "30/minute", "30/m", "30/d", "30/min/s", "OFF", "1e3/s", "99999999999999999999/s",
	} {
		if got, err := limits.ParseRate(s); !errors.Is(err, limits.ErrRate) {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"off", "30/min", "1/s", "1000000/h", "0/s", "/", "1//s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := limits.ParseRate(s)
		switch {
		case err != nil && r != persistence.Rate{}:
			t.Errorf("%+v with an error", r)
		case err == nil && s != limits.Off && (r.Count < 1 || r.Count > 1_000_000 || r.Per < time.Second || r.Per > time.Hour):
			t.Errorf("%+v", r)
		}
	})
}

func TestProxies(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "", "  ": "", "10.0.0.0/8": "10.0.0.0/8", "10.1.2.3/8": "10.0.0.0/8", " 192.0.2.7 ,fd00::/8": "192.0.2.7/32 fd00::/8", "::1": "::1/128", "::ffff:192.0.2.7": "192.0.2.7/32",
	} {
		got, err := limits.ParseProxies(s)
		var words []string
		for _, p := range got {
			words = append(words, p.String())
		}
		if err != nil || strings.Join(words, " ") != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{",", "10.0.0.0/8,", "10.0.0.0/33", "example.com", "10.0.0", "10.0.0.0/8 192.0.2.7", "fe80::1%eth0", "::ffff:10.0.0.0/104"} {
		if got, err := limits.ParseProxies(s); !errors.Is(err, limits.ErrProxies) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func request(tb testing.TB, remote string, forwarded ...string) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/", http.NoBody)
	r.RemoteAddr = remote
	r.Header["X-Forwarded-For"] = forwarded
	return r
}

func addresses(tb testing.TB, trusted string) *limits.Addresses {
	tb.Helper()
	networks, err := limits.ParseProxies(trusted)
	if err != nil {
		tb.Fatal(err)
	}
	return limits.NewAddresses(networks)
}

// The last address that no trusted proxy has is the client's; what is left of it
// anybody may have written.
func TestTheAddressOfAClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trusted, remote string
		forwarded       []string
		want            string
	}{
		{"", "192.0.2.1:1234", nil, "192.0.2.1"},
		{"", "192.0.2.1:1234", []string{"198.51.100.1"}, "192.0.2.1"},
		{"10.0.0.0/8", "192.0.2.1:1234", []string{"198.51.100.1"}, "192.0.2.1"},
		{"10.0.0.0/8", "10.0.0.1:1234", nil, "10.0.0.1"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.1,10.0.0.7 , 10.0.0.8"}, "198.51.100.1"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"203.0.113.9", "198.51.100.1", "10.0.0.7"}, "198.51.100.1"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"10.0.0.9, 10.0.0.8"}, "10.0.0.9"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"198.51.100.1, unknown, 10.0.0.7"}, "10.0.0.7"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.0/8", "[::ffff:10.0.0.1]:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{""}, "10.0.0.1"},
		{"10.0.0.0/8", "10.0.0.1:1234", []string{"198.51.100.1, "}, "10.0.0.1"},
		{"::1", "[::1]:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"", "[fe80::1%eth0]:1234", nil, "fe80::1"},
		{"", "pipe", nil, "invalid IP"},
	} {
		if got := addresses(t, c.trusted).Of(request(t, c.remote, c.forwarded...)); got.String() != c.want {
			t.Errorf("%s through %q, trusting %q: %s, want %s", c.remote, c.forwarded, c.trusted, got, c.want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	a := addresses(f, "10.0.0.0/8")
	for _, s := range []string{"198.51.100.1", "a, b", "10.0.0.1, 198.51.100.1, 10.0.0.2", "[::1]:1", "[", "[]", ",,", "::ffff:10.0.0.1%x"} {
		f.Add(s, "10.1.1.1:80")
	}
	f.Fuzz(func(t *testing.T, forwarded, remote string) {
		got := a.Of(request(t, remote, forwarded))
		peer := a.Of(request(t, remote))
		switch {
		case got.Is4In6() || got.Zone() != "":
			t.Errorf("%s is not in its plain form", got)
		case !netip.MustParsePrefix("10.0.0.0/8").Contains(peer) && got != peer:
			t.Errorf("%s is believed although %s is no proxy", got, peer)
		}
	})
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, pattern string
		public          bool
		want            limits.Scope
	}{
		{"GET", "/users/availability/{username}", true, limits.Availability},
		{"GET", "/users/availability/", true, limits.Availability},
		{"POST", "/auth/register", true, limits.Register},
		{"POST", "/auth/login", true, limits.Login},
		{"POST", "/auth/refresh", true, limits.User},
		{"POST", "/auth/logout", false, limits.User},
		{"POST", "/users", false, limits.User},
		{"GET", "/users/{username}", false, limits.User},
		{"POST", "/users/self/events", false, limits.Events},
		{"GET", "/users/{username}/events", false, limits.User},
		{"DELETE", "/users/self/events/{event_id}", false, limits.User},
		{"GET", "/healthz", true, limits.None},
	} {
		if got := limits.Of(c.method, c.pattern, c.public); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.pattern, got, c.want)
		}
	}
}

func newGate(t *testing.T, cfg limits.Config) *limits.Gate {
	t.Helper()
	if cfg.Limits == nil {
		var err error
		if cfg.Limits, err = memory.NewLimits(memory.LimitsConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	g, err := limits.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAGateCountsAddressesNamesAndScopesApart(t *testing.T) {
	t.Parallel()
	hour := persistence.Rate{Count: 1, Per: time.Hour}
	g := newGate(t, limits.Config{Rates: limits.Rates{Register: hour, Login: hour, User: hour}})
	// Each may do one thing.
	for range 2 {
		for i, take := range []func() (limits.Verdict, bool){
			func() (limits.Verdict, bool) {
				return g.TakeAddress(t.Context(), limits.Login, request(t, "192.0.2.1:1"))
			},
			func() (limits.Verdict, bool) {
				return g.TakeAddress(t.Context(), limits.Register, request(t, "192.0.2.1:1"))
			},
			func() (limits.Verdict, bool) {
				return g.TakeAddress(t.Context(), limits.Login, request(t, "[2001:db8::1]:1"))
			},
			func() (limits.Verdict, bool) {
				return g.TakeAddress(t.Context(), limits.Login, request(t, "[2001:db8:0:1::1]:1"))
			},
			func() (limits.Verdict, bool) { return g.TakeName(t.Context(), limits.Login, "alice") },
			func() (limits.Verdict, bool) { return g.TakeName(t.Context(), limits.Register, "alice") },
			func() (limits.Verdict, bool) { return g.Take(t.Context(), limits.User, "user:alice", 1) },
		} {
			v, limited := take()
			if !limited || v.Limit != 1 || v.Remaining != 0 {
				t.Errorf("%d: %+v, %v", i, v, limited)
			}
		}
	}
	for _, remote := range []string{"192.0.2.1:99", "[2001:db8::2]:1", "[2001:db8::ffff:0:0:1]:1"} { // the same, and of one network
		if v, _ := g.TakeAddress(t.Context(), limits.Login, request(t, remote)); v.Allowed || v.RetryAfter <= 0 {
			t.Errorf("%s: %+v", remote, v)
		}
	}
	if _, limited := g.Take(t.Context(), limits.Events, "user:alice", 500); limited {
		t.Error("a scope that is off is limited")
	}
	if _, limited := g.TakeAddress(t.Context(), limits.Availability, request(t, "192.0.2.1:1")); limited || g.Limited(limits.Availability) || !g.Limited(limits.User) {
		t.Error("a scope that is off is limited")
	}
}

// What was taken before is not taken again, and what can never be allowed is asked
// for whole.
func TestTheRestOfACost(t *testing.T) {
	t.Parallel()
	g := newGate(t, limits.Config{Rates: limits.Rates{Events: persistence.Rate{Count: 10, Per: time.Hour}}})
	for cost, want := range map[int]int{0: 0, 1: 0, 2: 1, 10: 9, 11: 11, 500: 500} {
		if got := g.Rest(limits.Events, cost); got != want {
			t.Errorf("of %d: %d, want %d", cost, got, want)
		}
		if got := g.Rest(limits.User, cost); got != 0 {
			t.Errorf("of a scope that is off: %d", got)
		}
	}
}

// away are counts that do not answer.
type away struct{}

func (away) Allow(context.Context, string, persistence.Rate, int) (persistence.Allowance, error) {
	return persistence.Allowance{}, errors.New("away")
}

func TestWithoutCountsRequestsGoOn(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	g := newGate(t, limits.Config{Limits: away{}, Rates: limits.DefaultRates(), Registerer: registry})
	for range 1000 {
		if _, limited := g.Take(t.Context(), limits.User, "user:alice", 1); limited {
			t.Fatal("limited")
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0.0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if family.GetName() == "kith_limit_decisions_total" && labels["scope"] == "user" && labels["result"] == "failed" {
				seen = m.GetCounter().GetValue()
			}
		}
	}
	if seen != 1000 {
		t.Errorf("%v failures were counted", seen)
	}
}

func TestGatesNeedCountsAndRates(t *testing.T) {
	t.Parallel()
	if _, err := limits.New(limits.Config{}); err == nil {
		t.Error("no counts, no error")
	}
	if _, err := limits.New(limits.Config{Limits: away{}, Rates: limits.Rates{Login: persistence.Rate{Count: 5}}}); err == nil {
		t.Error("a rate without a time, no error")
	}
}

func TestTakingForAUserAllocatesNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts for the process
	g := newGate(t, limits.Config{Rates: limits.DefaultRates()})
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { g.Take(ctx, limits.User, "user:alice", 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
