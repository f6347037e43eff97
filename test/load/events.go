package main

import (
	"context"
	"fmt"
	"time"
)

const (
	eventsConns      = 256
	eventsGoal       = 1_000 // a second
	eventsBatch      = 100   // in a request
	eventsBatchConns = 16
	eventsBatchGoal  = 20_000
	eventsRounds     = 3
	eventsTime       = 4 * time.Second
)

// measureEvents records behaviour events, singly and in batches, of random users.
// singly is how many a second are the goal without batches.
func (b *bench) measureEvents(ctx context.Context, r *rig, singly float64) error {
	recorded := 0
	for _, x := range []struct {
		job
		events int // of a request
		goal   float64
		what   string
	}{
		{job{Kind: loadEvent, Connections: eventsConns}, 1, singly, "events recorded singly"},
		{job{Kind: loadEvents, Connections: eventsBatchConns}, eventsBatch, eventsBatchGoal, fmt.Sprintf("events recorded in batches of %d", eventsBatch)},
	} {
		x.Duration = b.lasting(eventsTime)
		var rounds []sample
		for round := range eventsRounds + 1 {
			// No event id comes twice.
			x.Seed, x.Skip = uint64(round), x.events
			stopProfile := func() error { return nil }
			if round == 1 {
				stopProfile = b.profile(ctx, r.kith, r.name(x.Kind), x.Duration)
			}
			s, err := r.kith.load(ctx, x.job, nil)
			if err != nil {
				return err
			}
			if err := stopProfile(); err != nil {
				return err
			}
			recorded += s.Done * x.events
			if round > 0 { // the first warms up
				rounds = append(rounds, s)
			}
		}
		n := float64(x.events)
		rate, each := n*median(rounds, (*sample).rate), median(rounds, (*sample).each)/n
		b.say("%s: %.0f/s, %.1f µs of CPU", x.what, rate, each)
		b.report.add(fmt.Sprintf("%s%s, %d connections: ≥ %s/s", x.what, r.on(), x.Connections, thousands(x.goal)),
			fmt.Sprintf("%s/s (CPU %.1f µs an event%s; p99 of a request %s)", thousands(rate), each, made(rounds, n), milliseconds(merged(rounds).quantile(.99))), met(rate >= x.goal))
	}
	return r.kith.holdsEvents(ctx, recorded)
}

// holdsEvents checks that as many events are stored as were acknowledged.
func (s *server) holdsEvents(ctx context.Context, recorded int) error {
	stored := 0
	if err := s.reader.row(ctx, `SELECT count(*) FROM journal WHERE kind = 11 AND kind IN (2, 11, 13)`, &stored); err != nil {
		return fmt.Errorf("count the events of %s: %w", s.name, err)
	}
	if stored != recorded {
		return fmt.Errorf("%s acknowledged %d events, %d are stored", s.name, recorded, stored)
	}
	return nil
}
