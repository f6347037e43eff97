package usergrain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"kith/actors/user"
	"kith/persistence"
)

// Bounds of the loader.
const (
	loaderWorkers  = 2
	loadBatch      = 512
	maxQueuedLoads = 64 << 10
	loadTimeout    = 5 * time.Second
)

// loader makes states for activations: it takes all that wait, up to loadBatch,
// and loads them in a few queries.
type loader struct {
	host  *Host
	queue chan load // full: the activation answers busy
}

type load struct {
	id  user.ID
	pid *actor.PID
}

// loaded is the answer to the grain.
type loaded struct {
	state user.State
	since int // records replayed after the snapshot
	err   error
}

func newLoader(h *Host) *loader {
	return &loader{host: h, queue: make(chan load, maxQueuedLoads)}
}

// request asks for a state; false when too many wait.
func (l *loader) request(id user.ID, pid *actor.PID) bool {
	select {
	case l.queue <- load{id, pid}:
		return true
	default:
		return false
	}
}

func (l *loader) run(ctx context.Context) {
	batch := make([]load, 0, loadBatch)
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-l.queue:
			batch = append(batch[:0], first)
		}
	gather:
		for len(batch) < loadBatch {
			select {
			case next := <-l.queue:
				batch = append(batch, next)
			default:
				break gather
			}
		}
		l.load(ctx, batch)
	}
}

func (l *loader) load(ctx context.Context, batch []load) {
	start := time.Now()
	ids := make([]user.ID, len(batch))
	for i, b := range batch {
		ids[i] = b.id
	}
	histories, err := l.read(ctx, ids)
	for i, b := range batch {
		answer := &loaded{err: err}
		if err == nil {
			answer = l.replay(ctx, &histories[i])
		}
		l.host.root.Send(b.pid, answer)
	}
	l.host.metrics.loads.Add(float64(len(batch)))
	l.host.metrics.loadSeconds.Observe(time.Since(start).Seconds())
}

// read reads histories. While a batch of unknown outcome is not settled it reads
// none: the batch could still be committed behind what was read, and the activation
// would answer from a past that nobody tells it of.
func (l *loader) read(ctx context.Context, ids []user.ID) ([]persistence.History, error) {
	if l.host.cfg.Committer.Settling() {
		return nil, fmt.Errorf("%w: the outcome of a batch is being settled", ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	histories, err := l.host.cfg.Journal.Load(ctx, ids)
	if err != nil {
		l.host.cfg.Logger.Error("histories could not be loaded", "users", len(ids), "error", err)
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return histories, nil
}

// replay makes the state of a history. A history that is not whole, or a record
// that cannot be decoded, stops this user's activation and no one else's. A
// snapshot that cannot be used is ignored: the journal says it all.
func (l *loader) replay(ctx context.Context, h *persistence.History) *loaded {
	if h.Err != nil {
		return &loaded{err: fmt.Errorf("%w: %w", ErrBroken, h.Err)}
	}
	if h.Deleted {
		return &loaded{state: user.State{ID: h.User, Deleted: true, Version: h.Version}}
	}
	a := &loaded{state: user.State{ID: h.User}}
	records := h.Records
	if h.Snapshot != nil {
		state, err := DecodeSnapshot(h.Snapshot.State)
		if err == nil && (state.ID != h.User || state.Version != h.Snapshot.Seq) {
			err = errForeignSnapshot
		}
		if err == nil {
			a.state = state
		} else {
			l.host.cfg.Logger.Warn("a snapshot cannot be used; replaying the whole journal", "user_id", h.User, "seq", h.Snapshot.Seq, "error", err)
			if records, err = l.wholeJournal(ctx, h); err != nil {
				return &loaded{err: fmt.Errorf("%w: %w", ErrUnavailable, err)}
			}
		}
	}
	for i := range records {
		e, err := DecodeRecord(&records[i])
		if err != nil {
			return &loaded{err: fmt.Errorf("%w: record %d: %w", ErrBroken, records[i].Seq, err)}
		}
		a.state.Apply(e)
	}
	a.since = len(records)
	if a.state.Version != h.Version {
		return &loaded{err: fmt.Errorf("%w: replay ends at %d, the row is at %d", ErrBroken, a.state.Version, h.Version)}
	}
	return a
}

var errForeignSnapshot = errors.New("usergrain: the snapshot is of another user or another version")

func (l *loader) wholeJournal(ctx context.Context, h *persistence.History) ([]persistence.Record, error) {
	var all []persistence.Record
	for uint64(len(all)) < h.Version {
		page, err := l.host.cfg.Journal.Records(ctx, h.User, uint64(len(all)), 4096)
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
	}
	return all, nil
}
