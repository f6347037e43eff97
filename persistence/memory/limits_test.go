package memory_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"kith/persistence"
	"kith/persistence/memory"
	"kith/persistence/persistencetest"
)

func newLimits(tb testing.TB, cfg memory.LimitsConfig) *memory.Limits {
	tb.Helper()
	l, err := memory.NewLimits(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func TestLimitsConformance(t *testing.T) {
	t.Parallel()
	persistencetest.RunLimits(t, func(t *testing.T) persistence.Limits {
		t.Helper()
		return newLimits(t, memory.LimitsConfig{})
	})
}

// handClock is a clock that a test moves.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// In no stretch of time more is allowed than the rate and what comes back in it,
// and whoever waits as long as told is allowed.
func TestLimitsHoldTheirRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := &handClock{now: time.Unix(1700000000, 0)}
		l, err := memory.NewLimits(memory.LimitsConfig{Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		rate := persistence.Rate{Count: rapid.IntRange(1, 50).Draw(t, "count"), Per: rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "per")}
		interval := rate.Per / time.Duration(rate.Count)
		type taking struct {
			at   time.Time
			cost int
		}
		var taken []taking
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c.pass(time.Duration(rapid.Int64Range(0, int64(2*interval)).Draw(t, "pass")))
			cost := rapid.IntRange(1, rate.Count).Draw(t, "cost")
			a, err := l.Allow(context.Background(), "key", rate, cost)
			if err != nil {
				t.Fatal(err)
			}
			if !a.Allowed {
				if a.RetryAfter <= 0 || a.Remaining >= cost {
					t.Fatalf("refused with %+v", a)
				}
				c.pass(a.RetryAfter)
				if a, err = l.Allow(context.Background(), "key", rate, cost); err != nil || !a.Allowed {
					t.Fatalf("refused after the time that was told: %+v, %v", a, err)
				}
			}
			taken = append(taken, taking{c.Now(), cost})
			sum := 0
			for _, one := range slices.Backward(taken) {
				sum += one.cost
				if most := rate.Count + int(c.Now().Sub(one.at)/interval) + 1; sum > most {
					t.Fatalf("%d in %s, at most %d are allowed", sum, c.Now().Sub(one.at), most)
				}
			}
		}
	})
}

func TestLimitsForgetWhatIsAsGoodAsNew(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	c := &handClock{now: time.Unix(1700000000, 0)}
	l := newLimits(t, memory.LimitsConfig{Keys: 64 * 32, Registerer: registry, Now: c.Now})
	rate := persistence.Rate{Count: 10, Per: time.Minute}
	add := func(from, n int) {
		for i := range n {
			if a, err := l.Allow(t.Context(), strconv.Itoa(from+i), rate, 1); err != nil || !a.Allowed {
				t.Fatal(a, err)
			}
		}
	}
	for i := range 100 { // many keys, but few at a time
		add(i*100, 100)
		c.pass(time.Minute)
	}
	if n := metric(t, registry, "kith_limit_keys_entries"); n > 1000 {
		t.Errorf("%.0f keys are remembered, about 100 are in use", n)
	}
	if n := metric(t, registry, "kith_limit_keys_forgotten_total"); n != 0 {
		t.Errorf("%.0f keys were forgotten too early", n)
	}
	add(1_000_000, 20_000) // too many at a time
	if n := metric(t, registry, "kith_limit_keys_entries"); n == 0 || n > 64*32 {
		t.Errorf("%.0f keys are remembered, of at most %d", n, 64*32)
	}
	if n := metric(t, registry, "kith_limit_keys_forgotten_total"); n == 0 {
		t.Error("no key was counted as forgotten")
	}
}

func TestFullLimitsForgetWhoHasUsedLeast(t *testing.T) {
	t.Parallel()
	c := &handClock{now: time.Unix(1700000000, 0)}
	l := newLimits(t, memory.LimitsConfig{Keys: 64 * 4, Now: c.Now})
	rate := persistence.Rate{Count: 10, Per: time.Minute}
	if a, err := l.Allow(t.Context(), "attacker", rate, 10); err != nil || !a.Allowed {
		t.Fatal(a, err)
	}
	for i := range 10_000 {
		if _, err := l.Allow(t.Context(), strconv.Itoa(i), rate, 1); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := l.Allow(t.Context(), "attacker", rate, 1); err != nil || a.Allowed {
		t.Errorf("whoever has used all begins anew: %+v, %v", a, err)
	}
}

func TestNoRateAllowsEverything(t *testing.T) {
	t.Parallel()
	l := newLimits(t, memory.LimitsConfig{})
	for range 100 {
		if a, err := l.Allow(t.Context(), "key", persistence.Rate{}, 1); err != nil || !a.Allowed {
			t.Fatal(a, err)
		}
	}
	if _, err := memory.NewLimits(memory.LimitsConfig{Keys: -1}); err == nil {
		t.Error("fewer than no keys, no error")
	}
}

func BenchmarkLimits(b *testing.B) {
	l := newLimits(b, memory.LimitsConfig{})
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = "user:0190a1b2c3d4e5f60718293a4b5c" + strconv.Itoa(i)
	}
	rate := persistence.Rate{Count: 600, Per: time.Minute}
	ctx := b.Context()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := l.Allow(ctx, keys[i%len(keys)], rate, 1); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
