package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
	"kith/persistence/lanes"
)

// Bounds of a tail.
const (
	defaultInFlight = 4096
	chunkRecords    = 256 // of one lane at a time, so that lanes take turns
	readTimeout     = 10 * time.Second
)

// Handler has the effect of records.
type Handler interface {
	// Begin is called once, before the first record, with the saved marks. It returns
	// where to go on from: the marks, or positions above them up to which every
	// record has had its effect in another way.
	Begin(ctx context.Context, marks [persistence.LaneCount]uint64) (from [persistence.LaneCount]uint64, err error)
	// Handle takes the next records of one lane, in order. It is called by one
	// goroutine; while it blocks, the tail waits. Each record is acknowledged
	// with Tail.Ack when it has had its effect, in any order, by any goroutine;
	// what is not acknowledged when the tail ends comes again. The slice is the
	// handler's until Handle returns, and what the records point to is never
	// changed.
	Handle(ctx context.Context, records []persistence.Record)
}

// Config is what a Tail needs.
type Config struct {
	Name      persistence.TailName
	Journal   persistence.Journal
	Lanes     persistence.Lanes
	Committer *lanes.Committer
	Handler   Handler
	// MaxInFlight bounds the records handed out and not acknowledged, over all
	// lanes; full: the tail reads no further. Default 4096.
	MaxInFlight int
	Logger      *slog.Logger
	Registerer  prometheus.Registerer // nil: not registered
}

// Tail follows the lanes of this node for one handler.
type Tail struct {
	cfg     Config
	metrics *metrics

	windows  [persistence.LaneCount]window
	inFlight atomic.Int64
	started  atomic.Bool

	// room wakes Run when it waits for acknowledgements.
	waiting atomic.Bool
	room    chan struct{}

	// Of Run alone.
	lanes   [persistence.LaneCount]reader
	first   int // the lane whose turn it is to be read first
	minRoom int // for fewer records a lane is not read
	buf     []persistence.Record
}

// reader is where the reading of one lane stands.
type reader struct {
	read    uint64 // handed out up to here
	backoff Backoff
	retryAt time.Time // not before; zero: now
	fromDB  bool      // the ring had a gap: ask the database next
}

// New makes a tail; Run follows the lanes.
func New(cfg Config) (*Tail, error) {
	if cfg.Name == "" || cfg.Journal == nil || cfg.Lanes == nil || cfg.Committer == nil || cfg.Handler == nil || cfg.Logger == nil {
		return nil, errors.New("streams: a tail needs a name, a journal, lanes, a committer, a handler and a logger")
	}
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = defaultInFlight
	}
	t := &Tail{
		cfg:     cfg,
		room:    make(chan struct{}, 1),
		minRoom: min(chunkRecords/4, max(1, cfg.MaxInFlight/16)),
		buf:     make([]persistence.Record, 0, chunkRecords),
	}
	for lane := range t.lanes {
		t.lanes[lane].backoff = Backoff{Min: 50 * time.Millisecond, Max: 5 * time.Second}
	}
	t.metrics = newMetrics(t)
	return t, nil
}

// Ack notes that a record has had its effect, and returns the position up to
// which every record of the lane has. Acknowledging twice is harmless.
func (t *Tail) Ack(lane uint8, pos uint64) (done uint64) {
	done, save, fresh := t.windows[lane].ack(pos)
	if !fresh {
		return done
	}
	if save != 0 {
		t.cfg.Committer.SaveMarks(persistence.Mark{Tail: t.cfg.Name, Lane: lane, Pos: save})
	}
	t.inFlight.Add(-1)
	t.metrics.records.Inc()
	if t.waiting.Load() {
		select {
		case t.room <- struct{}{}:
		default:
		}
	}
	return done
}

// Done returns the position up to which every record of a lane has had its
// effect.
func (t *Tail) Done(lane uint8) uint64 { return t.windows[lane].position() }

// Lag returns how many committed records have not had their effect.
func (t *Tail) Lag() uint64 {
	if !t.started.Load() {
		return 0
	}
	var lag uint64
	for lane := range uint8(persistence.LaneCount) {
		// In this order, so that the head is not below what is done; it can be where the
		// handler began above what this process knows yet.
		done := t.windows[lane].position()
		lag += max(t.cfg.Committer.Ring(lane).Head(), done) - done
	}
	return lag
}

// Run follows the lanes until ctx ends, or until Handler.Begin fails. It runs
// once.
func (t *Tail) Run(ctx context.Context) error {
	watcher := t.cfg.Committer.Watch()
	marks, ok := t.loadMarks(ctx)
	if !ok {
		return nil
	}
	for lane := range t.lanes {
		t.windows[lane].start(marks[lane])
	}
	t.started.Store(true)
	from, err := t.cfg.Handler.Begin(ctx, marks)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the tail was told to end
		}
		return fmt.Errorf("begin tail %s: %w", t.cfg.Name, err)
	}
	t.start(marks, from)

	var dirty uint64 // lanes that may have more to read
	for ctx.Err() == nil {
		dirty |= watcher.Dirty()
		dirty = t.pass(ctx, dirty)
		t.wait(ctx, watcher, dirty)
	}
	return nil
}

