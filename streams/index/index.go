package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/streams"
)

// Bounds and times of the tail.
const (
	defaultInFlight = 16 << 10
	maxRoundRecords = 2048
	maxRoundBytes   = 4 << 20 // of payloads
	// defaultPace is the least time between the beginnings of two rounds, so that
	// records that trickle in share a request. An engine shows nothing sooner.
	defaultPace = 100 * time.Millisecond
	// defaultLook is how often the index is looked for while nobody changes.
	defaultLook = 30 * time.Second
)

// Store is the part of the stores that documents are made from.
type Store interface {
	persistence.Journal
	persistence.LiveUsers
	// Accounts returns the rows of ids, in their order; nil where there is none.
	Accounts(ctx context.Context, ids []user.ID) ([]*user.Account, error)
	// AccountsAfter returns up to limit rows with ids above after, ascending.
	AccountsAfter(ctx context.Context, after user.ID, limit int) ([]*user.Account, error)
}

// Config is what a Tail needs.
type Config struct {
	Store     Store
	Lanes     persistence.Lanes
	Committer *lanes.Committer
	Engine    persistence.SearchIndex
	Builder   *Builder // of Engine
	// MaxInFlight bounds the records in flight, over all lanes. Default 16384.
	MaxInFlight int
	// Pace is the least time between two rounds. Default 100 ms.
	Pace time.Duration
	// Look is how often the index is looked for while nobody changes. Default 30 s.
	Look       time.Duration
	Now        func() time.Time // time.Now when nil
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: not registered
}

// Tail indexes the users of the lanes of this node.
type Tail struct {
	cfg     Config
	tail    *streams.Tail
	metrics *metrics
	queue   *streams.Queue // bounded by MaxInFlight
	trial   streams.Trial  // of a round
	running sync.WaitGroup // what Run waits for
}

// New makes the tail; Run indexes.
func New(cfg Config) (*Tail, error) {
	if cfg.Store == nil || cfg.Lanes == nil || cfg.Committer == nil || cfg.Engine == nil || cfg.Builder == nil || cfg.Logger == nil {
		return nil, errors.New("index: the tail needs a store, lanes, a committer, an engine, a builder and a logger")
	}
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = defaultInFlight
	}
	if cfg.Pace <= 0 {
		cfg.Pace = defaultPace
	}
	if cfg.Look <= 0 {
		cfg.Look = defaultLook
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	t := &Tail{cfg: cfg, queue: streams.NewQueue()}
	var err error
	if t.tail, err = streams.New(streams.Config{
		Name: persistence.TailIndex, Journal: cfg.Store, Lanes: cfg.Lanes, Committer: cfg.Committer, Handler: (*handler)(t),
		MaxInFlight: cfg.MaxInFlight, Logger: cfg.Logger, Registerer: cfg.Registerer,
	}); err != nil {
		return nil, fmt.Errorf("make the index tail: %w", err)
	}
	t.metrics = newMetrics(t)
	return t, nil
}

// Run indexes until ctx ends. What is in flight then is indexed again by the next
// one, to which that makes no difference. It runs once.
func (t *Tail) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	err := t.tail.Run(ctx)
	cancel()
	t.running.Wait()
	if err != nil {
		return fmt.Errorf("run the index tail: %w", err)
	}
	return nil
}

// Lag returns how many committed records the engine was not told of.
func (t *Tail) Lag() uint64 { return t.tail.Lag() }

// ErrAway is matched by Health when the engine does not take documents.
var ErrAway = errors.New("index: the search engine does not take documents")

// Health returns nil while documents go through.
func (t *Tail) Health() error { return t.trial.Health(t.cfg.Now(), ErrAway) } //nolint:wrapcheck // says all

// handler is what the lanes are handed to.
type handler Tail

