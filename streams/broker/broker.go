package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/persistence"
	"kith/streams"
)

// Times of the sweep.
const (
	retentionEvery = 5 * time.Second
	compactEvery   = 10 * time.Minute
	// compactAfter is how many records the compacted topic must have got since, or
	// it is not worth rewriting it.
	compactAfter = 10_000
)

// Config is what a Broker needs.
type Config struct {
	Dir    string // of the broker alone: it is thrown away when it is damaged
	Listen string // host:port; port 0 picks a free one
	// Advertise is the host that clients are told to connect to; "" for that of
	// Listen, or the machine's name when that is every address.
	Advertise string
	// Bytes caps the size of all topics together, as stored. Default 256 MiB, at
	// least MinBytes.
	Bytes  int64
	Ledger persistence.BrokerLedger
	// Heads returns the heads of the lanes; Node the node, at its current epoch.
	Heads      func(ctx context.Context) ([persistence.LaneCount]uint64, error)
	Node       func() persistence.Node
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: not registered
}

// Broker is a running broker.
type Broker struct {
	cfg     Config
	cluster *kfake.Cluster
	port    *port
	metrics *metrics

	mu        sync.Mutex
	closed    bool
	ends      map[partition]int64 // as kept, or higher
	compacted int64               // the sum of the ends of the compacted topic at the last compaction
}

type partition struct {
	topic  string
	number int32
}

// Open starts the broker on its data dir, or on a fresh one when that cannot be
// trusted. An error means that the port is taken, that the directory cannot be
// written, or that the ledger does not answer.
func Open(ctx context.Context, cfg Config) (*Broker, error) {
	if cfg.Dir == "" || cfg.Listen == "" || cfg.Ledger == nil || cfg.Heads == nil || cfg.Node == nil || cfg.Logger == nil {
		return nil, errors.New("broker: it needs a dir, an address, a ledger, heads, a node and a logger")
	}
	if cfg.Bytes == 0 {
		cfg.Bytes = defaultBytes
	}
	if cfg.Bytes < MinBytes {
		return nil, fmt.Errorf("broker: %d bytes are too few, the least is %d", cfg.Bytes, int64(MinBytes))
	}
	b := &Broker{cfg: cfg, metrics: newMetrics(cfg.Registerer), ends: make(map[partition]int64)}
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// Addr is where the broker listens.
func (b *Broker) Addr() net.Addr { return b.port.real }

// Client returns how a client in this process reaches the broker, whatever it
// advertises.
func (b *Broker) Client() []kgo.Opt { return b.port.client() }

// Topics returns the topics that the broker has, to be made again if somebody
// deletes one.
func (b *Broker) Topics() []streams.Topic { return topics(b.cfg.Bytes) }

// Run keeps the topics within their size until ctx ends.
func (b *Broker) Run(ctx context.Context) error {
	retention := time.NewTicker(retentionEvery)
	defer retention.Stop()
	compaction := time.NewTicker(compactEvery)
	defer compaction.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-retention.C:
			b.Sweep(false)
		case <-compaction.C:
			b.Sweep(b.worthCompacting())
		}
	}
}

// Sweep drops what is over the size of its topic, and with compact also what is
// superseded in the compacted one, which rewrites it.
func (b *Broker) Sweep(compact bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed: // a closed cluster never answers
	case compact:
		b.compacted = b.latestEnds()
		b.cluster.Compact()
		b.metrics.compactions.Inc()
	default:
		b.cluster.ApplyRetention()
	}
}

func (b *Broker) worthCompacting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.latestEnds()-b.compacted >= compactAfter
}

// latestEnds returns the sum of the end offsets of the compacted topic.
func (b *Broker) latestEnds() (sum int64) {
	for at, end := range b.ends {
		if at.topic == streams.TopicLatestUsers {
			sum += end
		}
	}
	return sum
}

// Close writes the broker's state and ends it. It may be called twice.
func (b *Broker) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		b.cluster.Close()
		b.port.wait()
	}
	return nil
}

type metrics struct {
	restarts    *prometheus.CounterVec
	compactions prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		restarts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_broker_restarts_total", Help: "Starts of the embedded broker with a fresh data dir, by reason: damaged, behind.",
		}, []string{"reason"}),
		compactions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_broker_compactions_total", Help: "Compactions of the compacted topic.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.restarts, m.compactions)
	}
	return m
}
