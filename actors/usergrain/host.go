package usergrain

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/extensions"
	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/lanes"
)

// Config is what the activations of a node share.
type Config struct {
	Journal   persistence.Journal
	Committer *lanes.Committer
	Logger    *slog.Logger
	// Registerer of the metrics; nil: not registered.
	Registerer prometheus.Registerer
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// IdleAfter passivates an activation that had no message for so long.
	// Default 10 minutes.
	IdleAfter time.Duration
	// MaxActivations is the cap above which the longest idle are passivated.
	// Default 500,000.
	MaxActivations int
	// SweepEvery is the pace of the sweeper. Default 1 second.
	SweepEvery time.Duration
}

// Placement finds and forgets activations. *cluster.Node implements it.
type Placement interface {
	// Deregister makes the next call to identity activate it anew, though the
	// activation at pid still lives.
	Deregister(identity, kind string, pid *actor.PID) bool
}

// Host is what the activations of one node share. It is an extension of the
// actor system, since the generated factory of a kind is one per process.
type Host struct {
	cfg       Config
	metrics   *metrics
	root      *actor.RootContext
	placement Placement
	loader    *loader
	snapshots chan persistence.Snapshot // full: dropped, the next one covers it
	active    activations
	waiting   atomic.Int64 // requests, in all grains
}

var hostExtension = extensions.NextExtensionID() //nolint:gochecknoglobals // the library identifies extensions by a process-wide number

// ExtensionID implements extensions.Extension.
func (h *Host) ExtensionID() extensions.ExtensionID { return hostExtension }

// NewHost makes a host; Attach and Run start it.
func NewHost(cfg Config) (*Host, error) {
	if cfg.Journal == nil || cfg.Committer == nil || cfg.Logger == nil {
		return nil, fmt.Errorf("usergrain: a host needs a journal, a committer and a logger")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.IdleAfter == 0 {
		cfg.IdleAfter = 10 * time.Minute
	}
	if cfg.MaxActivations == 0 {
		cfg.MaxActivations = 500_000
	}
	if cfg.SweepEvery == 0 {
		cfg.SweepEvery = time.Second
	}
	h := &Host{
		cfg:       cfg,
		snapshots: make(chan persistence.Snapshot, maxQueuedSnapshots),
	}
	h.metrics = newMetrics(cfg.Registerer, h)
	h.loader = newLoader(h)
	return h, nil
}

// Attach makes h the host of the grains of an actor system.
func (h *Host) Attach(system *actor.ActorSystem, placement Placement) {
	h.root = system.Root
	h.placement = placement
	system.Extensions.Register(h)
}

// Run loads, sweeps and saves snapshots until ctx ends. Stop the grains before.
func (h *Host) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range loaderWorkers {
		wg.Go(func() { h.loader.run(ctx) })
	}
	wg.Go(func() { h.sweepLoop(ctx) })
	wg.Go(func() { h.snapshotLoop(ctx) })
	wg.Wait()
	return nil
}

// Follows reports whether caller follows target as far as is committed, and
// whether that is known here: only while the caller is activated.
func (h *Host) Follows(caller, target user.ID) (follows, known bool) {
	g := h.active.get(caller)
	if g == nil {
		return false, false
	}
	v := g.view.Load()
	if v == nil {
		return false, false
	}
	g.touch(h.cfg.Now())
	return v.following.Contains(target), true
}

// Following returns whom id follows as far as is committed, and whether that is known
// here: only while id is activated. A change shows a moment after its answer.
func (h *Host) Following(id user.ID) (following []user.ID, known bool) {
	g := h.active.get(id)
	if g == nil {
		return nil, false
	}
	v := g.view.Load()
	if v == nil {
		return nil, false
	}
	g.touch(h.cfg.Now())
	following = make([]user.ID, 0, v.following.Len())
	for other := range v.following.All() {
		following = append(following, other)
	}
	return following, true
}

// Activations returns how many grains are active on this node.
func (h *Host) Activations() int { return h.active.len() }

// now is the time of a decision: UTC, microseconds.
func (h *Host) now() time.Time { return h.cfg.Now().UTC().Truncate(time.Microsecond) }