// Begin implements streams.Handler. Where there is no index, it builds one; what the
// lanes held by then is in it.
func (h *handler) Begin(ctx context.Context, marks [persistence.LaneCount]uint64) (from [persistence.LaneCount]uint64, err error) {
	t := (*Tail)(h)
	if from, err = t.begin(ctx, marks); err == nil {
		t.running.Go(func() { t.index(ctx) })
	}
	return from, err
}

func (t *Tail) begin(ctx context.Context, marks [persistence.LaneCount]uint64) ([persistence.LaneCount]uint64, error) {
	heads, built := t.ensure(ctx)
	switch {
	case ctx.Err() != nil:
		return marks, fmt.Errorf("index: begin: %w", ctx.Err())
	case built:
		return heads, nil
	}
	t.tidy(ctx)
	return marks, nil
}

// ensure returns when there is an index, or ctx has ended; with the heads of the lanes
// that it knows when it had to be built. A build that goes on is no failure.
func (t *Tail) ensure(ctx context.Context) (heads [persistence.LaneCount]uint64, built bool) {
	backoff := retry()
	t.trial.Begin(t.cfg.Now())
	defer t.trial.End()
	for failed := false; ctx.Err() == nil; {
		has, err := t.hasIndex(ctx)
		switch {
		case err != nil:
			t.failed(ctx, "look for the index", err)
		case has:
			return heads, false
		default:
			if !failed {
				t.trial.End()
			}
			if heads, built = t.rebuild(ctx); built {
				return heads, true
			}
			if !failed {
				t.trial.Begin(t.cfg.Now())
			}
			failed = true
		}
		backoff.Wait(ctx)
	}
	return heads, false
}

// Handle implements streams.Handler. It never waits.
func (h *handler) Handle(_ context.Context, records []persistence.Record) {
	t := (*Tail)(h)
	changed := make([]persistence.Record, 0, len(records))
	for i := range records {
		if changes(records[i].Kind) {
			changed = append(changed, records[i])
			continue
		}
		t.tail.Ack(records[i].Lane, records[i].Pos)
	}
	if len(changed) > 0 {
		t.queue.Put(changed)
	}
}

// changes reports whether a record of this kind may change a document.
func changes(k persistence.Kind) bool {
	switch k {
	case persistence.KindRegistered, persistence.KindProfileUpdated, persistence.KindDeleted:
		return true
	case persistence.KindPreferencesSet, persistence.KindPrivacySet, persistence.KindFollowed, persistence.KindUnfollowed,
		persistence.KindCrewFollowed, persistence.KindCrewUnfollowed, persistence.KindStudioFollowed, persistence.KindStudioUnfollowed,
		persistence.KindActivityRecorded, persistence.KindActivityErased, persistence.KindActivityDeleted,
		persistence.KindFollowerAdded, persistence.KindFollowerRemoved, persistence.KindSevered, persistence.KindContentCounted:
	}
	return false
}

// index does one round after another. A round finds out when the index is lost; when
// there is none for long, that is looked for.
func (t *Tail) index(ctx context.Context) {
	for ctx.Err() == nil {
		began := t.cfg.Now()
		records := t.queue.Take(maxRoundRecords, maxRoundBytes)
		if len(records) > 0 {
			t.round(ctx, records)
		}
		if len(records) == maxRoundRecords {
			continue
		}
		idle, cancel := context.WithTimeout(ctx, t.cfg.Look)
		t.queue.Await(idle, t.cfg.Pace-t.cfg.Now().Sub(began))
		if idle.Err() != nil && ctx.Err() == nil {
			t.ensure(ctx)
		}
		cancel()
	}
}

// tidy removes what a build has left that the process before did not end: it would be
// told of everything, for ever.
func (t *Tail) tidy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := t.cfg.Engine.Tidy(ctx); err != nil {
		t.failed(ctx, "remove what a build has left", err)
	}
}

func (t *Tail) hasIndex(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return t.cfg.Engine.HasIndex(ctx) //nolint:wrapcheck // says all
}
