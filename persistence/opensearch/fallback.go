package opensearch

import (
	"context"
	"errors"

	"kith/persistence"
)

// Fallback searches in the engine, and in the database while the engine is away, does
// not answer in time, has no index yet or is not told of what changes. Both find the
// same, and a cursor of the one is good for the other.
type Fallback struct {
	engine *Engine
	own    persistence.Search
	stale  func() bool
}

var _ persistence.Search = (*Fallback)(nil)

// NewFallback makes a Fallback; own is the search of the database, and stale says
// whether the engine is not told of what changes.
func NewFallback(engine *Engine, own persistence.Search, stale func() bool) *Fallback {
	return &Fallback{engine, own, stale}
}

// Search implements persistence.Search.
func (f *Fallback) Search(ctx context.Context, q persistence.SearchQuery, after persistence.SearchCursor, limit int) ([]persistence.SearchHit, error) {
	if !f.engine.Away() && !f.stale() {
		hits, err := f.engine.Search(ctx, q, after, limit)
		switch {
		case err == nil:
			f.engine.watch.Worked()
			return hits, nil
		case errors.Is(ctx.Err(), context.Canceled):
			return nil, err
		case !errors.Is(err, persistence.ErrNoIndex):
			f.engine.watch.Failed()
		}
	}
	f.engine.metrics.fallbacks.Inc()
	return f.own.Search(ctx, q, after, limit) //nolint:wrapcheck // as if it had been asked
}
