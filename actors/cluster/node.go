package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a node needs.
type Config struct {
	// Name of the cluster. Default "kith".
	Name string
	// Logger of the node, and, for warnings and errors, of the library. Default
	// none.
	Logger *slog.Logger
	// Registerer of the metrics; nil: not registered.
	Registerer prometheus.Registerer
	// Kinds of grains that this node can activate. Their mailbox is replaced.
	Kinds []*cluster.Kind
	// Owns reports whether this node owns an identity; others are not activated
	// here. nil: it owns all. It is called with a lock held, so it must be quick
	// and must not call the node. When it begins to refuse what it allowed before,
	// call Evict.
	Owns func(identity string) bool
	// RequestTimeout bounds a request, retries included. Default 10 seconds.
	RequestTimeout time.Duration
	// MaxActivations is the number above which somebody passivates; at twice that,
	// nothing more is activated. 0: no cap.
	MaxActivations int
	// Listen is the address for other nodes, such as "127.0.0.1:0". Empty: no
	// port is opened, since a cluster of one needs none. Setting it touches
	// process-wide state of the gRPC library (its logger), so that nodes with a
	// port should not be started while others run in the same process.
	Listen string
}

// Node is one member of a cluster. Everybody's requests to grains go through its
// Cluster.
type Node struct {
	system    *actor.ActorSystem
	cluster   *cluster.Cluster
	placement *placement
	metrics   *metrics
	tls       *tls.Config // nil without a port
	stop      sync.Once
	stopErr   error
}

// Start starts a node. It can take requests when Start returns.
//
// The library's own start is not used: it begins a gossip that a membership kept
// in the database has no need of, sleeps a second, and panics on errors.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	if cfg.Name == "" {
		cfg.Name = "kith"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = 10 * time.Second
	}
	n, err := start(cfg)
	if err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	return n, nil
}

func start(cfg Config) (*Node, error) {
	n := &Node{}
	var err error
	if cfg.Listen != "" {
		if n.tls, err = newEphemeralTLS(); err != nil {
			return nil, err
		}
	}
	remoteConfig, err := newRemoteConfig(cfg.Listen, n.tls)
	if err != nil {
		return nil, err
	}

	n.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return newLibraryLogger(cfg.Logger) }),
		actor.WithMetricProviders(nil), // they make spawning 4 to 11 times slower
		// A dead letter is answered and counted by whoever sent it; its log would
		// show payloads.
		actor.WithDeadLetterRequestLogging(false),
		actor.WithDeadLetterThrottleCount(0),
		actor.WithDeadLetterThrottleInterval(100*time.Millisecond),
	)
	n.placement = &placement{
		system: n.system,
		logger: cfg.Logger,
		owns:   cfg.Owns,
		limit:  2 * int64(cfg.MaxActivations),
		kinds:  make(map[string]*table),
	}
	var kinds []string
	for _, k := range cfg.Kinds {
		if err := n.placement.addKind(k); err != nil {
			return nil, err
		}
		kinds = append(kinds, k.Kind)
	}
	if n.metrics, err = newMetrics(cfg.Registerer, n.Count); err != nil {
		return nil, err
	}
	n.placement.metrics = n.metrics

	c := &calls{placement: n.placement, metrics: n.metrics, timeout: cfg.RequestTimeout}
	n.cluster = cluster.New(n.system, cluster.Configure(cfg.Name, soleMember{kinds}, identityLookup{n.placement}, remoteConfig,
		cluster.WithRequestTimeout(cfg.RequestTimeout),
		cluster.WithKinds(cfg.Kinds...),
		cluster.WithClusterContextProducer(func(*cluster.Cluster) cluster.Context { return c }),
	))
	c.cluster = n.cluster
	n.cluster.IdentityLookup = n.cluster.Config.IdentityLookup
	n.cluster.Remote = remote.NewRemote(n.system, remoteConfig)
	if n.tls != nil {
		if err := n.listen(); err != nil {
			n.metrics.unregister()
			return nil, err
		}
	}
	// From here on the address of the node is known, and is part of every PID.
	if err := errors.Join(n.placement.register(), c.register(n.system), n.cluster.Config.ClusterProvider.StartMember(n.cluster)); err != nil {
		n.shutDown()
		return nil, err
	}
	return n, nil
}

// register makes p the parent process of the grains.
func (p *placement) register() error {
	pid, absent := p.system.ProcessRegistry.Add(p, "kith-grains")
	if !absent {
		return fmt.Errorf("register the parent of grains: %w", actor.ErrNameExists)
	}
	p.parent = parentContext{p.system.Root, pid}
	return nil
}

// listen opens the port for other nodes; the library panics when it cannot.
func (n *Node) listen() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("listen for other nodes: %v", r)
		}
	}()
	n.cluster.Remote.Start()
	return nil
}

// Cluster returns what the generated grain clients need.
func (n *Node) Cluster() *cluster.Cluster { return n.cluster }

// System returns the actor system of the node.
func (n *Node) System() *actor.ActorSystem { return n.system }

// Lookup returns the registered activation of an identity, or nil.
func (n *Node) Lookup(identity, kind string) *actor.PID { return n.placement.lookup(identity, kind) }

// Deregister makes the next request to identity activate it anew, though the
// activation at pid still lives, and should end soon. False when pid is not
// (or no longer) the registered one.
func (n *Node) Deregister(identity, kind string, pid *actor.PID) bool {
	return n.placement.deregister(identity, kind, pid)
}

// Count returns how many activations live here, the deregistered ones included.
func (n *Node) Count() int { return int(n.placement.alive.Load()) }

// Evict stops the activations whose identity matches and returns when they have
// ended, or when ctx ends; then some may still live. Owns must refuse these
// identities already, or they may come back at once.
func (n *Node) Evict(ctx context.Context, match func(identity string) bool) error {
	return n.placement.evict(ctx, match)
}

// Stop activates nothing any more, stops all grains, waits for them until ctx
// ends, then shuts the node down. A grain is stopped in front of the messages
// that wait for it: requests among them are answered ErrStopping. A second call
// waits for the first and returns the same.
func (n *Node) Stop(ctx context.Context) error {
	n.stop.Do(func() {
		n.placement.closed.Store(true)
		if err := n.placement.evict(ctx, func(string) bool { return true }); err != nil {
			n.stopErr = fmt.Errorf("stop node: %d activations still live: %w", n.Count(), err)
		}
		n.shutDown()
	})
	return n.stopErr
}

// shutDown ends what Start began. The library's own way sleeps two seconds so
// that placements can move; here nothing is left to move.
func (n *Node) shutDown() {
	n.placement.closed.Store(true)
	if n.tls != nil {
		n.cluster.Remote.Shutdown(false)
	}
	n.system.Shutdown()
	n.metrics.unregister()
}
