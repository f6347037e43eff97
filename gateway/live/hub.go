package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	// cursorEvery is how often sessions that are sent something get a cursor: with
	// what a round takes, at least every second.
	cursorEvery  = 800 * time.Millisecond
	deliverChunk = 256 // records at once
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
	// Heads returns the highest committed positions of all lanes at one moment: what
	// somebody did who knew of a record is not below them without that record.
	Heads(ctx context.Context) ([persistence.LaneCount]uint64, error)
	// After returns up to limit records of a lane above pos, ascending and dense.
	After(ctx context.Context, lane uint8, pos uint64, limit int) ([]persistence.Record, error)
	// Wake is ready when there are records that were not there when it last was.
	Wake() <-chan struct{}
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
	index     index
	recents   recents
	departed  departed
	positions Positions  // everything up to here is in the queues
	moment    Positions  // the newest heads that positions have reached
	round     bool       // positions are on their way to the next moment
	asking    []*Session // want a cursor of it
	next      int        // the shard of the next session
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
	h := &Hub{cfg: cfg, index: newIndex(), positions: heads, moment: heads}
	h.recents = recents{index: &h.index, budget: cfg.RecentBytes, floor: heads}
	h.departed = departed{index: &h.index}
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
	for _, p := range h.index.people {
		if p.reader != nil {
			for _, s := range p.reader.sessions {
				s.close(CloseGoingAway, "going away")
			}
		}
	}
	return nil
}

// deliver follows the lanes: up to their heads at one moment, then at the next. A
// lane that cannot be read, or whose users cannot, is tried again: nothing is left
// out.
func (h *Hub) deliver(ctx context.Context) {
	tick := time.NewTicker(cursorEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.issueCursors()
			continue
		case <-h.cfg.Lanes.Wake():
		}
		heads, err := h.cfg.Lanes.Heads(ctx)
		for ; err != nil && ctx.Err() == nil; heads, err = h.cfg.Lanes.Heads(ctx) {
			h.cfg.Logger.Warn("the heads of the lanes cannot be read; it is tried again", "error", err)
			pause(ctx)
		}
		h.followAll(ctx, heads)
	}
}

// followAll delivers what lanes hold up to the heads. While one of them cannot be
// read nothing of the others is delivered: it may hold an unfollow that would keep
// them from being shown.
func (h *Hub) followAll(ctx context.Context, heads Positions) {
	h.mu.Lock()
	h.round = true
	h.mu.Unlock()
	for lane := range heads {
		for more := true; more && ctx.Err() == nil; {
			var err error
			more, err = h.follow(ctx, uint8(lane), heads[lane])
			if err != nil && ctx.Err() == nil {
				h.cfg.Logger.Warn("a lane is not delivered; it is tried again", "lane", lane, "error", err)
				pause(ctx)
				more = true
			}
		}
	}
	if ctx.Err() == nil {
		h.arrive()
	}
}

// arrive ends a round.
func (h *Hub) arrive() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment, h.round = h.positions, false
	if len(h.asking) == 0 {
		return
	}
	f := CursorFrame(h.sealed(&h.moment))
	for _, s := range h.asking {
		s.Send(f)
	}
	h.asking = nil
}

// pause waits before something is tried again.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(retryLane):
	}
}

// follow delivers the next records of a lane, up to its head, and reports whether
// there are more.
func (h *Hub) follow(ctx context.Context, lane uint8, head uint64) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	h.mu.Lock()
	pos := h.positions[lane]
	h.mu.Unlock()
	if pos >= head {
		return false, nil
	}
	records, err := h.cfg.Lanes.After(ctx, lane, pos, int(min(head-pos, deliverChunk)))
	if err != nil {
		return true, fmt.Errorf("read lane %d after %d: %w", lane, pos, err)
	}
	for i := range records {
		if records[i].Pos != pos+1+uint64(i) {
			return true, fmt.Errorf("read lane %d after %d: the next record is at %d", lane, pos+uint64(i), records[i].Pos)
		}
	}
	if len(records) == 0 {
		return true, fmt.Errorf("read lane %d after %d: nothing, up to %d", lane, pos, head)
	}
	return pos+uint64(len(records)) < head, h.take(ctx, lane, records)
}

// issueCursors sends a cursor to whoever was sent something since the last one.
// Run alone delivers, so that nothing comes between the positions and the frame.
func (h *Hub) issueCursors() {
	h.mu.Lock()
	h.departed.forget(h.cfg.Now())
	text := h.sealed(&h.moment)
	h.mu.Unlock()
	f := CursorFrame(text)
	for _, sh := range h.shards {
		sh.issue(f)
	}
}

func (h *Hub) sealed(at *Positions) string {
	return h.cfg.Cursors.Seal(&Cursor{Positions: *at, IssuedAt: h.cfg.Now()})
}
