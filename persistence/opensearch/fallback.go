package opensearch

import (
	"context"
	"errors"

	"kith/persistence"
)

// Fallback searches in the engine, and in the database while the engine is away, does
// not answer in time or has no index yet. Both find the same, and a cursor of the one
// is good for the other.
type Fallback struct {
	engine *Engine
	own    persistence.Search
}

var _ persistence.Search = (*Fallback)(nil)

// NewFallback makes a Fallback; own is the search of the database.
func NewFallback(engine *Engine, own persistence.Search) *Fallback {
	return &Fallback{engine, own}
}

// Search implements persistence.Search.
func (f *Fallback) Search(ctx context.Context, q persistence.SearchQuery, after persistence.SearchCursor, limit int) ([]persistence.SearchHit, error) {
	if !f.engine.Away() {
		hits, err := f.engine.Search(ctx, q, after, limit)
		if err == nil || errors.Is(ctx.Err(), context.Canceled) {
			return hits, err
		}
		if !errors.Is(err, persistence.ErrNoIndex) {
			f.engine.watch.Suspect()
		}
	}
	f.engine.metrics.fallbacks.Inc()
	return f.own.Search(ctx, q, after, limit) //nolint:wrapcheck // as if it had been asked
}
