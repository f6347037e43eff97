package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// consumerWait bounds how long Kafka may wait for records before it answers that
	// there are none. With the first record it answers at once.
	consumerWait    = 100 * time.Millisecond
	consumerTimeout = 2 * time.Minute
	// consumerLooks is how old what the client knows of topics may be when it looks
	// for one that is not there yet.
	consumerLooks = 250 * time.Millisecond
)

// consumer reads topics of kith from their beginning, as anybody may, and counts how
// many different records there are.
type consumer struct {
	client *kgo.Client
	done   chan struct{} // closed when it reads no more
	more   chan struct{} // there may be

	mu     sync.Mutex // guards what follows
	seen   map[recordID]struct{}
	again  int // records that came before
	timed  bool
	failed error
	// From sending the request of an event, and from the time of its record, until
	// the consumer had it.
	sent, recorded histogram
}

// recordID names a public record in its topic.
type recordID struct{ topic, id string }

// consume begins to read topics of a server. With timed it looks at the times in
// events that a timed job sends.
func (s *server) consume(ctx context.Context, timed bool, topics ...string) (*consumer, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.topics), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(consumerWait), kgo.MetadataMinAge(consumerLooks), kgo.MetadataMaxAge(4*consumerLooks))
	if err != nil {
		return nil, fmt.Errorf("consume: %w", err)
	}
	c := &consumer{client: client, done: make(chan struct{}), more: make(chan struct{}, 1), seen: make(map[recordID]struct{}), timed: timed}
	go c.run(ctx)
	return c, nil
}

// run reads until the client is closed, or ctx ends, or something is wrong.
func (c *consumer) run(ctx context.Context) {
	defer close(c.done)
	for {
		fetches := c.client.PollFetches(ctx)
		now := time.Now()
		if fetches.IsClientClosed() {
			return
		}
		err := c.take(fetches, now)
		select {
		case c.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// take counts records that have come.
func (c *consumer) take(fetches kgo.Fetches, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	fetches.EachError(func(topic string, partition int32, err error) {
		c.failed = errors.Join(c.failed, fmt.Errorf("consume %s/%d: %w", topic, partition, err))
	})
	fetches.EachRecord(func(r *kgo.Record) {
		if err := c.count(r, now); err != nil {
			c.failed = errors.Join(c.failed, err)
		}
	})
	return c.failed
}

// count counts a record that has come.
func (c *consumer) count(r *kgo.Record, now time.Time) error {
	id := recordID{r.Topic, attribute(r, "ce_id")}
	if id.id == "" {
		return fmt.Errorf("a record of %s has no ce_id", r.Topic)
	}
	if _, again := c.seen[id]; again {
		c.again++
		return nil
	}
	c.seen[id] = struct{}{}
	if !c.timed {
		return nil
	}
	sent, err := sentOf(r.Value)
	if err != nil {
		return err
	}
	recorded, err := time.Parse(time.RFC3339Nano, attribute(r, "ce_time"))
	if err != nil {
		return fmt.Errorf("the ce_time of a record: %w", err)
	}
	c.sent.record(now.Sub(sent))
	c.recorded.record(now.Sub(recorded))
	return nil
}

// attribute returns what CloudEvents says of a record; "" is nothing.
func attribute(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// await waits until so many different records have come. More is an error.
func (c *consumer) await(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, consumerTimeout)
	defer cancel()
	for {
		c.mu.Lock()
		came, failed := len(c.seen), c.failed
		c.mu.Unlock()
		switch {
		case failed != nil:
			return failed
		case came > n:
			return fmt.Errorf("%d different records came, where there are %d", came, n)
		case came == n:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d records have come: %w", came, n, ctx.Err())
		case <-c.more:
		}
	}
}

// restart forgets how long records took.
func (c *consumer) restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent, c.recorded = histogram{}, histogram{}
}

// times returns how long records took since restart, once all have come.
func (c *consumer) times() (sent, recorded histogram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, c.recorded
}

// repeated says in a row how many records came more than once: of rounds that Kafka did
// not acknowledge in time.
func (c *consumer) repeated() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.again == 0 {
		return ""
	}
	return fmt.Sprintf("; %s records came again", thousands(float64(c.again)))
}

// close ends it. One that was not started does nothing.
func (c *consumer) close() {
	if c == nil {
		return
	}
	c.client.Close()
	<-c.done
}
