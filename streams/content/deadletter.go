package content

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/streams"
)

const (
	// letterTimeout bounds a try to write the dead letters of a batch.
	letterTimeout = 5 * time.Second
	// maxLetter bounds the key, the value and the reason of a dead letter: with what
	// is added to it a large record would not be taken.
	maxLetter = 64 << 10
)

// The headers of a dead letter, beside the key and the value that the record had.
const (
	headerReason    = "kith_reason" // bad, unknown or failed, as in the metrics
	headerError     = "kith_error"
	headerTopic     = "kith_topic"
	headerPartition = "kith_partition"
	headerOffset    = "kith_offset"
	// headerBytes is there when the value was longer, and says how long it was.
	headerBytes = "kith_value_bytes"
)

// letters are the dead letters of a batch.
type letters struct {
	mu      sync.Mutex
	records []*kgo.Record
}

// add notes that a record cannot be used, and why.
func (l *letters) add(r *kgo.Record, reason string, err error) {
	number := func(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
	letter := &kgo.Record{Topic: streams.TopicDeadLetter, Key: cut(r.Key), Value: cut(r.Value), Headers: []kgo.RecordHeader{
		{Key: headerReason, Value: []byte(reason)},
		{Key: headerError, Value: cut([]byte(err.Error()))},
		{Key: headerTopic, Value: []byte(r.Topic)},
		{Key: headerPartition, Value: number(int64(r.Partition))},
		{Key: headerOffset, Value: number(r.Offset)},
	}}
	if n := len(r.Value); n > maxLetter {
		letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: headerBytes, Value: number(int64(n))})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, letter)
}

// cut returns the beginning of b. What is nil stays so.
func cut(b []byte) []byte { return b[:min(len(b), maxLetter)] }

// bury writes dead letters. One that is not taken in time holds up nothing: the
// log says where the record is.
func (c *Consumer) bury(ctx context.Context, client *kgo.Client, dead []*kgo.Record) {
	dead, err := c.write(ctx, client, dead)
	if len(dead) > 0 && ctx.Err() == nil {
		dead, err = c.buryAnew(ctx, dead)
	}
	if ctx.Err() != nil {
		return // the batch is read again
	}
	for _, r := range dead {
		c.metrics.letters.WithLabelValues(letterLost).Inc()
		c.cfg.Logger.Error("a reported change that cannot be used could not be written to the topic of dead letters",
			"partition", header(r, headerPartition), "offset", header(r, headerOffset), "error", err)
	}
}

// buryAnew is for a topic that somebody has deleted: a client remembers the one that
// was. It returns what is left, and why.
func (c *Consumer) buryAnew(ctx context.Context, dead []*kgo.Record) ([]*kgo.Record, error) {
	client, err := kgo.NewClient(c.producing()...)
	if err != nil {
		return dead, fmt.Errorf("make a kafka client: %w", err)
	}
	defer client.Close()
	bounded, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	if err := streams.EnsureTopics(bounded, kadm.NewClient(client), c.cfg.Topics); err != nil {
		return dead, fmt.Errorf("ensure the topics: %w", err)
	}
	return c.write(ctx, client, dead)
}

// write writes dead letters and returns those that were not taken, and why.
func (c *Consumer) write(ctx context.Context, client *kgo.Client, dead []*kgo.Record) (left []*kgo.Record, err error) {
	bounded, cancel := context.WithTimeout(ctx, letterTimeout)
	defer cancel()
	for _, r := range dead {
		r.Context = nil //nolint:fatcontext // of the try before, which has ended
	}
	for _, result := range client.ProduceSync(bounded, dead...) {
		if result.Err != nil {
			left, err = append(left, result.Record), result.Err // thousands say the same
			continue
		}
		c.metrics.letters.WithLabelValues(letterWritten).Inc()
	}
	return left, err
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