func (t *Tail) loadMarks(ctx context.Context) (marks [persistence.LaneCount]uint64, ok bool) {
	backoff := Backoff{Min: 50 * time.Millisecond, Max: 5 * time.Second}
	for ctx.Err() == nil {
		read, cancel := context.WithTimeout(ctx, readTimeout)
		marks, err := t.cfg.Lanes.Marks(read, t.cfg.Name)
		cancel()
		if err == nil {
			return marks, true
		}
		if ctx.Err() == nil {
			t.metrics.retries.Inc()
			t.cfg.Logger.Warn("the marks of a tail could not be read", "tail", t.cfg.Name, "error", err)
		}
		backoff.Wait(ctx)
	}
	return marks, false
}

// start goes on from where the handler says.
func (t *Tail) start(marks, from [persistence.LaneCount]uint64) {
	for lane := range t.lanes {
		t.lanes[lane].read = max(from[lane], marks[lane])
		if from[lane] <= marks[lane] {
			continue
		}
		t.windows[lane].start(from[lane])
		t.cfg.Committer.SaveMarks(persistence.Mark{Tail: t.cfg.Name, Lane: uint8(lane), Pos: from[lane]})
	}
}

// pass hands out what the dirty lanes have, a chunk of each, and returns the
// lanes that may have more.
func (t *Tail) pass(ctx context.Context, dirty uint64) (left uint64) {
	left = dirty
	t.first = (t.first + 1) % persistence.LaneCount // or the first lanes would take all the room
	now := time.Now()
	for rest := bits.RotateLeft64(dirty, -t.first); rest != 0 && ctx.Err() == nil; rest &= rest - 1 {
		lane := uint8((bits.TrailingZeros64(rest) + t.first) % persistence.LaneCount) //nolint:gosec // below 64
		if t.lanes[lane].retryAt.After(now) {
			continue
		}
		limit := t.free(lane)
		if limit == 0 {
			continue
		}
		if more := t.pull(ctx, lane, limit); !more {
			left &^= 1 << lane
		}
	}
	return left
}

// free returns how many records of a lane may be handed out now.
func (t *Tail) free(lane uint8) int {
	room := t.cfg.MaxInFlight - int(t.inFlight.Load())
	if room >= t.minRoom {
		ahead := t.lanes[lane].read - t.windows[lane].position()
		room = min(room, windowRecords-int(ahead)) //nolint:gosec // at most windowRecords
	}
	if room < t.minRoom {
		return 0
	}
	return min(chunkRecords, room)
}

// pull hands out the next records of a lane and reports whether there may be
// more.
func (t *Tail) pull(ctx context.Context, lane uint8, limit int) (more bool) {
	r := &t.lanes[lane]
	records, err := t.read(ctx, lane, limit)
	if err != nil {
		if ctx.Err() == nil {
			t.metrics.retries.Inc()
			t.cfg.Logger.Warn("a lane could not be read", "tail", t.cfg.Name, "lane", lane, "after", r.read, "error", err)
		}
		r.retryAt = time.Now().Add(r.backoff.Next())
		return true
	}
	r.retryAt = time.Time{}
	r.backoff.Reset()
	if len(records) == 0 {
		return false
	}
	r.read += uint64(len(records))
	t.inFlight.Add(int64(len(records)))
	t.cfg.Handler.Handle(ctx, records)
	clear(records) // let go of payloads
	return true
}

// read returns the records that follow what was handed out: none only when
// there are none. What does not follow without a gap is an error: skipping it
// would lose an effect for good.
func (t *Tail) read(ctx context.Context, lane uint8, limit int) ([]persistence.Record, error) {
	r := &t.lanes[lane]
	ring := t.cfg.Committer.Ring(lane)
	head := ring.Head() // before reading: what is committed later wakes the watcher again
	if r.read >= head {
		return nil, nil
	}
	var records []persistence.Record
	ok := false
	if !r.fromDB {
		records, ok = ring.After(r.read, t.buf[:0], limit)
	}
	if !ok {
		bounded, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		var err error
		if records, err = t.cfg.Journal.ReadLane(bounded, lane, r.read, limit); err != nil {
			return nil, fmt.Errorf("read a lane: %w", err)
		}
	}
	dense := 0
	for dense < len(records) && records[dense].Pos == r.read+1+uint64(dense) && records[dense].Lane == lane {
		dense++
	}
	r.fromDB = dense < len(records) || dense == 0
	if dense == 0 {
		return nil, fmt.Errorf("position %d is committed and was not found", r.read+1)
	}
	return records[:dense], nil
}

// wait returns when there may be something to do.
func (t *Tail) wait(ctx context.Context, watcher *lanes.Watcher, dirty uint64) {
	t.waiting.Store(true) // before looking, so that no acknowledgement is missed
	defer t.waiting.Store(false)
	for {
		ready, retryAt := t.look(dirty)
		if ready {
			return
		}
		var due <-chan time.Time
		if !retryAt.IsZero() {
			due = time.After(time.Until(retryAt))
		}
		select {
		case <-ctx.Done():
			return
		case <-watcher.Wake():
			return
		case <-due:
			return
		case <-t.room:
		}
	}
}

// look reports whether a dirty lane can be read now, and else when the first of
// those can be that had an error.
func (t *Tail) look(dirty uint64) (ready bool, retryAt time.Time) {
	for rest := dirty; rest != 0; rest &= rest - 1 {
		lane := uint8(bits.TrailingZeros64(rest)) //nolint:gosec // below 64
		if t.free(lane) == 0 {
			continue
		}
		at := t.lanes[lane].retryAt
		if at.IsZero() {
			return true, at
		}
		if retryAt.IsZero() || at.Before(retryAt) {
			retryAt = at
		}
	}
	return false, retryAt
}
