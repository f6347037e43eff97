package lanes

import (
	"cmp"
	"slices"
	"sync/atomic"

	"kith/persistence"
)

// Watcher is told which lanes have new records.
type Watcher struct {
	dirty atomic.Uint64
	wake  chan struct{} // holds one: wake-ups that nobody took yet are one
}

// Watch returns a watcher that finds every lane dirty at first.
func (c *Committer) Watch() *Watcher {
	w := &Watcher{wake: make(chan struct{}, 1)}
	w.mark(^uint64(0))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(c.watchers, w)
	return w
}

// Wake is ready when Dirty would return lanes.
func (w *Watcher) Wake() <-chan struct{} { return w.wake }

// Dirty returns the lanes with records since the last call, bit n for lane n.
func (w *Watcher) Dirty() uint64 { return w.dirty.Swap(0) }

func (w *Watcher) mark(lanes uint64) {
	w.dirty.Or(lanes)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (c *Committer) wake(dirty uint64) {
	if dirty == 0 {
		return
	}
	c.mu.Lock()
	watchers := c.watchers
	c.mu.Unlock()
	for _, w := range watchers {
		w.mark(dirty)
	}
}

func sortByPos(records []persistence.Record) []persistence.Record {
	slices.SortFunc(records, func(a, b persistence.Record) int { return cmp.Compare(a.Pos, b.Pos) })
	return records
}
