package gateway

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"kith/gateway/limits"
)

// The headers of limited routes, as net/http spells them.
const (
	headerLimit     = "X-Ratelimit-Limit"
	headerRemaining = "X-Ratelimit-Remaining"
	headerReset     = "X-Ratelimit-Reset"
)

// errLimited says that a limit is used up for some time.
func errLimited(wait time.Duration) *refusal {
	return &refusal{
		status: http.StatusTooManyRequests, code: "rate_limited", message: "Too many requests, try again later", retryAfter: wait,
	}
}

// scope returns what a route counts against on this server.
func (s *Server) scope(rt route) limits.Scope {
	if s.cfg.Limits == nil {
		return limits.None
	}
	if scope := limits.Of(rt.method, rt.path, rt.public); s.cfg.Limits.Limited(scope) {
		return scope
	}
	return limits.None
}

// admit lets a request go on that its limit allows, and whose token is good where
// one is needed. Who its user is it notes on x.
func (s *Server) admit(x *exchange, scope limits.Scope, public bool) error {
	if scope.PerAddress() {
		v, limited := s.cfg.Limits.TakeAddress(x, scope, x.r)
		if err := x.tell(v, limited); err != nil {
			return err
		}
	}
	if public {
		return nil
	}
	if err := s.authenticate(x); err != nil {
		return err
	}
	if scope == limits.None {
		return nil
	}
	v, limited := s.cfg.Limits.Take(x, scope, x.token.Key(), 1)
	return x.tell(v, limited)
}

// takeName takes from what may be done about the name of an account.
func (s *Server) takeName(ctx context.Context, scope limits.Scope, username string) error {
	if s.cfg.Limits == nil {
		return nil
	}
	v, limited := s.cfg.Limits.TakeName(ctx, scope, username)
	return exchangeOf(ctx).tell(v, limited)
}

// takeUser takes from what a user may do, whose token the request does not bear.
func (s *Server) takeUser(ctx context.Context, key string) error {
	if s.cfg.Limits == nil {
		return nil
	}
	v, limited := s.cfg.Limits.Take(ctx, limits.User, key, 1)
	return exchangeOf(ctx).tell(v, limited)
}

// takeEvents takes what a batch of events costs: as many as it holds. One was
// taken before its body was read.
func (s *Server) takeEvents(ctx context.Context, events int) error {
	if s.cfg.Limits == nil {
		return nil
	}
	more := s.cfg.Limits.Rest(limits.Events, events)
	if more == 0 {
		return nil
	}
	x := exchangeOf(ctx)
	v, limited := s.cfg.Limits.Take(ctx, limits.Events, x.token.Key(), more)
	return x.tell(v, limited)
}

// told is what the client of a request is told of the limits that it met.
type told struct {
	told      bool
	remaining int
	values    [3]string // the headers point here
}

// tell adds the headers of a verdict, of several the one that leaves least, and
// refuses what was not allowed.
func (x *exchange) tell(v limits.Verdict, limited bool) error {
	if !limited {
		return nil
	}
	if t := &x.told; !t.told || v.Remaining <= t.remaining || !v.Allowed {
		t.told, t.remaining = true, v.Remaining
		t.values = [3]string{decimal(v.Limit), decimal(v.Remaining), decimal(seconds(v.Reset))}
		h := x.w.Header()
		h[headerLimit], h[headerRemaining], h[headerReset] = t.values[0:1:1], t.values[1:2:2], t.values[2:3:3]
	}
	if !v.Allowed {
		return errLimited(v.RetryAfter)
	}
	return nil
}

// seconds rounds up: who waits so long has waited long enough.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

const decimals = 1024

// smallNumbers are the numbers that limited answers hold, so that writing one
// allocates nothing.
var smallNumbers = func() (all [decimals]string) { //nolint:gochecknoglobals // a table of constants
	for i := range all {
		all[i] = strconv.Itoa(i)
	}
	return all
}()

func decimal(n int) string {
	if n >= 0 && n < decimals {
		return smallNumbers[n]
	}
	return strconv.Itoa(n)
}

// describeLimits adds the headers to the description of a limited route.
func (s *Server) describeLimits(rt route, op *huma.Operation) {
	if s.scope(rt) == limits.None {
		return
	}
	for status, r := range op.Responses {
		if r.Headers == nil {
			r.Headers = make(map[string]*huma.Param)
		}
		for name, doc := range map[string]string{
			"X-RateLimit-Limit":     "How much is allowed at once",
			"X-RateLimit-Remaining": "How much of it is left",
			"X-RateLimit-Reset":     "Seconds until all of it is allowed again",
		} {
			r.Headers[name] = &huma.Param{Description: doc, Schema: &huma.Schema{Type: huma.TypeInteger}}
		}
		if status == strconv.Itoa(http.StatusTooManyRequests) {
			r.Headers["Retry-After"] = &huma.Param{Description: "Seconds to wait", Schema: &huma.Schema{Type: huma.TypeInteger}}
		}
	}
}
