package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topic = "kith.activity.v1"
	// commitTime bounds how long Kafka may take to remember how far we are.
	commitTime = 5 * time.Second
	retryTime  = time.Second
	// sessionTime is for how long Kafka believes that a process that crashed reads on.
	sessionTime = 10 * time.Second
)

// consumer is one client with the windows of the partitions that it reads.
type consumer struct {
	settings settings
	client   *kgo.Client

	windows   map[int32]*window // by partition
	committed map[int32]int64
}

// consume prints the table until ctx ends. When the topic cannot be read it begins
// anew with another client, which fills the windows again: a topic that was made anew
// has other offsets, and a client does not get over that by itself.
func consume(ctx context.Context, s settings, out, complaints io.Writer) error {
	for {
		c, err := newConsumer(s)
		if err != nil {
			return err
		}
		err = c.run(ctx, out)
		c.client.CloseAllowingRebalance()
		if broken := (*brokenError)(nil); err == nil || !errors.As(err, &broken) {
			return err
		}
		fmt.Fprintln(complaints, "trending: beginning anew:", err)
		select {
		case <-time.After(retryTime):
		case <-ctx.Done():
			return nil
		}
	}
}

// brokenError says that the topic cannot be read with this client.
type brokenError struct{ cause error }

func (e *brokenError) Error() string { return "read the topic: " + e.cause.Error() }
func (e *brokenError) Unwrap() error { return e.cause }

func newConsumer(s settings) (*consumer, error) {
	c := &consumer{settings: s, windows: make(map[int32]*window), committed: make(map[int32]int64)}
	var err error
	c.client, err = kgo.NewClient(
		kgo.SeedBrokers(s.brokers...),
		kgo.ClientID("trending"),
		kgo.ConsumeTopics(topic),
		kgo.ConsumerGroup(s.group),
		// A group that is new begins where the window does. Kafka goes by when a record
		// was published, which is after it was recorded.
		kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(time.Now().Add(-s.window).UnixMilli())),
		kgo.SessionTimeout(sessionTime),
		kgo.DisableAutoCommit(),
		// Partitions come and go only while we wait for records, so nothing here needs a
		// lock.
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsRevoked(c.drop),
		kgo.OnPartitionsLost(c.drop),
	)
	if err != nil {
		return nil, fmt.Errorf("make a kafka client: %w", err)
	}
	return c, nil
}

// drop forgets partitions that are somebody else's now.
func (c *consumer) drop(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	for _, partition := range gone[topic] {
		delete(c.windows, partition)
		delete(c.committed, partition)
	}
}

// run reads, and prints and commits every interval, until ctx ends. An error is a
// *brokenError, or that nobody can be shown anything.
func (c *consumer) run(ctx context.Context, out io.Writer) error {
	next := time.Now().Add(c.settings.interval)
	for ctx.Err() == nil {
		polling, cancel := context.WithDeadline(ctx, next)
		fetches := c.client.PollFetches(polling)
		cancel()
		c.take(fetches)
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) && ctx.Err() == nil {
				return &brokenError{e.Err}
			}
		}
		if now := time.Now(); ctx.Err() == nil && !now.Before(next) {
			next = now.Add(c.settings.interval)
			c.forget(now)
			if err := show(out, now, c.settings, rank(c.windows, now.Add(-c.settings.window))); err != nil {
				return err
			}
			if err := c.commit(ctx); err != nil && ctx.Err() == nil {
				return &brokenError{err}
			}
		}
		c.client.AllowRebalance()
	}
	return nil
}

// take reads records.
func (c *consumer) take(fetches kgo.Fetches) {
	fetches.EachRecord(func(r *kgo.Record) {
		w := c.windows[r.Partition]
		if w == nil {
			w = newWindow()
			c.windows[r.Partition] = w
		}
		w.next = r.Offset + 1
		w.read(r, time.Now().Add(-c.settings.window))
	})
}

// read takes in a record. What it does not know it passes by.
func (w *window) read(r *kgo.Record, since time.Time) {
	var value struct {
		UID     string `json:"uid"`
		EventID string `json:"event_id"` // alone, when the event was deleted
		Event   *struct {
			ID      string `json:"event_id"`
			Type    string `json:"type"`
			MovieID int64  `json:"movie_id"`
		} `json:"event"`
	}
	if json.Unmarshal(r.Value, &value) != nil {
		return
	}
	switch header(r, "ce_type") {
	case "activity.recorded":
		at, err := time.Parse(time.RFC3339, header(r, "ce_time"))
		if err == nil && !at.Before(since) && value.Event != nil && value.Event.Type == "view" {
			w.add(&view{id: header(r, "ce_id"), uid: value.UID, event: value.Event.ID, movie: value.Event.MovieID, at: at, offset: r.Offset})
		}
	case "activity.deleted":
		w.remove(value.UID, value.EventID)
	}
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

// forget drops what is too old.
func (c *consumer) forget(now time.Time) {
	for _, w := range c.windows {
		w.forget(now.Add(-c.settings.window))
	}
}

// commit tells Kafka where the windows begin. That, and not how far they reach, is
// where reading must begin after a stop or a crash for the same views to count: the
// windows are in memory alone.
func (c *consumer) commit(ctx context.Context) error {
	var behind []*kgo.Record // the client commits the offset behind a record
	for partition, w := range c.windows {
		if at, known := c.committed[partition]; !known || at != w.begin() {
			behind = append(behind, &kgo.Record{Topic: topic, Partition: partition, LeaderEpoch: -1, Offset: w.begin() - 1})
		}
	}
	if len(behind) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	if err := c.client.CommitRecords(bounded, behind...); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for _, r := range behind {
		c.committed[r.Partition] = r.Offset + 1
	}
	return nil
}
