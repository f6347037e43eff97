package content

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/streams"
)

// Bounds and times of the consumer.
const (
	// Group is the consumer group: all nodes share the partitions.
	Group       = "kith.content"
	maxBatch    = 1000
	maxCalls    = 64
	callTimeout = 30 * time.Second
	askTimeout  = 10 * time.Second
	// sessionTimeout is how long the partitions of a node that was killed wait for
	// another; also for the same, started again.
	sessionTimeout = 10 * time.Second
	// metadataAge is how soon it is asked again where a topic is.
	metadataAge = 250 * time.Millisecond
	// maxPartitionBytes bounds what the client buffers of a partition.
	maxPartitionBytes = 1 << 20
)

// Grains calls user grains. *usergrain.Client implements it.
type Grains interface {
	// Do sends one command and returns when it is committed.
	Do(ctx context.Context, id user.ID, c user.Command) (usergrain.Result, error)
}

// Directory is the part of persistence.Directory that the consumer needs.
type Directory interface {
	// ByUID returns the row with this uid, or persistence.ErrNotFound.
	ByUID(ctx context.Context, uid user.UID) (*user.Account, error)
}

// Config is what a Consumer needs.
type Config struct {
	Grains    Grains
	Directory Directory
	// Client is how Kafka is reached: seeds, dialer, security.
	Client []kgo.Opt
	// Topics are made where they are missing; others than the inbound one may be
	// among them.
	Topics     []streams.Topic
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: not registered
}

// Consumer counts the changes that content services report.
type Consumer struct {
	cfg     Config
	metrics *metrics
}

// New makes a consumer; Run consumes.
func New(cfg Config) (*Consumer, error) {
	if cfg.Grains == nil || cfg.Directory == nil || len(cfg.Client) == 0 || cfg.Logger == nil {
		return nil, errors.New("content: the consumer needs grains, a directory, a way to Kafka and a logger")
	}
	c := &Consumer{cfg: cfg, metrics: newMetrics(cfg.Registerer)}
	if err := kgo.ValidateOpts(c.options()...); err != nil {
		return nil, fmt.Errorf("content: the way to kafka: %w", err)
	}
	return c, nil
}

// options are those of a member of the group that says itself how far it is. A
// group that is new begins at the start of the topic.
func (c *Consumer) options() []kgo.Opt {
	return append([]kgo.Opt{
		kgo.ConsumerGroup(Group),
		kgo.SessionTimeout(sessionTimeout),
		kgo.ConsumeTopics(streams.TopicContent),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), // a batch is finished by who began it
		kgo.FetchMaxPartitionBytes(maxPartitionBytes),
	}, c.producing()...)
}

// producing are the options of who writes dead letters. A client that is
// idempotent would wait for ever to learn what became of one; twice is fine.
func (c *Consumer) producing() []kgo.Opt {
	return append([]kgo.Opt{
		kgo.ClientID("kith-content"),
		kgo.DisableIdempotentWrite(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordDeliveryTimeout(letterTimeout),
		kgo.ProducerLinger(0),
		kgo.MetadataMinAge(metadataAge), // a topic that was just made has no leader yet
	}, c.cfg.Client...)
}

// Run consumes until ctx ends. What was counted and not committed then is read
// again.
func (c *Consumer) Run(ctx context.Context) error {
	backoff := retry()
	for ctx.Err() == nil {
		client, err := kgo.NewClient(c.options()...)
		if err != nil {
			return fmt.Errorf("content: make a kafka client: %w", err)
		}
		c.ensure(ctx, client)
		c.consume(ctx, client, &backoff)
		client.CloseAllowingRebalance()
		backoff.Wait(ctx)
	}
	return nil
}

// consume reads until something cannot be read: a client repeats some errors at
// once and for ever, such as that a topic is not the one that it knew.
func (c *Consumer) consume(ctx context.Context, client *kgo.Client, backoff *streams.Backoff) {
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, maxBatch)
		if records := fetches.Records(); len(records) > 0 && c.count(ctx, client, records) {
			c.commit(ctx, client, records)
		}
		client.AllowRebalance()
		errs := fetches.Errors()
		if ctx.Err() != nil {
			return
		}
		if len(errs) > 0 { // partitions, which say the same
			c.metrics.failures.Inc()
			c.cfg.Logger.Warn("reported changes could not be read; it is tried again", "topic", errs[0].Topic, "partition", errs[0].Partition, "error", errs[0].Err)
			return
		}
		backoff.Reset()
	}
}

