package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// published returns a record as kith publishes an event that was sent and recorded at
// fixed times.
func published(id string) *kgo.Record {
	return &kgo.Record{
		Topic: "t", Value: []byte(`{"uid":"u","event":{"event_id":"1767323045000005000-0-1"}}`),
		Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte(id)}, {Key: "ce_time", Value: []byte("2026-01-02T03:04:05.000006Z")}},
	}
}

func fetched(records ...*kgo.Record) kgo.Fetches {
	return kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "t", Partitions: []kgo.FetchPartition{{Records: records}}}}}}
}

func newConsumer(timed bool) *consumer {
	return &consumer{more: make(chan struct{}, 1), seen: make(map[recordID]struct{}), timed: timed}
}

func TestConsumerTakesTheTimesOfEvents(t *testing.T) {
	t.Parallel()
	c := newConsumer(true)
	now := time.Date(2026, 1, 2, 3, 4, 5, 20_000, time.UTC)
	if err := c.take(fetched(published("u/1"), published("u/2")), now); err != nil {
		t.Fatal(err)
	}
	if err := c.await(t.Context(), 2); err != nil {
		t.Error(err)
	}
	sent, recorded := c.times()
	if sent.total != 2 || recorded.total != 2 || sent.quantile(1) != 15*time.Microsecond || recorded.quantile(1) != 14*time.Microsecond {
		t.Errorf("%d records take %s from the request, %d %s from the record", sent.total, sent.quantile(1), recorded.total, recorded.quantile(1))
	}
	c.restart()
	if sent, recorded := c.times(); sent.total+recorded.total > 0 {
		t.Error("the times are not forgotten")
	}
}

func TestConsumerFindsRecordsThatAreWrong(t *testing.T) {
	t.Parallel()
	cause := errors.New("gone")
	for what, fetches := range map[string]kgo.Fetches{
		"one too many":          fetched(published("u/1"), published("u/2"), published("u/3")),
		"one without an id":     fetched(&kgo.Record{Topic: "t"}),
		"an event with no id":   fetched(&kgo.Record{Topic: "t", Headers: published("u/1").Headers}),
		"an event of no time":   fetched(&kgo.Record{Topic: "t", Value: published("").Value, Headers: published("u/1").Headers[:1]}),
		"what cannot be read":   kgo.NewErrFetch(cause),
		"too few, for too long": fetched(published("u/1")),
	} {
		c := newConsumer(true)
		failed := c.take(fetches, time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.await(ctx, 2); err == nil || failed != nil && !errors.Is(err, failed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	c := newConsumer(true)
	if err := c.take(fetched(published("u/1"), published("u/1"), published("u/2")), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := c.await(t.Context(), 2); err != nil || c.repeated() != "; 1 records came again" || c.recorded.total != 2 {
		t.Errorf("one comes twice: %v%s, %d times", err, c.repeated(), c.recorded.total)
	}
	c = newConsumer(false)
	if err := c.take(fetched(&kgo.Record{Topic: "t", Headers: published("u/1").Headers[:1]}), time.Now()); err != nil {
		t.Errorf("without looking at times: %v", err)
	}
}
