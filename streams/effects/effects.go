package effects

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/lanes"
	kithv1 "kith/proto/kith/v1"
	"kith/streams"
)

// Bounds and times of the tail.
const (
	defaultCalls = 512
	// maxEffects of one call are one turn, for whose commit others wait.
	maxEffects   = 128
	callTimeout  = 30 * time.Second
	writeTimeout = 10 * time.Second
)

// Grains calls user grains. *usergrain.Client implements it.
type Grains interface {
	// Deliver applies effects in order and returns when they are committed.
	Deliver(ctx context.Context, target user.ID, effects []usergrain.Effect) error
	// Do sends one command and returns when it is committed.
	Do(ctx context.Context, id user.ID, c user.Command) (usergrain.Result, error)
}

// Directory is the part of persistence.Directory that the tail needs.
type Directory interface {
	// Accounts returns the rows of ids, in their order; nil where there is none.
	Accounts(ctx context.Context, ids []user.ID) ([]*user.Account, error)
	// Release gives up claims of id; no claims given means all.
	Release(ctx context.Context, id user.ID, claims []persistence.Claim) error
}

// Photos erases the photo of a user who was deleted.
type Photos interface {
	// DeletePhoto erases what the user uploaded; nothing being there is no error.
	DeletePhoto(ctx context.Context, id user.ID) error
}

// Config is what a Tail needs.
type Config struct {
	Journal   persistence.Journal
	Lanes     persistence.Lanes
	Directory Directory
	Cards     persistence.Cards
	Committer *lanes.Committer
	Grains    Grains
	Photos    Photos // nil: there are none
	// MaxInFlight bounds the records in flight, over all lanes. Default 4096.
	MaxInFlight int
	// MaxCalls bounds the calls in flight. Default 512.
	MaxCalls   int
	Now        func() time.Time // time.Now when nil
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: not registered
}

// Tail delivers the effects of the lanes of this node.
type Tail struct {
	cfg     Config
	tail    *streams.Tail
	metrics *metrics

	running   sync.WaitGroup // everything that Run waits for
	calls     chan struct{}  // holds one for each call in flight
	targets   targets
	parked    parkedSet
	deletions [persistence.LaneCount]deletions
	opened    chan struct{} // a severing was opened
}

// New makes the tail; Run delivers.
func New(cfg Config) (*Tail, error) {
	if cfg.Journal == nil || cfg.Lanes == nil || cfg.Directory == nil || cfg.Cards == nil || cfg.Committer == nil || cfg.Grains == nil || cfg.Logger == nil {
		return nil, errors.New("effects: the tail needs a journal, lanes, a directory, cards, a committer, grains and a logger")
	}
	if cfg.MaxCalls <= 0 {
		cfg.MaxCalls = defaultCalls
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	t := &Tail{
		cfg:     cfg,
		calls:   make(chan struct{}, cfg.MaxCalls),
		targets: newTargets(),
		parked:  newParkedSet(),
		opened:  make(chan struct{}, 1),
	}
	var err error
	if t.tail, err = streams.New(streams.Config{
		Name: persistence.TailEffects, Journal: cfg.Journal, Lanes: cfg.Lanes, Committer: cfg.Committer,
		Handler: (*handler)(t), MaxInFlight: cfg.MaxInFlight, Logger: cfg.Logger, Registerer: cfg.Registerer,
	}); err != nil {
		return nil, fmt.Errorf("make the effects tail: %w", err)
	}
	t.metrics = newMetrics(cfg.Registerer)
	return t, nil
}

// Run delivers until ctx ends. What is in flight then is delivered again by the
// next one, to which that makes no difference. It runs once.
func (t *Tail) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	err := t.tail.Run(ctx)
	cancel()
	t.running.Wait()
	if err != nil {
		return fmt.Errorf("run the effects tail: %w", err)
	}
	return nil
}

// Lag returns how many committed records have not had their effect: with 0, and
// nothing parked or severed, both sides of every edge agree.
func (t *Tail) Lag() uint64 { return t.tail.Lag() }

