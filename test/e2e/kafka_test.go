package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/kithtest"
)

const (
	topicActivity = "kith.activity.v1"
	topicGraph    = "kith.graph.v1"
	topicUsers    = "kith.users.v1"
	topicLatest   = "kith.users.latest.v1"
	topicContent  = "kith.content.v1"

	// kafkaTime bounds what has to arrive, on a busy machine; kafkaPoll is how
	// often it is looked for.
	kafkaTime = time.Minute
	kafkaPoll = 20 * time.Millisecond
)

// plain returns a Kafka client that knows nothing but an address.
func plain(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(addr), kgo.MetadataMinAge(20 * time.Millisecond), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// consume reads topics from their start until enough says so, and returns all
// that came, by topic.
func consume(t *testing.T, addr string, enough func(read map[string][]*kgo.Record) bool, topics ...string) map[string][]*kgo.Record {
	t.Helper()
	client := plain(t, addr, kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), kafkaTime)
	defer cancel()
	read := make(map[string][]*kgo.Record)
	for !enough(read) {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			for topic, records := range read {
				for _, r := range records {
					t.Logf("%s: %s %s %s", topic, header(r, "ce_id"), header(r, "ce_type"), r.Value)
				}
			}
			t.Fatal("not enough came")
		}
		fetches.EachRecord(func(r *kgo.Record) { read[r.Topic] = append(read[r.Topic], r) })
	}
	return read
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

// await waits until something is so.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), kafkaTime)
	defer cancel()
	if !kithtest.Poll(ctx, kafkaPoll, done) {
		t.Fatalf("in vain waited until %s", what)
	}
}
