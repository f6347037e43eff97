package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kith/persistence"
	"kith/streams"
)

const (
	topicUsers       = 10_000
	topicDegree      = 5
	topicTime        = 10 * time.Second
	topicLatencyGoal = 50 * time.Millisecond // from the commit
)

// measureTopics measures how long behaviour events are on their way to a consumer of
// their topic, at half of those that can be recorded and consumed: on the embedded
// broker and SQLite, or on stores with a Kafka.
func (b *bench) measureTopics(ctx context.Context, name string, on *stores) (err error) {
	people, err := newPopulation(b.scaled(topicUsers, 500), topicDegree, 11)
	if err != nil {
		return err
	}
	w, err := b.startWorld(ctx, name, on, people, []persistence.TailName{persistence.TailEffects, on.publishTail()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	c, err := w.consume(ctx, true, streams.TopicActivity)
	if err != nil {
		return err
	}
	defer c.close()
	recorded := 0
	arrive := func(done int) error {
		recorded += done
		return c.await(ctx, recorded)
	}
	j := job{Kind: loadEvent, Connections: eventsConns, Duration: b.lasting(topicTime), Timed: true}
	var full float64
	for j.Seed = range uint64(2) { // the first activates
		s, err := w.load(ctx, j, arrive)
		if err != nil {
			return err
		}
		full = s.rate()
	}
	c.restart()
	j.Seed, j.Rate = 2, full/2
	stopProfile := b.profile(ctx, w.server, name, j.Duration)
	s, err := w.load(ctx, j, arrive)
	if err != nil {
		return err
	}
	if err := stopProfile(); err != nil {
		return err
	}
	b.reportTopics(on, people, &s, c, full)
	return w.holdsEvents(ctx, recorded)
}

func (b *bench) reportTopics(on *stores, people *population, s *sample, c *consumer, full float64) {
	sent, recorded := c.times()
	p99, rate := recorded.quantile(.99), float64(s.Done)/s.Elapsed.Seconds()
	b.say("events to a consumer at %.0f of %.0f a second: p50 %s, p99 %s from the record; p50 %s, p99 %s from the request; answered: p50 %s, p99 %s", rate, full,
		recorded.quantile(.5), p99, sent.quantile(.5), sent.quantile(.99), s.Latency.quantile(.5), s.Latency.quantile(.99))
	where := "the embedded broker, on SQLite"
	if on != nil {
		where = "Kafka, on PostgreSQL and Redis"
	}
	b.report.add(fmt.Sprintf("events of %s users, half of the saturated rate, %s: from the record, before it commits, until a consumer has it, p99 < %d ms",
		thousands(float64(len(people.People))), where, topicLatencyGoal.Milliseconds()),
		fmt.Sprintf("%s (p50 %s; %s of %s events/s; CPU %.0f µs an event%s%s)", milliseconds(p99), milliseconds(recorded.quantile(.5)),
			thousands(rate), thousands(full), s.each(), made([]sample{*s}, 1), c.repeated()), met(p99 < topicLatencyGoal))
	b.report.add("for information: the same, from sending the request",
		fmt.Sprintf("p50 %s, p99 %s, where the answer comes after p50 %s, p99 %s", milliseconds(sent.quantile(.5)), milliseconds(sent.quantile(.99)),
			milliseconds(s.Latency.quantile(.5)), milliseconds(s.Latency.quantile(.99))), unjudged)
}
