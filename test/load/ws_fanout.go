package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	fanoutSockets = 10_000
	fanoutDegree  = 5
	fanoutRounds  = 3
	fanoutTime    = 8 * time.Second
	fanoutGoal    = 1.5 // µs of CPU a delivery
	floorBatch    = 4   // events of a request: the floor takes longer for each
)

// measureFanout has one author record as fast as all the sockets that follow get
// it, and then the floor write the same bytes to as many.
func (b *bench) measureFanout(ctx context.Context) (err error) {
	n := b.scaled(fanoutSockets, 500)
	people, err := newPopulation(n+1, fanoutDegree, 6)
	if err != nil {
		return err
	}
	l, err := b.startLive(ctx, phaseSocketsFanout, people, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.allFollow(ctx, n); err != nil {
		return err
	}
	if err := l.listen(b, n); err != nil {
		return err
	}
	o := order{Do: orderSaturate, Star: n, Batch: eventsBatch, Duration: b.lasting(fanoutTime)}
	kith, err := b.saturate(ctx, l.server, l.crowd, o, phaseSocketsFanout)
	if err != nil {
		return err
	}
	if err := l.sameFrames(ctx); err != nil {
		return err
	}
	bare, err := b.fanoutFloor(ctx, &l.setup, n, o, l.crowd.sample)
	if err != nil {
		return err
	}
	own, rate := middleOf(kith, (*measured).delivery), middleOf(kith, (*measured).deliveries)
	base, bareRate := middleOf(bare, (*measured).delivery), middleOf(bare, (*measured).deliveries)
	b.report.add(fmt.Sprintf("one author, %s sockets, batches of %d as fast as all get them: CPU per delivery ≤ %.1f µs", thousands(float64(n)), eventsBatch, fanoutGoal),
		fmt.Sprintf("%.2f µs (%s deliveries/s of %d bytes, %.1f in each write)", own, thousands(rate), len(l.crowd.sample), middleOf(kith, (*measured).perWrite)), met(own <= fanoutGoal))
	b.reportCloses("the same", n, &kith[len(kith)-1].streamed)
	b.report.add("for information: a bare handler, the same bytes, one Write for each socket and frame",
		fmt.Sprintf("%.2f µs (%s deliveries/s); kith %.2f × it", base, thousands(bareRate), own/base), unjudged)
	return nil
}

// saturate runs an order in rounds, the first of which warms up. profile names the
// profiles of a kith; "" for the floor.
func (b *bench) saturate(ctx context.Context, s *server, c *crowdProcess, o order, profile string) (rounds []measured, err error) {
	for round := range fanoutRounds + 1 {
		o.Seed = uint64(round)
		stopProfile := func() error { return nil }
		if round == 1 && profile != "" {
			stopProfile = b.profile(ctx, s, profile, o.Duration)
		}
		m, err := s.cost(ctx, c, o)
		if err != nil {
			return nil, err
		}
		if err := stopProfile(); err != nil {
			return nil, err
		}
		if m.Missing > 0 && m.closes() == 0 {
			return nil, fmt.Errorf("%d frames are missing", m.Missing)
		}
		b.say("fan-out of %s %d/%d: %.2f µs a delivery, %.0f/s, %.1f in each write, %d closed", s.name, round, fanoutRounds, m.delivery(), m.deliveries(), m.perWrite(), m.closes())
		if round > 0 {
			rounds = append(rounds, m)
		}
	}
	return rounds, nil
}

// fanoutFloor has the floor do the same.
func (b *bench) fanoutFloor(ctx context.Context, on *setup, n int, o order, frame []byte) (rounds []measured, err error) {
	s, err := startFloor(ctx, on, frame)
	defer func() { err = errors.Join(err, s.end()) }()
	if err != nil {
		return nil, err
	}
	c, err := s.startCrowd(ctx, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	if _, err := c.do(order{Do: orderOpen, Sockets: n}); err != nil {
		return nil, err
	}
	o.Batch = floorBatch
	return b.saturate(ctx, s, c, o, "")
}

// delivery returns the CPU of one delivery, in µs, and deliveries how many there
// were a second.
func (m *measured) delivery() float64   { return m.each(m.Frames) }
func (m *measured) deliveries() float64 { return m.rate(m.Frames) }

// middleOf returns the median of a figure of rounds.
func middleOf(rounds []measured, of func(*measured) float64) float64 {
	values := make([]float64, len(rounds))
	for i := range rounds {
		values[i] = of(&rounds[i])
	}
	return middle(values)
}
