package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/persistence"
	"kith/streams"
)

// askTimeout bounds what the broker is asked at its start.
const askTimeout = 30 * time.Second

// Why a broker starts over.
const (
	reasonDamaged = "damaged"
	reasonBehind  = "behind"
)

// untrustedError says why the data dir cannot be used.
type untrustedError struct {
	reason string
	err    error
}

func (e *untrustedError) Error() string { return e.reason + ": " + e.err.Error() }
func (e *untrustedError) Unwrap() error { return e.err }

// start opens the broker, once more on a fresh dir when the one there cannot be
// trusted.
func (b *Broker) start(ctx context.Context) error {
	port, err := newPort(ctx, b.cfg.Listen, b.cfg.Advertise)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	b.port = port
	if err := clearAside(b.cfg.Dir); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	state, err := b.cfg.Ledger.BrokerState(ctx)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	err = b.open(ctx, state)
	var untrusted *untrustedError
	if !errors.As(err, &untrusted) {
		return err
	}
	b.metrics.restarts.WithLabelValues(untrusted.reason).Inc()
	b.cfg.Logger.Warn("the files of the embedded broker cannot be trusted; it starts over and everything it can hold is published again",
		"reason", untrusted.reason, "error", untrusted.err)
	if err := b.startOver(ctx); err != nil {
		return err
	}
	return b.open(ctx, persistence.BrokerState{})
}

// startOver sets the marks back, and then makes way for a fresh dir. Cut short
// in between, the next start finds the old files, which are damaged still, or
// complete as far as the marks say.
func (b *Broker) startOver(ctx context.Context) error {
	heads, err := b.cfg.Heads(ctx)
	if err != nil {
		return fmt.Errorf("broker: read the heads of the lanes: %w", err)
	}
	if err := b.cfg.Ledger.RestartBroker(ctx, b.cfg.Node(), reach(b.cfg.Bytes, heads)); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := putAside(b.cfg.Dir); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

// open starts the cluster on the data dir. The error is an *untrustedError when
// the dir is damaged, or has less than state says.
func (b *Broker) open(ctx context.Context, state persistence.BrokerState) error {
	if err := inspect(b.cfg.Dir); err != nil {
		return &untrustedError{reasonDamaged, err}
	}
	if err := os.MkdirAll(b.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("broker: make the data dir: %w", err)
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.ClusterID("kith"), kfake.DataDir(b.cfg.Dir), kfake.ListenFn(b.port.listen),
		kfake.DefaultNumPartitions(partitions), kfake.WithLogger(logger{b.cfg.Logger}),
	)
	if err != nil {
		b.port.wait()
		if b.port.err != nil {
			return fmt.Errorf("broker: listen on %s: %w", b.cfg.Listen, b.port.err)
		}
		return &untrustedError{reasonDamaged, err}
	}
	if err := b.check(ctx, state); err != nil {
		cluster.Close()
		b.port.wait()
		return err
	}
	b.cluster = cluster
	return nil
}

// check makes the topics that are missing and compares where the partitions end
// with what is kept.
func (b *Broker) check(ctx context.Context, state persistence.BrokerState) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client, err := kgo.NewClient(b.Client()...)
	if err != nil {
		return fmt.Errorf("broker: make a client: %w", err)
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	if err := streams.EnsureTopics(ctx, adm, b.Topics()); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := b.resize(ctx, adm); err != nil {
		return err
	}
	listed, err := adm.ListEndOffsets(ctx)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return fmt.Errorf("broker: ask for the end offsets: %w", err)
	}
	for _, kept := range state.Ends {
		end, ok := listed.Lookup(kept.Topic, kept.Partition)
		if !ok || end.Offset < kept.Offset {
			return &untrustedError{reasonBehind, fmt.Errorf("partition %d of %s ends at %d, and %d was published", kept.Partition, kept.Topic, end.Offset, kept.Offset)}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.ends)
	listed.Each(func(o kadm.ListedOffset) { b.ends[partition{o.Topic, o.Partition}] = o.Offset })
	b.compacted = b.latestEnds()
	return nil
}

// resize gives topics of an earlier start the sizes of this one.
func (b *Broker) resize(ctx context.Context, adm *kadm.Client) error {
	for _, t := range b.Topics() {
		var alter []kadm.AlterConfig
		for name, value := range t.Configs {
			alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
		}
		responses, err := adm.AlterTopicConfigs(ctx, alter, t.Name)
		for _, r := range responses {
			err = errors.Join(err, r.Err)
		}
		if err != nil {
			return fmt.Errorf("broker: set the size of %s: %w", t.Name, err)
		}
	}
	return nil
}

// logger passes on what the cluster complains of. What it says of requests names
// clients, and is left out.
type logger struct{ log *slog.Logger }

// Logf implements kfake.Logger.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	if level == kfake.LogLevelError || level == kfake.LogLevelWarn {
		l.log.Warn("the embedded broker complains", "complaint", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
