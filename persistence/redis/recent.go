package redis

import (
	"math"
	"sync"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

const (
	recentFor     = 10 * time.Second
	recentEntries = 32 << 10 // of one of two maps: a few megabytes at most
)

// recent knows the newest versions that this process put in the last while. It
// refuses what is older, since Redis may have evicted the newer.
type recent struct {
	now func() time.Time

	mu         sync.Mutex
	young, old map[user.ID]uint64
	turned     time.Time // when young began
}

// newest returns those of cards that are not older than what was put, and notes
// them. A tombstone is newer than every card.
func (r *recent) newest(cards []*persistence.CachedCard) []*persistence.CachedCard {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Full: the older half goes before its time, and protects no longer.
	if now := r.now(); r.young == nil || now.Sub(r.turned) >= recentFor || len(r.young) >= recentEntries {
		r.young, r.old, r.turned = make(map[user.ID]uint64), r.young, now
	}
	kept := make([]*persistence.CachedCard, 0, len(cards))
	for _, c := range cards {
		version := c.Card.Version
		if c.Deleted {
			version = math.MaxUint64
		}
		if version < max(r.young[c.Card.ID], r.old[c.Card.ID]) {
			continue
		}
		r.young[c.Card.ID] = version
		kept = append(kept, c)
	}
	return kept
}