// ensure makes the topic if it is missing, or there would be nothing to join.
func (c *Consumer) ensure(ctx context.Context, client *kgo.Client) {
	backoff := retry()
	for ctx.Err() == nil {
		bounded, cancel := context.WithTimeout(ctx, askTimeout)
		err := streams.EnsureTopics(bounded, kadm.NewClient(client), c.cfg.Topics)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		c.metrics.failures.Inc()
		c.cfg.Logger.Warn("the inbound topic could not be ensured", "error", err)
		backoff.Wait(ctx)
	}
}

func retry() streams.Backoff {
	return streams.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
}

// commit says that records are done with. A failure costs that they are read
// again.
func (c *Consumer) commit(ctx context.Context, client *kgo.Client, records []*kgo.Record) {
	bounded, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := client.CommitRecords(bounded, records...); err != nil && ctx.Err() == nil {
		c.metrics.failures.Inc()
		c.cfg.Logger.Warn("the offsets of reported changes could not be committed", "error", err)
	}
}

// reported is a record that can be read.
type reported struct {
	record *kgo.Record
	change change
}

// count counts the changes of records, users beside each other, one user's one
// after another, and reports whether all are through: counted, or dead letters.
func (c *Consumer) count(ctx context.Context, client *kgo.Client, records []*kgo.Record) bool {
	var dead letters
	changes := make(map[user.UID][]reported)
	for _, r := range records {
		parsed, err := parse(r.Value)
		if err != nil {
			c.metrics.records.WithLabelValues(resultBad).Inc()
			c.cfg.Logger.Warn("a reported change cannot be read and is passed by", "partition", r.Partition, "offset", r.Offset)
			dead.add(r, resultBad, err)
			continue
		}
		changes[parsed.uid] = append(changes[parsed.uid], reported{r, parsed})
	}
	var running sync.WaitGroup
	free := make(chan struct{}, maxCalls)
	for uid, list := range changes {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			c.countUser(ctx, uid, list, &dead)
		})
	}
	running.Wait()
	if ctx.Err() == nil {
		c.bury(ctx, client, dead.records)
	}
	return ctx.Err() == nil
}

func (c *Consumer) countUser(ctx context.Context, uid user.UID, list []reported, dead *letters) {
	var id user.ID
	known := c.insist(ctx, func(ctx context.Context) error {
		account, err := c.cfg.Directory.ByUID(ctx, uid)
		if err == nil {
			id = account.ID
		}
		return err //nolint:wrapcheck // insist says what failed
	})
	for _, r := range list {
		var result usergrain.Result
		err := known
		if err == nil {
			err = c.insist(ctx, func(ctx context.Context) (err error) {
				result, err = c.cfg.Grains.Do(ctx, id, r.change.command)
				return err //nolint:wrapcheck // insist says what failed
			})
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, usergrain.ErrBroken):
			c.metrics.records.WithLabelValues(resultFailed).Inc()
			c.cfg.Logger.Error("a reported change is not counted: its user cannot be loaded; run kith verify",
				"user_id", id, "streams", r.change.command.Streams, "videos", r.change.command.Videos, "error", err)
			dead.add(r.record, resultFailed, err)
		case err != nil:
			c.metrics.records.WithLabelValues(resultUnknown).Inc()
			dead.add(r.record, resultUnknown, err)
		case result.Changed:
			c.metrics.records.WithLabelValues(resultCounted).Inc()
		default:
			c.metrics.records.WithLabelValues(resultRepeated).Inc()
		}
	}
}

// insist calls f until it is through, until the answer is one that stays (there
// is no such user, or none that can be loaded), or until ctx ends.
func (c *Consumer) insist(ctx context.Context, f func(ctx context.Context) error) error {
	backoff := retry()
	for {
		bounded, cancel := context.WithTimeout(ctx, callTimeout)
		err := f(bounded)
		cancel()
		var refusal user.Refusal
		switch {
		case err == nil, ctx.Err() != nil, errors.Is(err, persistence.ErrNotFound), errors.As(err, &refusal), errors.Is(err, usergrain.ErrBroken):
			return err
		}
		c.metrics.failures.Inc()
		c.cfg.Logger.Warn("a reported change could not be counted; it is tried again", "error", err)
		backoff.Wait(ctx)
	}
}
