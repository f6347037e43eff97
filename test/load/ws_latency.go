package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	framesSockets = 5_000
	framesDegree  = 5 // followers of each author, almost all of them with a socket
	framesRate    = 4 // events of the star a second
	framesTime    = 10 * time.Second
	framesConns   = 64 // of authors
	starFrameGoal = 150 * time.Millisecond
	frameGoal     = 100 * time.Millisecond // from the commit
)

// measureFrames measures how long frames are on their way: those of one author to
// many sockets, now and then, and those of many authors with few followers each, at
// half of the events that can be recorded and delivered.
func (b *bench) measureFrames(ctx context.Context) (err error) {
	n := b.scaled(framesSockets, 500)
	people, err := newPopulation(n+1, framesDegree, 7)
	if err != nil {
		return err
	}
	l, err := b.startLive(ctx, phaseSocketsLatency, people, n)
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
	if err := b.starFrames(ctx, l, n); err != nil {
		return err
	}
	if err := b.spreadFrames(ctx, l, n); err != nil {
		return err
	}
	if err := l.sameFrames(ctx); err != nil {
		return err
	}
	b.reportCloses("the sockets of these", n, &l.crowd.last)
	return nil
}

// starFrames measures the frames of one author.
func (b *bench) starFrames(ctx context.Context, l *live, n int) error {
	o := order{Do: orderRecord, Star: n, Conns: framesRate, Rate: framesRate, Duration: max(time.Second, b.lasting(framesTime))}
	stopProfile := b.profile(ctx, l.server, phaseSocketsLatency+"-star", o.Duration)
	m, err := l.cost(ctx, l.crowd, o)
	if err != nil {
		return err
	}
	if err := stopProfile(); err != nil {
		return err
	}
	p99 := m.Sent.quantile(.99)
	b.say("frames of one author to %d sockets: p50 %s, p99 %s, %.2f µs a delivery", n, m.Sent.quantile(.5), p99, m.delivery())
	b.report.add(fmt.Sprintf("one author, %s sockets, %d events a second: from sending the request until a socket has the frame, p99 < %d ms",
		thousands(float64(n)), framesRate, starFrameGoal.Milliseconds()),
		fmt.Sprintf("%s (p50 %s; CPU %.2f µs a delivery; %.1f in each write)", milliseconds(p99), milliseconds(m.Sent.quantile(.5)), m.delivery(), m.perWrite()), met(p99 < starFrameGoal))
	return nil
}

// spreadFrames measures the frames of many authors: first as many as can be, then
// half as many.
func (b *bench) spreadFrames(ctx context.Context, l *live, n int) error {
	o := order{Do: orderRecord, Authors: n, Conns: framesConns, Duration: b.lasting(framesTime)}
	var full float64
	for o.Seed = range uint64(2) { // the first activates the authors
		s, err := l.crowd.do(o)
		if err != nil {
			return err
		}
		full = s.rate(s.Events)
	}
	o.Rate, o.Seed = full/2, 2
	stopProfile := b.profile(ctx, l.server, phaseSocketsLatency, o.Duration)
	m, err := l.cost(ctx, l.crowd, o)
	if err != nil {
		return err
	}
	if err := stopProfile(); err != nil {
		return err
	}
	p99 := m.Recorded.quantile(.99)
	b.say("frames of spread authors at %.0f of %.0f events a second: p50 %s, p99 %s from the record; p99 %s from the request", o.Rate, full,
		m.Recorded.quantile(.5), p99, m.Sent.quantile(.99))
	b.report.add(fmt.Sprintf("spread authors, %d followers each, %s sockets, half of the saturated rate: from the record, before it commits, until a socket has the frame, p99 < %d ms",
		framesDegree, thousands(float64(n)), frameGoal.Milliseconds()),
		fmt.Sprintf("%s (p50 %s; from the request %s; %s of %s events/s; CPU %.0f µs an event)", milliseconds(p99), milliseconds(m.Recorded.quantile(.5)),
			milliseconds(m.Sent.quantile(.99)), thousands(m.rate(m.Events)), thousands(full), m.each(m.Events)), met(p99 < frameGoal))
	return nil
}
