package crash_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/kithtest"
)

const (
	topicActivity = "kith.activity.v1"
	topicGraph    = "kith.graph.v1"
	topicUsers    = "kith.users.v1"
	topicLatest   = "kith.users.latest.v1"

	readersGroup = "readers"
	// kafkaTime bounds what is asked of the broker, on a busy machine.
	kafkaTime = time.Minute
	drainPoll = 20 * time.Millisecond
	leaveTime = time.Second
)

func topics() []string { return []string{topicActivity, topicGraph, topicUsers, topicLatest} }

type partition struct {
	topic  string
	number int32
}

// consumer is a plain Kafka client that reads the topics while the server is
// killed. It knows the outside contract alone.
type consumer struct {
	t     *testing.T
	addr  string
	group string // "": it keeps its offsets itself

	again chan struct{} // gets one when the client is to be replaced

	mu        sync.Mutex
	logs      map[partition][]*kgo.Record // each from offset 0 on
	committed map[partition]int64         // what the group has acknowledged
	clients   int
}

// consume starts both kinds of consumers and returns what ends them.
func (s *storm) consume() (end func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	var running sync.WaitGroup
	for i, group := range []string{"", readersGroup} {
		c := &consumer{
			t: s.t, addr: s.server.KafkaAddr(), group: group, again: make(chan struct{}, 1),
			logs: make(map[partition][]*kgo.Record), committed: make(map[partition]int64),
		}
		for at := range c.ends() {
			c.logs[at] = nil
		}
		s.readers[i] = c
		running.Go(func() { c.run(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// plain are the options of every client: impatient ones, since the broker is
// away often and never for long.
func (c *consumer) plain() []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(c.addr), kgo.MetadataMinAge(20 * time.Millisecond), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
	}
}

// ends returns where the partitions of the topics end.
func (c *consumer) ends() map[partition]int64 {
	c.t.Helper()
	client, err := kgo.NewClient(c.plain()...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(c.t.Context(), kafkaTime)
	defer cancel()
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, topics()...)
	if err = errors.Join(err, listed.Error()); err != nil {
		c.t.Fatalf("ask where the topics end: %v", err)
	}
	ends := make(map[partition]int64)
	listed.Each(func(o kadm.ListedOffset) { ends[partition{o.Topic, o.Partition}] = o.Offset })
	return ends
}

// reopen replaces the client by one that knows nothing but the offsets.
func (c *consumer) reopen() {
	select {
	case c.again <- struct{}{}:
	default:
	}
}

// run reads until ctx ends, with one client after another.
func (c *consumer) run(ctx context.Context) {
	for ctx.Err() == nil {
		client, err := kgo.NewClient(append(c.plain(), c.options()...)...)
		if err != nil {
			c.t.Error(err)
			return
		}
		c.read(ctx, client)
		c.leave(context.WithoutCancel(ctx), client)
	}
}

// leave ends a client. Whether the group is told of it is of no matter: the
// broker may be away.
func (*consumer) leave(ctx context.Context, client *kgo.Client) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	client.AllowRebalance()
	_ = client.LeaveGroupContext(ctx)
	client.Close()
}

func (c *consumer) options() []kgo.Opt {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients++
	if c.group != "" {
		return []kgo.Opt{
			kgo.ConsumerGroup(c.group), kgo.ConsumeTopics(topics()...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		}
	}
	own := make(map[string]map[int32]kgo.Offset)
	for at, log := range c.logs {
		if own[at.topic] == nil {
			own[at.topic] = make(map[int32]kgo.Offset)
		}
		own[at.topic][at.number] = kgo.NewOffset().At(int64(len(log)))
	}
	// An offset that the broker does not know is an error, and no new beginning.
	return []kgo.Opt{kgo.ConsumePartitions(own), kgo.ConsumeResetOffset(kgo.NoResetOffset())}
}

// read reads with one client until it is to be replaced.
func (c *consumer) read(ctx context.Context, client *kgo.Client) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	waiting.Go(func() {
		select {
		case <-c.again:
			cancel()
		case <-ctx.Done():
		}
	})
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		fetches.EachError(func(topic string, number int32, err error) {
			// That the broker is away, and has forgotten who was in the group, is what
			// this is about.
			var refused *kerr.Error
			var lost *kgo.ErrDataLoss
			var session *kgo.ErrGroupSession
			if !errors.As(err, &session) && errors.As(err, &refused) && !refused.Retriable || errors.As(err, &lost) {
				c.t.Errorf("%s, partition %d of %s: %v", c.name(), number, topic, err)
			}
		})
		records := fetches.Records()
		c.keep(records)
		if c.group != "" && len(records) > 0 {
			c.commit(ctx, client, records)
		}
		client.AllowRebalance()
	}
}

func (c *consumer) name() string {
	if c.group == "" {
		return "the consumer with offsets of its own"
	}
	return "the group"
}

// keep adds records to the logs. A log has no gaps; what is read again is the
// same, and in a group it is nothing that was committed.
func (c *consumer) keep(records []*kgo.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		at := partition{r.Topic, r.Partition}
		log := c.logs[at]
		known := int64(len(log))
		switch {
		case r.Offset == known:
			c.logs[at] = append(log, r)
		case r.Offset > known:
			c.t.Errorf("%s reads offset %d of %v after %d", c.name(), r.Offset, at, known-1)
		case c.group == "" || r.Offset < c.committed[at]:
			c.t.Errorf("%s reads offset %d of %v again, having read %d and committed %d", c.name(), r.Offset, at, known, c.committed[at])
		case header(r, "ce_id") != header(log[r.Offset], "ce_id"):
			c.t.Errorf("offset %d of %v was %s and is %s", r.Offset, at, header(log[r.Offset], "ce_id"), header(r, "ce_id"))
		}
	}
}

// commit commits what was read. Without an answer it may be committed or not.
func (c *consumer) commit(ctx context.Context, client *kgo.Client, records []*kgo.Record) {
	ctx, cancel := context.WithTimeout(ctx, kafkaTime)
	defer cancel()
	if client.CommitRecords(ctx, records...) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		at := partition{r.Topic, r.Partition}
		c.committed[at] = max(c.committed[at], r.Offset+1)
	}
}

// behind says what has not been read of what there is, "" for nothing.
func (c *consumer) behind(ends map[partition]int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, end := range ends {
		if n := int64(len(c.logs[at])); n < end {
			return fmt.Sprintf("%s has read %d of %d records of %v", c.name(), n, end, at)
		}
	}
	return ""
}

// header returns a header of a record, "" when it has none.
func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// drainTopics waits until everything is published and read.
func (s *storm) drainTopics() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), kafkaTime)
	defer cancel()
	if !kithtest.Poll(ctx, drainPoll, func() bool {
		// Something was written since the last start: without a record the tail has
		// not begun, and its lag says nothing.
		return s.server.Metric(`kith_tail_records_total{tail="broker"}`) > 0 && s.server.Metric(`kith_tail_lag_records{tail="broker"}`) == 0
	}) {
		s.t.Fatalf("%v records are not published", s.server.Metric(`kith_tail_lag_records{tail="broker"}`))
	}
	ends := s.readers[0].ends()
	for _, c := range s.readers {
		left := ""
		if !kithtest.Poll(ctx, drainPoll, func() bool {
			left = c.behind(ends)
			return left == ""
		}) {
			s.t.Fatal(left)
		}
	}
}
