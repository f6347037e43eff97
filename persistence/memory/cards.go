package memory

import (
	"context"
	"errors"
	"fmt"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
)

// Config bounds a cache.
type Config struct {
	// Bytes is about what the cards and the names may take; 0: 64 MiB, which
	// hold some eighty thousand cards.
	Bytes int
	// Registerer takes the metrics; nil: they are not registered.
	Registerer prometheus.Registerer
}

const (
	defaultBytes = 64 << 20
	minBytes     = 1 << 20
	namesShare   = 8   // of the bytes, one in so many is for names
	cardBytes    = 448 // of a card without its strings and its encoding
	nameBytes    = 96  // of a name's entry without the name
)

// Cards is a cache of cards in this process.
type Cards struct {
	cards   *otter.Cache[user.ID, *persistence.CachedCard]
	names   *otter.Cache[string, user.ID]
	metrics *metrics
}

var _ persistence.Cards = (*Cards)(nil)

// NewCards makes a cache.
func NewCards(cfg Config) (*Cards, error) {
	switch {
	case cfg.Bytes == 0:
		cfg.Bytes = defaultBytes
	case cfg.Bytes < minBytes:
		return nil, fmt.Errorf("memory: cache of %d bytes: at least %d are needed", cfg.Bytes, minBytes)
	}
	c := &Cards{metrics: newMetrics()}
	names := cfg.Bytes / namesShare
	var err, namesErr error
	c.cards, err = otter.New(&otter.Options[user.ID, *persistence.CachedCard]{
		MaximumWeight: uint64(cfg.Bytes - names), //nolint:gosec // positive
		Weigher: func(_ user.ID, card *persistence.CachedCard) uint32 {
			return weight(cardBytes + len(card.JSON) + len(card.Card.Username) + len(card.Card.Name) + len(card.Card.Picture))
		},
		StatsRecorder: &evictions{counter: c.metrics.evictions},
	})
	c.names, namesErr = otter.New(&otter.Options[string, user.ID]{
		MaximumWeight: uint64(names), //nolint:gosec // positive
		Weigher:       func(name string, _ user.ID) uint32 { return weight(nameBytes + len(name)) },
	})
	if err := errors.Join(err, namesErr); err != nil {
		return nil, fmt.Errorf("memory: make a cache: %w", err)
	}
	c.metrics.register(cfg.Registerer, c)
	return c, nil
}

func weight(bytes int) uint32 { return uint32(min(bytes, 1<<30)) } //nolint:gosec // bounded

// Get implements persistence.Cards.
func (c *Cards) Get(_ context.Context, ids []user.ID) ([]*persistence.CachedCard, error) {
	cards := make([]*persistence.CachedCard, len(ids))
	hits := 0
	for i, id := range ids {
		if card, ok := c.cards.GetIfPresent(id); ok {
			cards[i] = card
			hits++
		}
	}
	if hits > 0 {
		c.metrics.hits.Add(float64(hits))
	}
	if misses := len(ids) - hits; misses > 0 {
		c.metrics.misses.Add(float64(misses))
	}
	return cards, nil
}

// IDByUsername implements persistence.Cards.
func (c *Cards) IDByUsername(_ context.Context, username string) (user.ID, bool, error) {
	id, ok := c.names.GetIfPresent(username)
	return id, ok, nil
}

// Put implements persistence.Cards.
func (c *Cards) Put(_ context.Context, cards []*persistence.CachedCard) error {
	for _, card := range cards {
		c.put(card)
	}
	return nil
}

func (c *Cards) put(card *persistence.CachedCard) {
	var before *persistence.CachedCard
	taken := false
	c.cards.Compute(card.Card.ID, func(old *persistence.CachedCard, found bool) (*persistence.CachedCard, otter.ComputeOp) {
		before, taken = old, !found || beats(card, old)
		if !taken {
			return old, otter.CancelOp
		}
		return card, otter.WriteOp
	})
	switch {
	case !taken:
	case !card.Deleted:
		c.hint(card.Card.Username, card.Card.ID)
	case before != nil && !before.Deleted:
		c.forget(before.Card.Username, card.Card.ID)
	}
}

func beats(card, old *persistence.CachedCard) bool {
	if card.Deleted != old.Deleted {
		return card.Deleted
	}
	return card.Card.Version > old.Card.Version
}

// hint notes who bears a name. Most puts change nothing, and reading is cheaper.
func (c *Cards) hint(name string, id user.ID) {
	if known, ok := c.names.GetIfPresent(name); !ok || known != id {
		c.names.Set(name, id)
	}
}

// forget drops the hint of a name, unless somebody else bears it by now.
func (c *Cards) forget(name string, id user.ID) {
	c.names.ComputeIfPresent(name, func(known user.ID) (user.ID, otter.ComputeOp) {
		if known == id {
			return known, otter.InvalidateOp
		}
		return known, otter.CancelOp
	})
}

type metrics struct{ hits, misses, evictions prometheus.Counter }

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "kith", Subsystem: "card_cache", Name: name, Help: help})
	}
	return &metrics{
		hits:      counter("hits_total", "Cards asked for that were in the cache."),
		misses:    counter("misses_total", "Cards asked for that were not in the cache."),
		evictions: counter("evictions_total", "Cards dropped because the cache was full."),
	}
}

func (m *metrics) register(r prometheus.Registerer, c *Cards) {
	if r == nil {
		return
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "kith", Subsystem: "card_cache", Name: name, Help: help}, value)
	}
	r.MustRegister(
		m.hits, m.misses, m.evictions,
		gauge("entries", "Cards and tombstones in the cache.", func() float64 { return float64(c.cards.EstimatedSize()) }),
		gauge("bytes", "About what the cards in the cache take.", func() float64 { return float64(c.cards.WeightedSize()) }),
	)
}

// evictions counts what the cache drops; hits are counted a call at a time.
type evictions struct {
	stats.NoopRecorder
	counter prometheus.Counter
}

// RecordEviction implements stats.Recorder.
func (e *evictions) RecordEviction(uint32) { e.counter.Inc() }
