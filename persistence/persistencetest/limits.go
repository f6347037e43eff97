//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kith/persistence"
)

// RunLimits runs the suite of limits, on their real clock. The tests run in
// parallel, each with keys of its own.
func RunLimits(t *testing.T, open func(t *testing.T) persistence.Limits) {
	t.Helper()
	// So slow that none of it comes back during a test.
	slow := func(count int) persistence.Rate {
		return persistence.Rate{Count: count, Per: time.Duration(count) * time.Hour}
	}
	allow := func(t *testing.T, l persistence.Limits, key string, r persistence.Rate, cost int) persistence.Allowance {
		t.Helper()
		return must(l.Allow(t.Context(), key, r, cost))(t)
	}
	// near says that a time is want, less what has passed since.
	near := func(t *testing.T, what string, got, want time.Duration) {
		t.Helper()
		if got > want || got < want-time.Minute {
			t.Errorf("%s is %s, want %s", what, got, want)
		}
	}
	for name, test := range map[string]func(*testing.T, persistence.Limits){
		"as many as the rate are allowed at once": func(t *testing.T, l persistence.Limits) {
			for left := 4; left >= 0; left-- {
				a := allow(t, l, t.Name(), slow(5), 1)
				if !a.Allowed || a.Remaining != left {
					t.Fatalf("%+v, want %d left", a, left)
				}
				near(t, "reset", a.Reset, time.Duration(5-left)*time.Hour)
			}
			a := allow(t, l, t.Name(), slow(5), 1)
			if a.Allowed || a.Remaining != 0 {
				t.Fatalf("%+v, want a refusal", a)
			}
			near(t, "reset", a.Reset, 5*time.Hour)
			near(t, "retry", a.RetryAfter, time.Hour)
		},
		"what is refused costs nothing": func(t *testing.T, l persistence.Limits) {
			allow(t, l, t.Name(), slow(10), 8)
			for range 5 {
				a := allow(t, l, t.Name(), slow(10), 3)
				if a.Allowed || a.Remaining != 2 {
					t.Fatalf("%+v, want a refusal with 2 left", a)
				}
				near(t, "retry", a.RetryAfter, time.Hour)
			}
			if a := allow(t, l, t.Name(), slow(10), 2); !a.Allowed || a.Remaining != 0 {
				t.Fatalf("%+v", a)
			}
		},
		"a cost above the rate is never allowed": func(t *testing.T, l persistence.Limits) {
			for _, cost := range []int{11, 500, math.MaxInt} {
				a := allow(t, l, t.Name(), slow(10), cost)
				if a.Allowed || a.Remaining != 10 || a.Reset != 0 {
					t.Fatalf("%+v, want a refusal with 10 left", a)
				}
				near(t, "retry", a.RetryAfter, time.Hour)
			}
			allow(t, l, t.Name(), slow(10), 4)
			a := allow(t, l, t.Name(), slow(10), 500)
			if a.Allowed || a.Remaining != 6 {
				t.Fatalf("%+v, want a refusal with 6 left", a)
			}
			near(t, "retry", a.RetryAfter, 5*time.Hour)
		},
		"keys do not share": func(t *testing.T, l persistence.Limits) {
			allow(t, l, t.Name(), slow(1), 1)
			if a := allow(t, l, t.Name()+"2", slow(1), 1); !a.Allowed {
				t.Fatalf("%+v", a)
			}
		},
		"it comes back one by one": func(t *testing.T, l persistence.Limits) {
			rate := persistence.Rate{Count: 2, Per: 60 * time.Millisecond}
			allow(t, l, t.Name(), rate, 2)
			a := allow(t, l, t.Name(), rate, 1)
			for !a.Allowed {
				if a.RetryAfter <= 0 || a.RetryAfter > 30*time.Millisecond {
					t.Fatalf("%+v", a)
				}
				<-time.After(a.RetryAfter)
				a = allow(t, l, t.Name(), rate, 1)
			}
		},
		"many at once get no more than the rate": func(t *testing.T, l persistence.Limits) {
			var (
				running sync.WaitGroup
				allowed atomic.Int64
			)
			for range 8 {
				running.Go(func() {
					for range 25 {
						a, err := l.Allow(background(t), t.Name(), slow(100), 1)
						if err != nil {
							t.Error(err)
						}
						if a.Allowed {
							allowed.Add(1)
						}
					}
				})
			}
			running.Wait()
			equal(t, "allowed", allowed.Load(), 100)
		},
		"a rate that does not divide its time allows all of it": func(t *testing.T, l persistence.Limits) {
			rate := persistence.Rate{Count: 7, Per: 24 * time.Hour}
			for left := 6; left >= 0; left-- {
				if a := allow(t, l, t.Name(), rate, 1); !a.Allowed || a.Remaining != left {
					t.Fatalf("%+v, want %d left", a, left)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}
