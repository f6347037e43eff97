package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/streams"
)

// Bounds and times of the tail.
const (
	defaultInFlight = 16 << 10
	maxRoundRecords = 4096
	maxRoundBytes   = 4 << 20 // of payloads
	readTimeout     = 10 * time.Second
	// defaultPace is the least time between the beginnings of two rounds, so that
	// records that trickle in share a request and a write of the end offsets.
	defaultPace = 10 * time.Millisecond
)

// Directory is the part of the stores that says whom records name.
type Directory interface {
	// Accounts returns the rows of ids, in their order; nil where there is none.
	Accounts(ctx context.Context, ids []user.ID) ([]*user.Account, error)
	// Identities returns the identities of ids, in their order, also of deleted
	// users; nil where nobody ever registered.
	Identities(ctx context.Context, ids []user.ID) ([]*persistence.Identity, error)
	// AccountsAfter returns up to limit rows with ids above after, ascending.
	AccountsAfter(ctx context.Context, after user.ID, limit int) ([]*user.Account, error)
}

// Ends keeps what the embedded broker cannot be trusted with; *broker.Broker
// implements it.
type Ends interface {
	// Published keeps end offsets of what was acknowledged.
	Published(ctx context.Context, ends []persistence.EndOffset) error
	// Refill reports whether the compacted topic must be made again, and up to
	// which user it has been.
	Refill(ctx context.Context) (upTo user.ID, pending bool, err error)
	// Refilled keeps how far the refill has come, or with done ends it.
	Refilled(ctx context.Context, upTo user.ID, done bool) error
}

// Config is what a Tail needs.
type Config struct {
	// Name is whose mark the tail has: persistence.TailPublish, or
	// persistence.TailBroker when it publishes to the embedded broker.
	Name      persistence.TailName
	Journal   persistence.Journal
	Lanes     persistence.Lanes
	Directory Directory
	Committer *lanes.Committer
	// Client is how Kafka is reached: seeds, dialer, security.
	Client []kgo.Opt
	// Topics are made where they are missing.
	Topics []streams.Topic
	// Ends is set for the embedded broker, else nil.
	Ends Ends
	// MaxInFlight bounds the records in flight, over all lanes. Default 16384.
	MaxInFlight int
	// Pace is the least time between two rounds. Default 10 ms.
	Pace time.Duration
	// Timeout is how long a round is tried before it is looked at again, at least
	// 1 s. Default 5 s; four times as long while nobody knows what the brokers did.
	Timeout    time.Duration
	Now        func() time.Time // time.Now when nil
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: not registered
}

// Tail publishes the lanes of this node.
type Tail struct {
	cfg      Config
	tail     *streams.Tail
	metrics  *metrics
	people   people         // of the publishing goroutine
	producer *producer      // of the publishing goroutine; nil: to be made
	trial    streams.Trial  // of a round
	queue    *streams.Queue // bounded by MaxInFlight
}

// New makes the tail; Run publishes.
func New(cfg Config) (*Tail, error) {
	if cfg.Name == "" || cfg.Journal == nil || cfg.Lanes == nil || cfg.Directory == nil || cfg.Committer == nil || len(cfg.Client) == 0 || cfg.Logger == nil {
		return nil, errors.New("publish: the tail needs a name, a journal, lanes, a directory, a committer, a way to Kafka and a logger")
	}
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = defaultInFlight
	}
	if cfg.Pace <= 0 {
		cfg.Pace = defaultPace
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := kgo.ValidateOpts(cfg.options()...); err != nil {
		return nil, fmt.Errorf("publish: the way to kafka: %w", err)
	}
	t := &Tail{cfg: cfg, people: newPeople(cfg.Directory), queue: streams.NewQueue()}
	var err error
	if t.tail, err = streams.New(streams.Config{
		Name: cfg.Name, Journal: cfg.Journal, Lanes: cfg.Lanes, Committer: cfg.Committer, Handler: (*handler)(t),
		MaxInFlight: cfg.MaxInFlight, Logger: cfg.Logger, Registerer: cfg.Registerer,
	}); err != nil {
		return nil, fmt.Errorf("make the publish tail: %w", err)
	}
	t.metrics = newMetrics(t)
	return t, nil
}

// Run publishes until ctx ends. What is in flight then may be published again by
// the next one. It runs once.
func (t *Tail) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var publishing sync.WaitGroup
	publishing.Go(func() { t.publish(ctx) })
	err := t.tail.Run(ctx)
	cancel()
	publishing.Wait()
	if err != nil {
		return fmt.Errorf("run the publish tail: %w", err)
	}
	return nil
}

// Lag returns how many committed records are not published.
func (t *Tail) Lag() uint64 { return t.tail.Lag() }

// ErrAway is matched by Health when Kafka does not take records.
var ErrAway = errors.New("publish: kafka does not take records")

// Health returns nil while records go through.
func (t *Tail) Health() error { return t.trial.Health(t.cfg.Now(), ErrAway) } //nolint:wrapcheck // says all

// handler is what the lanes are handed to.
type handler Tail

// Begin implements streams.Handler.
func (h *handler) Begin(_ context.Context, marks [persistence.LaneCount]uint64) ([persistence.LaneCount]uint64, error) {
	return marks, nil
}

// Handle implements streams.Handler. It never waits: the tail hands out no more
// than MaxInFlight.
func (h *handler) Handle(_ context.Context, records []persistence.Record) { h.queue.Put(records) }

// publish does one round after another.
func (t *Tail) publish(ctx context.Context) {
	defer t.closeProducer()
	refill := t.beginRefill(ctx)
	for ctx.Err() == nil {
		began := t.cfg.Now()
		records := t.queue.Take(maxRoundRecords, maxRoundBytes)
		switch {
		case len(records) > 0:
			t.round(ctx, records)
			if refill != nil {
				refill = t.refill(ctx, refill)
			}
		case refill != nil:
			refill = t.refill(ctx, refill)
			continue
		}
		if refill == nil && len(records) < maxRoundRecords {
			t.queue.Await(ctx, t.cfg.Pace-t.cfg.Now().Sub(began))
		}
	}
}
