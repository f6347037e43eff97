package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kith/persistence"
	"kith/streams"
)

const (
	publishDegree  = 10 // records to publish of each user, but for the registration, and as many to pass over
	publishGoal    = 50_000
	publishPace    = 50 * time.Millisecond
	publishShare   = 50 // it is looked how far kith is after so much of the time so far: that costs kith, too
	publishTimeout = 3 * time.Minute

	publishUsers      = 50_000 // 550,000 records to publish
	publishKafkaUsers = 90_910 // 1,000,010
)

// publishCase is one way in which a backlog is published.
type publishCase struct {
	name  string
	users int
	where string   // it is published, in a row
	env   []string // of kith
	// arrived checks that all records of so many users are where they were published,
	// and says in a row if there is more to say.
	arrived func(ctx context.Context, w *world, users int) (more string, err error)
}

// measurePublish starts kith on a database of which nothing has been published,
// and measures until everything is where it belongs. The start counts.
func (b *bench) measurePublish(ctx context.Context, c publishCase, on *stores) (err error) {
	people, err := newPopulation(b.scaled(c.users, 500), publishDegree, 4)
	if err != nil {
		return err
	}
	people.Active = 1
	w, err := b.makeWorld(ctx, c.name, on, people, []persistence.TailName{persistence.TailEffects})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	before, err := on.usage()
	if err != nil {
		return err
	}
	w.host.env = c.env
	if err := w.start(ctx, b, people); err != nil {
		return err
	}
	n := len(people.People)
	records := float64(n * (1 + len(people.Offsets)))
	stopProfile := b.profile(ctx, w.server, c.name, time.Duration(records/publishGoal*float64(time.Second)))
	took, err := w.published(ctx, on.publishTail(), records)
	if err != nil {
		return err
	}
	s := sample{outcome: outcome{Done: int(records)}, took: took}
	used, err := w.usage(ctx)
	if err != nil {
		return err
	}
	s.usage = used.minus(before)
	if err := stopProfile(); err != nil {
		return err
	}
	more, err := c.arrived(ctx, w, n)
	if err != nil {
		return err
	}
	b.say("%s: %.0f records in %s, %.1f µs of CPU", c.name, records, took, s.ofServer())
	b.report.add(fmt.Sprintf("%s records published from a backlog into %s ≥ %s/s", thousands(records), c.where, thousands(publishGoal)),
		fmt.Sprintf("%s/s (CPU %.1f µs a record%s, the start of %.2f s included%s)", thousands(s.rate()), s.each(), made([]sample{s}, 1), w.ready.Seconds(), more),
		met(s.rate() >= publishGoal))
	if on != nil {
		b.report.add(fmt.Sprintf("the same: CPU of kith ≤ %d µs a record, as many as that a second on a core of its own", int(1e6/publishGoal)),
			fmt.Sprintf("%.1f µs", s.ofServer()), met(s.ofServer() <= 1e6/publishGoal))
	}
	return nil
}

// measurePublishKafka has a kith on one core publish a backlog into a Kafka.
func (b *bench) measurePublishKafka(ctx context.Context, name string, on *stores) error {
	return b.measurePublish(ctx, publishCase{name, publishKafkaUsers, "Kafka from PostgreSQL, kith on one core", []string{"GOMAXPROCS=1"}, kafkaHas}, on)
}

// brokerHas checks that the embedded broker has the records of so many users.
func brokerHas(ctx context.Context, w *world, users int) (more string, err error) {
	records := float64(users * (1 + len(w.people.Offsets)))
	var kept float64
	if err := w.reader.row(ctx, `SELECT coalesce(sum(pos), 0) FROM broker_ends`, &kept); err != nil {
		return "", fmt.Errorf("read where the broker's partitions end: %w", err)
	}
	if kept < records {
		return "", fmt.Errorf("kith says that it has published %.0f records, its broker has %.0f", records, kept)
	}
	return "", nil
}

// kafkaHas reads everything from a Kafka and checks that the records of so many
// users are there, all different: of each a registration in two topics, and whom
// they follow.
func kafkaHas(ctx context.Context, w *world, users int) (more string, err error) {
	c, err := w.consume(ctx, false, streams.TopicUsers, streams.TopicLatestUsers, streams.TopicGraph)
	if err != nil {
		return "", err
	}
	defer c.close()
	err = c.await(ctx, users*(2+len(w.people.Offsets)))
	return c.repeated(), err
}

// published waits until nothing is left to publish and returns how long ago kith
// was started then.
func (w *world) published(ctx context.Context, tail persistence.TailName, records float64) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	for {
		body, err := get(ctx, "http://"+w.ops+"/metrics")
		if err != nil {
			return 0, err
		}
		took := time.Since(w.began)
		lag, ok := metric(body, `kith_tail_lag_records{tail="`+string(tail)+`"}`)
		if !ok {
			return 0, fmt.Errorf("%s has no tail %q", w.name, tail)
		}
		// Until it has begun it knows of no lag.
		sent, _ := metric(body, "kith_publish_records_total")
		if lag == 0 && sent >= records {
			return took, nil
		}
		pace := time.NewTimer(max(publishPace, took/publishShare))
		select {
		case <-ctx.Done():
			pace.Stop()
			return 0, fmt.Errorf("%.0f of %.0f records are published, %.0f lie behind: %w", sent, records, lag, ctx.Err())
		case <-pace.C:
		}
	}
}

// total returns the sum of the series whose text begins so.
func total(text []byte, prefix string) (sum float64) {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if line := s.Text(); strings.HasPrefix(line, prefix) {
			value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err == nil {
				sum += value
			}
		}
	}
	return sum
}

// metric returns the value of a series in the text format of Prometheus.
func metric(text []byte, series string) (value float64, ok bool) {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if rest, found := strings.CutPrefix(s.Text(), series+" "); found {
			value, err := strconv.ParseFloat(rest, 64)
			return value, err == nil
		}
	}
	return 0, false
}
