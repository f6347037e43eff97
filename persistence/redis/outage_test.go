package redis_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/redis"
)

// away has the puts fail until the breaker is open.
func away(t *testing.T, c *redis.Client, cards *redis.Cards, card *persistence.CachedCard) {
	t.Helper()
	for range 10 {
		if err := cards.Put(t.Context(), []*persistence.CachedCard{card}); err == nil {
			t.Fatal("a put succeeds without redis")
		}
	}
	if !c.Degraded() {
		t.Fatal("the breaker did not open")
	}
}

func TestARestartWithOldDataIsNotRead(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	url := "redis://" + s.addr
	var now clock
	writing, reading := client(t, redis.Config{URL: url, Now: now.now}), client(t, redis.Config{URL: url, Now: now.now})
	writer, reader := redis.NewCards(writing), redis.NewCards(reading)
	put(t, writer, card(1, 1), card(2, 1))
	must(t, raw(t, url).Save(t.Context()).Err())
	put(t, writer, card(1, 2))
	if got := get(t, reader, 1); got == nil || got.Card.Version != 2 {
		t.Fatalf("found %+v", got)
	}
	s.kill()
	away(t, writing, writer, card(1, 3))
	must(t, s.start(t.Context()))
	old, err := raw(t, url).Keys(t.Context(), "kith:*:card:*").Result()
	if must(t, err); len(old) != 2 {
		t.Fatalf("the restarted server has %q, want the old cards", old)
	}
	now.advance(2 * time.Second)
	for id := range user.ID(2) {
		for _, c := range []*redis.Cards{reader, writer} {
			if got := get(t, c, id+1); got != nil {
				t.Fatalf("found version %d, from before the restart", got.Card.Version)
			}
		}
	}
	if writing.Degraded() || reading.Degraded() {
		t.Fatal("redis is back, and not used")
	}
	put(t, writer, card(1, 3))
	for _, c := range []*redis.Cards{reader, writer} {
		if got := get(t, c, 1); got == nil || got.Card.Version != 3 {
			t.Fatalf("found %+v", got)
		}
	}
}

// The connections of the reader break while nobody writes, and no call fails: it
// is the new connection that must notice.
func TestAQuietRestartWithOldDataIsNotRead(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	url := "redis://" + s.addr
	c := redis.NewCards(client(t, redis.Config{URL: url}))
	put(t, c, card(1, 1))
	must(t, raw(t, url).Save(t.Context()).Err())
	put(t, c, card(1, 2))
	s.kill()
	must(t, s.start(t.Context()))
	for range 5 {
		cards, err := c.Get(t.Context(), []user.ID{1})
		if err == nil && cards[0] != nil {
			t.Fatalf("found version %d", cards[0].Card.Version)
		}
	}
	put(t, c, card(1, 2))
	if get(t, c, 1) == nil {
		t.Fatal("redis is back, and not used")
	}
}

func TestAPutThatFailedIsNotHiddenByTheCardBefore(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]mode{"cut": cut, "hanging": hanging} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, url := startProxy(t)
			other := redis.NewCards(client(t, redis.Config{URL: url}))
			// Long enough for what passes, on a machine that is busy.
			cards := redis.NewCards(client(t, redis.Config{URL: p.url(), Timeout: 500 * time.Millisecond}))
			put(t, cards, card(1, 1))
			p.set(m)
			if err := cards.Put(t.Context(), []*persistence.CachedCard{card(1, 2)}); err == nil {
				t.Fatal("the put succeeded")
			}
			p.set(passing)
			if got := get(t, cards, 1); got != nil {
				t.Fatalf("found version %d", got.Card.Version)
			}
			if got := get(t, other, 1); got != nil {
				t.Fatalf("the other process found version %d", got.Card.Version)
			}
			// A fill that is late does not bring it back either.
			put(t, cards, card(1, 1))
			if got := get(t, cards, 1); got != nil {
				t.Fatalf("found version %d", got.Card.Version)
			}
			put(t, cards, card(1, 2))
			if got := get(t, other, 1); got == nil || got.Card.Version != 2 {
				t.Fatalf("found %+v", got)
			}
		})
	}
}

func TestAStartLeavesWhatItsPredecessorMayHaveOwed(t *testing.T) {
	t.Parallel()
	url := database(t)
	put(t, redis.NewCards(client(t, redis.Config{URL: url})), card(1, 1))
	if got := get(t, redis.NewCards(client(t, redis.Config{URL: url})), 1); got != nil {
		t.Fatalf("found %+v", got)
	}
}

// One who stood by while another put cards takes over: what that one has committed
// last, and not put, must not be hidden by the card before.
func TestOneWhoTakesOverLeavesWhatTheOtherMayHaveOwed(t *testing.T) {
	t.Parallel()
	url := database(t)
	standby := client(t, redis.Config{URL: url})
	cards := redis.NewCards(standby)
	put(t, redis.NewCards(client(t, redis.Config{URL: url})), card(1, 1))
	if got := get(t, cards, 1); got == nil {
		t.Fatal("the card that the other has put is not found")
	}
	standby.Doubt()
	if got := get(t, cards, 1); got != nil {
		t.Errorf("version %d is found, from before", got.Card.Version)
	}
	put(t, cards, card(1, 3))
	if got := get(t, cards, 1); got == nil || got.Card.Version != 3 {
		t.Errorf("found %+v, want what was put since", got)
	}
}

