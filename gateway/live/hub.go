package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"runtime"
	"sync"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

const (
	// maxSockets is how many sessions a user may have on one node.
	maxSockets = 20
	// maxWatches is how many users a session may watch.
	maxWatches = 100
	// cursorEvery is how often sessions that are sent something get a cursor.
	cursorEvery  = time.Second
	deliverChunk = 512 // records at once
	readTimeout  = 5 * time.Second
	retryLane    = 100 * time.Millisecond
	// refillRecords is how many of the newest records of each lane are read at the
	// start.
	refillRecords = 512
)

// CardAt asks for the card of a user that is no older than a version of it.
type CardAt struct {
	ID      user.ID
	Version uint64 // of user.Card; 0: as it is now
}

// People is what the hub reads of users. What it returns is committed.
type People interface {
	// Cards returns the cards that are asked for, in their order; nil or a tombstone
	// where nobody is.
	Cards(ctx context.Context, wanted []CardAt) ([]*persistence.CachedCard, error)
	// Following returns whom the reader follows. It may be behind what the lanes
	// hold by what was committed a moment ago.
	Following(ctx context.Context, reader user.ID) ([]user.ID, error)
	// Follows says of each of the readers whether the author follows them.
	Follows(ctx context.Context, author user.ID, readers []user.ID) ([]bool, error)
}

// Lanes is where the records come from.
type Lanes interface {
	// Heads returns the highest committed position of every lane.
	Heads(ctx context.Context) ([persistence.LaneCount]uint64, error)
	// After returns up to limit records of a lane above pos, ascending and dense.
	After(ctx context.Context, lane uint8, pos uint64, limit int) ([]persistence.Record, error)
	// Wake is ready when Dirty would return lanes.
	Wake() <-chan struct{}
	// Dirty returns the lanes with records since the last call, bit n for lane n.
	Dirty() uint64
}

// Config is what a Hub needs.
type Config struct {
	People  People
	Lanes   Lanes
	Feeds   persistence.Feeds
	Cursors *Cursors
	Logger  *slog.Logger
	Metrics *Metrics // nil: nothing is counted
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// RecentBytes bounds the newest records that are kept for clients who come back.
	// Default 128 MiB.
	RecentBytes int
	// Shards is how many goroutines write; one a core when 0.
	Shards int
}

// Hub hands the records of all lanes to the sessions of this node.
type Hub struct {
	cfg    Config
	shards []*shard
	gate   sync.RWMutex // see shard; taken after mu

	mu        sync.Mutex
	interests interests
	recents   recents
	departed  departed
	positions Positions // everything up to here is in the queues
	next      int       // the shard of the next session
	stopped   bool
}

