package streamstest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// patience bounds the wait for what must come.
const patience = 30 * time.Second

// Consumer is a plain client that reads topics from their start.
type Consumer struct {
	tb     testing.TB
	client *kgo.Client
	got    []*kgo.Record
}

// Consume returns a consumer of topics at a broker.
func Consume(tb testing.TB, addr string, topics ...string) *Consumer {
	tb.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(10*time.Millisecond), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return &Consumer{tb: tb, client: client}
}

// Until reads on until enough says so, and returns all that was read.
func (c *Consumer) Until(enough func(all []*kgo.Record) bool) []*kgo.Record {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), patience)
	defer cancel()
	for !enough(c.got) {
		fetches := c.client.PollFetches(ctx)
		if ctx.Err() != nil {
			c.tb.Fatalf("%d records came, and then no more", len(c.got))
		}
		c.got = append(c.got, fetches.Records()...)
	}
	return c.got
}

// Await reads until n records have come.
func (c *Consumer) Await(n int) []*kgo.Record {
	c.tb.Helper()
	return c.Until(func(all []*kgo.Record) bool { return len(all) >= n })
}

// Header returns a header of a record.
func Header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}
