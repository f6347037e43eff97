package memory_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/memory"
	"kith/persistence/persistencetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, cfg memory.Config) *memory.Cards {
	t.Helper()
	c, err := memory.NewCards(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConformance(t *testing.T) {
	t.Parallel()
	persistencetest.RunCards(t, func(t *testing.T) persistence.Cards {
		t.Helper()
		return open(t, memory.Config{})
	})
}

func TestCacheStaysWithinItsBytes(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	c := open(t, memory.Config{Bytes: 1 << 20, Registerer: registry})
	var putting sync.WaitGroup
	for part := range 4 {
		putting.Go(func() {
			for i := range 5000 {
				id := user.ID(part*5000 + i + 1)
				card := persistence.NewCard(user.Card{ID: id, Version: 1, Username: fmt.Sprintf("user%d", id), Picture: strings.Repeat("p", 500)})
				if err := c.Put(context.WithoutCancel(t.Context()), []*persistence.CachedCard{card}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	putting.Wait()
	// 20,000 cards of more than a kilobyte each were put.
	// What is over the bound goes soon after, beside the puts.
	if bytes := metric(t, registry, "kith_card_cache_bytes"); bytes == 0 || bytes > 2<<20 {
		t.Errorf("the cache takes %.0f bytes of %d", bytes, 1<<20)
	}
	if n := metric(t, registry, "kith_card_cache_entries"); n == 0 || n > 2048 {
		t.Errorf("the cache has %.0f entries", n)
	}
	if n := metric(t, registry, "kith_card_cache_evictions_total"); n < 15_000 {
		t.Errorf("%.0f evictions", n)
	}
}

func TestHitsAndMissesAreCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	c := open(t, memory.Config{Registerer: registry})
	if err := c.Put(t.Context(), []*persistence.CachedCard{persistence.NewCard(user.Card{ID: 1, Version: 1, Username: "one"})}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), []user.ID{1, 2, 3, 1}); err != nil {
		t.Fatal(err)
	}
	if hits, misses := metric(t, registry, "kith_card_cache_hits_total"), metric(t, registry, "kith_card_cache_misses_total"); hits != 2 || misses != 2 {
		t.Errorf("%.0f hits and %.0f misses, want 2 and 2", hits, misses)
	}
}

func TestDeletionForgetsTheNameUnlessItWasTakenOver(t *testing.T) {
	t.Parallel()
	c := open(t, memory.Config{})
	put := func(cards ...*persistence.CachedCard) {
		t.Helper()
		if err := c.Put(t.Context(), cards); err != nil {
			t.Fatal(err)
		}
	}
	bears := func(name string) user.ID {
		t.Helper()
		id, _, err := c.IDByUsername(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	put(persistence.NewCard(user.Card{ID: 1, Version: 1, Username: "one"}), persistence.NewTombstone(1, 2))
	if id := bears("one"); id != 0 {
		t.Errorf("the name of a deleted user leads to %d", id)
	}
	put(persistence.NewCard(user.Card{ID: 2, Version: 1, Username: "two"}), persistence.NewCard(user.Card{ID: 3, Version: 1, Username: "two"}), persistence.NewTombstone(2, 2))
	if id := bears("two"); id != 3 {
		t.Errorf("the name leads to %d, want 3, who took it over", id)
	}
}

func TestTooSmallACacheIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := memory.NewCards(memory.Config{Bytes: 1000}); err == nil {
		t.Fatal("no error")
	}
}

func metric(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