// New makes a Hub that begins where the lanes end. What they hold last it reads, so
// that clients that come back after a restart need not ask the database.
func New(ctx context.Context, cfg Config) (*Hub, error) {
	if cfg.People == nil || cfg.Lanes == nil || cfg.Feeds == nil || cfg.Cursors == nil || cfg.Logger == nil {
		return nil, errors.New("live: a hub needs people, lanes, feeds, cursors and a logger")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.RecentBytes <= 0 {
		cfg.RecentBytes = 128 << 20
	}
	if cfg.Shards <= 0 {
		cfg.Shards = runtime.GOMAXPROCS(0)
	}
	heads, err := cfg.Lanes.Heads(ctx)
	if err != nil {
		return nil, fmt.Errorf("live: read the heads of the lanes: %w", err)
	}
	h := &Hub{cfg: cfg, interests: newInterests(), recents: newRecents(cfg.RecentBytes, heads), departed: newDeparted(), positions: heads}
	for range cfg.Shards {
		h.shards = append(h.shards, newShard(cfg.Metrics, &h.gate))
	}
	if err := h.refill(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

// refill reads the newest records of every lane.
func (h *Hub) refill(ctx context.Context) error {
	for lane := range uint8(persistence.LaneCount) {
		head := h.positions[lane]
		from := head - min(head, refillRecords)
		records, err := h.cfg.Lanes.After(ctx, lane, from, refillRecords)
		if err != nil {
			return fmt.Errorf("live: read lane %d after %d: %w", lane, from, err)
		}
		h.recents.floor[lane] = from
		for i := range records {
			if records[i].Pos > head {
				break
			}
			h.recents.add(&recent{record: records[i]})
		}
	}
	return nil
}

// Run delivers until ctx ends, and then closes all sessions as going away.
func (h *Hub) Run(ctx context.Context) error {
	var writers sync.WaitGroup
	for _, sh := range h.shards {
		writers.Go(func() { sh.run(ctx) })
	}
	h.deliver(ctx)
	writers.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	for _, sessions := range h.interests.readers {
		for s := range sessions {
			s.close(CloseGoingAway, "going away")
		}
	}
	return nil
}

// deliver follows the lanes. A lane that cannot be read, or whose users cannot,
// is tried again: nothing is left out.
func (h *Hub) deliver(ctx context.Context) {
	closed := make(chan time.Time) // always ready
	close(closed)
	tick := time.NewTicker(cursorEvery)
	defer tick.Stop()
	var failed, behind uint64
	for {
		var again <-chan time.Time
		switch {
		case failed != 0:
			again = time.After(retryLane)
		case behind != 0:
			again = closed
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.issueCursors()
		case <-h.cfg.Lanes.Wake():
		case <-again:
		}
		failed, behind = h.followAll(ctx, failed, behind|h.cfg.Lanes.Dirty())
	}
}

// followAll delivers what lanes hold, one chunk of each, and returns the one that
// could not be read, if any, and those that may hold more. The one that failed
// before comes first, and while it fails nothing of the others is delivered: it may
// hold an unfollow that would keep them from being shown.
func (h *Hub) followAll(ctx context.Context, failed, dirty uint64) (fails, behind uint64) {
	for _, lanes := range [...]uint64{failed, dirty &^ failed} {
		for rest := lanes; rest != 0 && ctx.Err() == nil; rest &= rest - 1 {
			lane := uint8(bits.TrailingZeros64(rest)) //nolint:gosec // below 64
			more, err := h.follow(ctx, lane)
			if err != nil && ctx.Err() == nil {
				h.cfg.Logger.Warn("a lane is not delivered; it is tried again", "lane", lane, "error", err)
				return 1 << lane, dirty | failed
			}
			if more {
				behind |= 1 << lane
			}
		}
	}
	return 0, behind
}

// follow delivers the next records of a lane and reports whether there may be
// more.
func (h *Hub) follow(ctx context.Context, lane uint8) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	h.mu.Lock()
	pos := h.positions[lane]
	h.mu.Unlock()
	records, err := h.cfg.Lanes.After(ctx, lane, pos, deliverChunk)
	if err != nil {
		return true, fmt.Errorf("read lane %d after %d: %w", lane, pos, err)
	}
	for i := range records {
		if records[i].Pos != pos+1+uint64(i) {
			return true, fmt.Errorf("read lane %d after %d: the next record is at %d", lane, pos+uint64(i), records[i].Pos)
		}
	}
	if len(records) == 0 {
		return false, nil
	}
	return len(records) == deliverChunk, h.take(ctx, lane, records)
}

// issueCursors sends a cursor to whoever was sent something since the last one.
// Run alone delivers, so that nothing comes between the positions and the frame.
func (h *Hub) issueCursors() {
	h.mu.Lock()
	text := h.sealed(h.positions)
	h.mu.Unlock()
	f := CursorFrame(text)
	for _, sh := range h.shards {
		sh.issue(f)
	}
}

func (h *Hub) sealed(at Positions) string {
	return h.cfg.Cursors.Seal(Cursor{Positions: at, IssuedAt: h.cfg.Now()})
}