func TestAFlushedServerIsUsedAgain(t *testing.T) {
	t.Parallel()
	url := database(t)
	c := redis.NewCards(client(t, redis.Config{URL: url}))
	put(t, c, card(1, 1))
	must(t, raw(t, url).FlushDB(t.Context()).Err())
	if got := get(t, c, 1); got != nil {
		t.Fatalf("found %+v", got)
	}
	put(t, c, card(1, 1))
	if get(t, c, 1) == nil {
		t.Fatal("not found")
	}
}

func TestASlowRedisCostsNoMoreThanTheTimeout(t *testing.T) {
	t.Parallel()
	p, _ := startProxy(t)
	c := client(t, redis.Config{URL: p.url(), Timeout: 300 * time.Millisecond})
	cards := redis.NewCards(c)
	put(t, cards, card(1, 1))
	p.set(hanging)
	for !c.Degraded() {
		start := time.Now()
		got, err := cards.Get(t.Context(), []user.ID{1})
		if err == nil && got[0] != nil {
			t.Fatal("what hangs answers")
		}
		// The slack is for a machine that is busy.
		if took := time.Since(start); took > 300*time.Millisecond+250*time.Millisecond {
			t.Fatalf("a call took %s", took)
		}
	}
}

func TestARedisThatIsAwayIsAskedByOneCallerAtATime(t *testing.T) {
	t.Parallel()
	p, _ := startProxy(t)
	var now clock
	registry := prometheus.NewRegistry()
	c := client(t, redis.Config{URL: p.url(), Timeout: 300 * time.Millisecond, Now: now.now, Registerer: registry})
	cards := redis.NewCards(c)
	limits := limitsOf(t, c)
	p.set(hanging)
	for !c.Degraded() {
		if err := cards.Put(t.Context(), []*persistence.CachedCard{card(1, 1)}); err == nil {
			t.Fatal("the put succeeded")
		}
	}
	if total(t, registry, "kith_redis_breaker_open") != 1 {
		t.Fatal("the metric does not show it")
	}
	for range 2 {
		before := total(t, registry, "kith_redis_failures_total")
		now.advance(2 * time.Second)
		var running sync.WaitGroup
		for range 32 {
			running.Go(func() {
				if err := cards.Put(t.Context(), []*persistence.CachedCard{card(1, 1)}); err == nil {
					t.Error("the put succeeded")
				}
				if _, err := limits.Allow(t.Context(), "key", persistence.Rate{Count: 1, Per: time.Hour}, 1); err != nil {
					t.Error(err)
				}
				if _, _, err := cards.IDByUsername(t.Context(), "name1"); err != nil && !strings.Contains(err.Error(), "redis: ") {
					t.Error(err)
				}
			})
		}
		running.Wait()
		if asked := total(t, registry, "kith_redis_failures_total") - before; asked != 1 {
			t.Fatalf("redis was asked %v times", asked)
		}
	}
	connections := p.connections()
	for range 100 {
		if err := cards.Put(t.Context(), []*persistence.CachedCard{card(1, 1)}); !errors.Is(err, redis.ErrAway) {
			t.Fatalf("error %v", err)
		}
	}
	if p.connections() != connections {
		t.Fatal("what is away is dialled")
	}
	p.set(passing)
	now.advance(2 * time.Second)
	put(t, cards, card(1, 1))
	if c.Degraded() || get(t, cards, 1) == nil {
		t.Fatal("redis is back, and not used")
	}
}

func TestARedisThatIsAwayAtTheStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	p, _ := startProxy(t)
	p.set(cut)
	var now clock
	c := client(t, redis.Config{URL: p.url(), Now: now.now})
	cards := redis.NewCards(c)
	away(t, c, cards, card(7, 1))
	if get(t, cards, 7) != nil {
		t.Fatal("found")
	}
	p.set(passing)
	now.advance(2 * time.Second)
	put(t, cards, card(7, 1))
	if get(t, cards, 7) == nil {
		t.Fatal("not found")
	}
}

func TestAMalformedURLIsRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "localhost:6379", "http://user:secret@host", "redis://user:secret@host:port/x", "redis://user:secret@host/x",
		"redis://user:secret@ho st", "redis://user:sec\x7fret@host", "redis://user:%zzsecret@host", "redis://user:secret@host/0?secret=1",
	} {
		_, err := redis.Open(t.Context(), redis.Config{URL: url})
		for _, err := range []error{err, redis.CheckURL(url)} {
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: error %v", url, err)
			}
		}
	}
	must(t, redis.CheckURL("rediss://user:secret@host:6379/3"))
}
