package redis_test

import (
	"testing"
	"time"

	"kith/persistence"
	"kith/persistence/memory"
	"kith/persistence/persistencetest"
	"kith/persistence/redis"
)

func limits(t *testing.T, cfg redis.Config) *redis.Limits {
	t.Helper()
	return limitsOf(t, client(t, cfg))
}

func limitsOf(t *testing.T, c *redis.Client) *redis.Limits {
	t.Helper()
	fallback, err := memory.NewLimits(memory.LimitsConfig{})
	must(t, err)
	l, err := redis.NewLimits(c, fallback)
	must(t, err)
	return l
}

func TestLimits(t *testing.T) {
	t.Parallel()
	persistencetest.RunLimits(t, func(t *testing.T) persistence.Limits {
		t.Helper()
		return limits(t, redis.Config{URL: database(t)})
	})
}

func TestProcessesShareTheirCounts(t *testing.T) {
	t.Parallel()
	url := database(t)
	one, two := limits(t, redis.Config{URL: url}), limits(t, redis.Config{URL: url})
	rate := persistence.Rate{Count: 3, Per: time.Hour}
	for i, want := range []bool{true, true, true, false, false} {
		a, err := []*redis.Limits{one, two}[i%2].Allow(t.Context(), "key", rate, 1)
		must(t, err)
		if a.Allowed != want {
			t.Fatalf("at %d: %+v", i, a)
		}
	}
	rdb := raw(t, url)
	ttl, err := rdb.PTTL(t.Context(), "kith:limit:key").Result()
	must(t, err)
	if ttl <= 59*time.Minute || ttl > time.Hour {
		t.Fatalf("the count lives %s", ttl)
	}
}

func TestLimitsHoldWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	p, _ := startProxy(t)
	p.set(cut)
	l := limits(t, redis.Config{URL: p.url()})
	rate := persistence.Rate{Count: 3, Per: time.Hour}
	for i := range 6 {
		a, err := l.Allow(t.Context(), "key", rate, 1)
		must(t, err)
		if a.Allowed != (i < 3) {
			t.Fatalf("at %d: %+v", i, a)
		}
	}
}

func TestLimitsNeedAFallback(t *testing.T) {
	t.Parallel()
	if _, err := redis.NewLimits(client(t, redis.Config{URL: database(t)}), nil); err == nil {
		t.Fatal("without a fallback, limits end with redis")
	}
}
