package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/persistence"
	"kith/streams"
)

const (
	defaultTimeout = 5 * time.Second
	// unknownTimeouts is how many Timeouts a send is waited for of which nobody
	// knows what became. The client itself would wait for ever, also for a Kafka
	// that has come back without what would tell it. Giving up may publish twice.
	unknownTimeouts = 4
	// maxBuffered is more than a round has: a client never makes it wait.
	maxBuffered = 4 * maxRoundRecords
)

// producer is a Kafka client whose topics are there. After a failure it is
// replaced: a client remembers what has become of topics, and sequence numbers,
// longer than they are true.
type producer struct{ client *kgo.Client }

// options are those of a producer that is idempotent, which is the default, and
// waits for all in-sync replicas.
func (c *Config) options() []kgo.Opt {
	return append([]kgo.Opt{
		kgo.ClientID("kith-publish"),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerLinger(0), // rounds are batches already
		kgo.MaxBufferedRecords(maxBuffered),
		kgo.BrokerMaxWriteBytes(maxRequestBytes),
		kgo.RecordDeliveryTimeout(c.Timeout),
		kgo.UnknownTopicRetries(1),
	}, c.Client...)
}

func (t *Tail) openProducer(ctx context.Context) (*producer, error) {
	if t.producer != nil {
		return t.producer, nil
	}
	client, err := kgo.NewClient(t.cfg.options()...)
	if err != nil {
		return nil, fmt.Errorf("make a kafka client: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	if err := streams.EnsureTopics(bounded, kadm.NewClient(client), t.cfg.Topics); err != nil {
		client.Close()
		return nil, fmt.Errorf("ensure the topics: %w", err)
	}
	t.producer = &producer{client}
	return t.producer, nil
}

// maxRequestBytes is more than the largest batch, and less than what the embedded
// broker refuses.
const maxRequestBytes = 16 << 20

func (t *Tail) closeProducer() {
	if t.producer != nil {
		t.producer.client.Close()
		t.producer = nil
	}
}

// send writes records and reports for each whether it is acknowledged, with its
// end offset kept. Only when there is no error are they all.
func (t *Tail) send(ctx context.Context, records []*kgo.Record) (acked []bool, err error) {
	acked = make([]bool, len(records))
	if len(records) == 0 {
		return acked, nil
	}
	p, err := t.openProducer(ctx)
	if err != nil {
		return acked, err
	}
	ends := make(map[partition]int64)
	var failed error
	bounded, cancel := context.WithTimeout(ctx, unknownTimeouts*t.cfg.Timeout)
	defer cancel()
	for i, err := range p.produce(bounded, records) {
		if err != nil {
			failed = err // thousands say the same
			continue
		}
		acked[i] = true
		at := partition{records[i].Topic, records[i].Partition}
		ends[at] = max(ends[at], records[i].Offset+1)
	}
	if failed != nil {
		t.closeProducer()
		failed = fmt.Errorf("produce: %w", failed)
	}
	if err := t.keep(ctx, ends); err != nil {
		return make([]bool, len(records)), errors.Join(failed, err)
	}
	return acked, failed
}

type partition struct {
	topic  string
	number int32
}

// keep keeps the end offsets. It comes before the marks: a mark that is kept
// says that the broker has the record, and the offsets are what that is checked
// against.
func (t *Tail) keep(ctx context.Context, ends map[partition]int64) error {
	if t.cfg.Ends == nil || len(ends) == 0 {
		return nil
	}
	list := make([]persistence.EndOffset, 0, len(ends))
	for at, offset := range ends {
		list = append(list, persistence.EndOffset{Topic: at.topic, Partition: at.number, Offset: offset})
	}
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := t.cfg.Ends.Published(bounded, list); err != nil {
		return fmt.Errorf("keep the end offsets: %w", err)
	}
	return nil
}

// produce hands records to the client and returns what became of each. When ctx
// ends the client is closed, which settles all: its records may or may not have
// been written.
func (p *producer) produce(ctx context.Context, records []*kgo.Record) []error {
	errs := make([]error, len(records))
	var left sync.WaitGroup
	left.Add(len(records))
	for i, r := range records {
		p.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			errs[i] = err
			left.Done()
		})
	}
	settled := make(chan struct{})
	go func() {
		left.Wait()
		close(settled)
	}()
	select {
	case <-settled:
	case <-ctx.Done():
		p.client.Close()
		<-settled
	}
	return errs
}
