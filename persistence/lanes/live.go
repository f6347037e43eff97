package lanes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
)

// LiveConfig is what a Live needs.
type LiveConfig struct {
	Users      persistence.LiveUsers
	Journal    persistence.Journal
	Committer  *Committer
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: not registered
}

// Live knows which users exist, and lists them in an order that a seed shuffles.
// It is read from the database once and then follows the lanes: what its own
// node commits it knows before the turn is answered. What the committer itself
// does not know to be committed, after an unknown outcome, Run reads from the
// lanes once the outcome is settled.
//
// All methods may be called concurrently, while Run runs once.
type Live struct {
	cfg LiveConfig

	mu    sync.RWMutex
	set   liveSet
	heads [persistence.LaneCount]uint64 // how far it has come in each lane
}

// liveChunk is how many records are read at once.
const liveChunk = 512

// NewLive reads who exists and begins to follow the committer.
func NewLive(ctx context.Context, cfg LiveConfig) (*Live, error) {
	if cfg.Users == nil || cfg.Journal == nil || cfg.Committer == nil || cfg.Logger == nil {
		return nil, errors.New("lanes: the live users need a database, a journal, a committer and a logger")
	}
	l := &Live{cfg: cfg}
	var err error
	l.heads, err = cfg.Users.LiveIDs(ctx, func(ids []user.ID) error {
		for _, id := range ids {
			l.set.add(id)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the live users: %w", err)
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kith_live_users", Help: "Users who exist.",
		}, func() float64 { return float64(l.Len()) }))
	}
	cfg.Committer.BeforeAnswers(l.apply)
	return l, nil
}

// Len returns how many users exist.
func (l *Live) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.set.total
}

// Page returns up to limit users from the given offset on, in the order of seed.
// The order of two users depends on them and the seed alone, so pages of one
// seed neither repeat nor miss anybody while nobody comes or goes, and who comes
// or goes moves no two others past each other. The cost does not depend on the
// offset.
func (l *Live) Page(seed string, offset, limit int) []user.ID {
	o := newShuffle(seed) // without the lock: it is most of the work
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.set.page(o, offset, limit)
}

// apply takes records of a lane, ascending. It passes over those that it has
// had; after a gap it takes none, and leaves the lane to Run.
func (l *Live) apply(lane uint8, records []persistence.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range records {
		r := &records[i]
		switch {
		case r.Pos <= l.heads[lane]:
			continue
		case r.Pos != l.heads[lane]+1:
			return
		}
		l.heads[lane] = r.Pos
		switch r.Kind { //nolint:exhaustive // the others change nobody's being there
		case persistence.KindRegistered:
			l.set.add(r.User)
		case persistence.KindDeleted:
			l.set.remove(r.User)
		}
	}
}

// Run catches up where the committer has left a gap, until ctx ends. A lane that
// cannot be read is tried again.
func (l *Live) Run(ctx context.Context) error {
	r := NewReader(l.cfg.Committer, l.cfg.Journal)
	backoff := minBackoff
	var behind uint64
	for {
		var again <-chan time.Time
		if behind != 0 {
			again = time.After(backoff)
			backoff = min(2*backoff, maxBackoff)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.Wake():
		case <-again:
		}
		dirty := behind | r.Dirty()
		behind = 0
		for rest := dirty; rest != 0; rest &= rest - 1 {
			lane := uint8(bits.TrailingZeros64(rest)) //nolint:gosec // below 64
			if err := l.catchUp(ctx, r, lane); err != nil && ctx.Err() == nil {
				l.cfg.Logger.Warn("the list of users is behind a lane", "lane", lane, "error", err, "retry_in", backoff)
				behind |= 1 << lane
			}
		}
		if behind == 0 {
			backoff = minBackoff
		}
	}
}

// catchUp applies what the lane holds above what was applied.
func (l *Live) catchUp(ctx context.Context, r *Reader, lane uint8) error {
	for {
		l.mu.RLock()
		head := l.heads[lane]
		l.mu.RUnlock()
		records, err := r.After(ctx, lane, head, liveChunk)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return nil
		}
		if records[0].Pos != head+1 {
			return fmt.Errorf("read lane %d after %d: the next record is at %d", lane, head, records[0].Pos)
		}
		l.apply(lane, records)
	}
}