// Done returns the position up to which every record of a lane has had its
// effect.
func (t *Tail) Done(lane uint8) uint64 { return t.tail.Done(lane) }

// handler is what the lanes are handed to.
type handler Tail

// Begin implements streams.Handler.
func (h *handler) Begin(ctx context.Context, marks [persistence.LaneCount]uint64) (from [persistence.LaneCount]uint64, err error) {
	t := (*Tail)(h)
	if err := t.loadParked(ctx); err != nil {
		return marks, err
	}
	t.running.Go(func() { t.retryLoop(ctx) })
	t.running.Go(func() { t.severLoop(ctx) })
	t.running.Go(func() { t.missedLoop(ctx) })
	return marks, nil
}

// Handle implements streams.Handler. It never waits.
func (h *handler) Handle(ctx context.Context, records []persistence.Record) {
	t := (*Tail)(h)
	var d decoder
	for i := range records {
		r := &records[i]
		switch r.Kind {
		case persistence.KindFollowed, persistence.KindUnfollowed:
			target, err := d.target(r)
			if err != nil {
				t.unreadable(ctx, r, err)
				continue
			}
			t.enqueue(ctx, target, effectOf(r))
		case persistence.KindDeleted:
			t.noteDeletion(ctx, r)
		case persistence.KindRegistered, persistence.KindProfileUpdated, persistence.KindPreferencesSet, persistence.KindPrivacySet,
			persistence.KindCrewFollowed, persistence.KindCrewUnfollowed, persistence.KindStudioFollowed, persistence.KindStudioUnfollowed,
			persistence.KindActivityRecorded, persistence.KindActivityErased, persistence.KindActivityDeleted,
			persistence.KindFollowerAdded, persistence.KindFollowerRemoved, persistence.KindSevered, persistence.KindContentCounted:
			t.ack(ctx, r.Lane, r.Pos)
		default:
			t.unreadable(ctx, r, errUnknownKind)
		}
	}
}

// ack notes that a record has had its effect.
func (t *Tail) ack(ctx context.Context, lane uint8, pos uint64) {
	t.beginDeletion(ctx, lane, t.tail.Ack(lane, pos))
}

func effectOf(r *persistence.Record) usergrain.Effect {
	return usergrain.Effect{Source: r.User, Lane: r.Lane, Pos: r.Pos, At: r.At, Removed: r.Kind == persistence.KindUnfollowed}
}

// decoder reads targets out of payloads, without allocating for each.
type decoder struct {
	followed   kithv1.Followed
	unfollowed kithv1.Unfollowed
}

var (
	errUnknownKind = errors.New("effects: the kind of the record is unknown")
	errNoTarget    = errors.New("effects: the record names no target")
)

func (d *decoder) target(r *persistence.Record) (user.ID, error) {
	var target user.ID
	var err error
	if r.Kind == persistence.KindFollowed {
		err = proto.Unmarshal(r.Payload, &d.followed)
		target = user.ID(d.followed.GetTarget())
	} else {
		err = proto.Unmarshal(r.Payload, &d.unfollowed)
		target = user.ID(d.unfollowed.GetTarget())
	}
	if err != nil {
		return 0, fmt.Errorf("decode a record of kind %d: %w", r.Kind, err)
	}
	if target == 0 {
		return 0, errNoTarget
	}
	return target, nil
}

// unreadable parks a record that says nothing to this program. It is not tried
// again: what came after it has been delivered by then.
func (t *Tail) unreadable(ctx context.Context, r *persistence.Record, cause error) {
	lane, pos := r.Lane, r.Pos
	t.cfg.Logger.Error("a record cannot be read; its effect is parked; run kith verify",
		"lane", lane, "pos", pos, "kind", r.Kind, "user_id", r.User, "error", cause)
	t.running.Go(func() {
		parked := []persistence.Parked{{Lane: lane, Pos: pos, Reason: "the record cannot be read"}}
		if t.store(ctx, parked) == nil {
			t.ack(ctx, lane, pos)
		}
	})
}
