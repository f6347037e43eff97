package limits

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
)

// Config is what a Gate needs.
type Config struct {
	// Limits keeps the counts.
	Limits persistence.Limits
	Rates  Rates
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Registerer takes the metrics; nil: they are not registered.
	Registerer prometheus.Registerer
}

// Gate takes what requests cost from the limits that they count against.
type Gate struct {
	limits    persistence.Limits
	addresses *Addresses
	scopes    [scopes]scope
}

type scope struct {
	rate    persistence.Rate
	prefix  string
	allowed prometheus.Counter
	refused prometheus.Counter
	failed  prometheus.Counter
}

// New makes a Gate.
func New(cfg Config) (*Gate, error) {
	if cfg.Limits == nil {
		return nil, errors.New("limits: a gate needs counts")
	}
	taken := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kith_limit_decisions_total", Help: "Requests that a limit was asked about, by scope and result: allowed, refused, failed (and so let pass).",
	}, []string{"scope", "result"})
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(taken); err != nil {
			return nil, errors.Join(errors.New("limits: register the metrics"), err)
		}
	}
	g := &Gate{limits: cfg.Limits, addresses: NewAddresses(cfg.TrustedProxies)}
	for s := Availability; s < scopes; s++ {
		rate := cfg.Rates.of(s)
		if rate != (persistence.Rate{}) && (rate.Count < 1 || rate.Count > maxCount || rate.Per < time.Second) {
			return nil, errors.New("limits: the rate of scope " + s.String() + " is none")
		}
		g.scopes[s] = scope{
			rate: rate, prefix: s.String() + ":",
			allowed: taken.WithLabelValues(s.String(), "allowed"), refused: taken.WithLabelValues(s.String(), "refused"), failed: taken.WithLabelValues(s.String(), "failed"),
		}
	}
	return g, nil
}

// Verdict is whether a request may go on, and what its client is told.
type Verdict struct {
	persistence.Allowance

	Limit int // of the rate
}

// Take takes cost from what who may do in a scope. limited is false when the
// scope is off, or when the counts are away.
//
// A who of the scope User must not begin like a key of another scope; those of
// auth.Token do not. It is the key as it stands, since joining two strings would
// cost an allocation for every request.
func (g *Gate) Take(ctx context.Context, s Scope, who string, cost int) (v Verdict, limited bool) {
	c := &g.scopes[s]
	if c.rate.Count == 0 {
		return Verdict{}, false
	}
	key := who
	if s != User {
		key = c.prefix + who
	}
	a, err := g.limits.Allow(ctx, key, c.rate, cost)
	switch {
	case err != nil:
		c.failed.Inc()
		return Verdict{}, false
	case a.Allowed:
		c.allowed.Inc()
	default:
		c.refused.Inc()
	}
	return Verdict{Allowance: a, Limit: c.rate.Count}, true
}

// TakeAddress is Take for the address of the client of a request.
func (g *Gate) TakeAddress(ctx context.Context, s Scope, r *http.Request) (v Verdict, limited bool) {
	if g.scopes[s].rate.Count == 0 {
		return Verdict{}, false
	}
	return g.Take(ctx, s, "address:"+g.Address(r), 1)
}

// Address returns what the client of a request is counted as where clients are
// counted by their addresses.
func (g *Gate) Address(r *http.Request) string { return keyOf(g.addresses.Of(r)) }

// TakeName is Take for the name of an account.
func (g *Gate) TakeName(ctx context.Context, s Scope, name string) (v Verdict, limited bool) {
	return g.Take(ctx, s, "name:"+name, 1)
}

// Rest returns what is left to take of cost when 1 of it was taken. More than the
// rate ever allows at once is left whole, so that it is refused.
func (g *Gate) Rest(s Scope, cost int) int {
	switch count := g.scopes[s].rate.Count; {
	case count == 0 || cost <= 1:
		return 0
	case cost > count:
		return cost
	}
	return cost - 1
}

// Limited reports whether a scope is on.
func (g *Gate) Limited(s Scope) bool { return g.scopes[s].rate.Count > 0 }
