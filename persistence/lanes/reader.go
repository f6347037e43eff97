package lanes

import (
	"context"
	"fmt"

	"kith/persistence"
)

// Reader follows the lanes of a committer: what its rings have lost it reads from
// the journal. It may be used concurrently, but for Wake and Dirty, which are for
// one.
type Reader struct {
	committer *Committer
	journal   persistence.Journal
	watcher   *Watcher
}

// NewReader makes a Reader that finds every lane dirty at first.
func NewReader(c *Committer, j persistence.Journal) *Reader {
	return &Reader{committer: c, journal: j, watcher: c.Watch()}
}

// Heads returns the highest committed positions of all lanes at one moment, as far
// as the committer knows.
func (r *Reader) Heads(context.Context) ([persistence.LaneCount]uint64, error) {
	return r.committer.Heads(), nil
}

// After returns up to limit records of a lane above pos, ascending and dense.
func (r *Reader) After(ctx context.Context, lane uint8, pos uint64, limit int) ([]persistence.Record, error) {
	if records, ok := r.committer.Ring(lane).After(pos, nil, limit); ok {
		return records, nil
	}
	records, err := r.journal.ReadLane(ctx, lane, pos, limit)
	if err != nil {
		return nil, fmt.Errorf("read lane %d after %d: %w", lane, pos, err)
	}
	return records, nil
}

// Wake is ready when Dirty would return lanes.
func (r *Reader) Wake() <-chan struct{} { return r.watcher.Wake() }

// Dirty returns the lanes with records since the last call, bit n for lane n.
func (r *Reader) Dirty() uint64 { return r.watcher.Dirty() }
