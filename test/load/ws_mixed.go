package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	mixedUsers   = 10_000
	mixedSockets = 5_000
	mixedDegree  = 200
	mixedRate    = 500 // events a second
	mixedConns   = 256 // of authors
	mixedTime    = 10 * time.Minute
	mixedGrowth  = 0.10 // of the last half
	mixedPace    = time.Second
	mixedWindow  = 10 // memory is the median of one in so many parts of the time
)

// measureMixed lets many authors record for long, to sockets that each follow many,
// and looks at the memory of kith meanwhile.
func (b *bench) measureMixed(ctx context.Context) (err error) {
	people, err := newPopulation(b.scaled(mixedUsers, 500), 0, 9)
	if err != nil {
		return err
	}
	if err := people.stratify(mixedDegree, 1, 9); err != nil {
		return err
	}
	n := len(people.People) * mixedSockets / mixedUsers
	l, err := b.startLive(ctx, phaseSocketsMixed, people, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.listen(b, n); err != nil {
		return err
	}
	o := order{Do: orderRecord, Authors: len(people.People), Rate: mixedRate, Conns: mixedConns, Duration: b.lasting(mixedTime)}
	b.say("recording %d events a second for %s", mixedRate, o.Duration)
	stopProfile := b.profile(ctx, l.server, phaseSocketsMixed, min(o.Duration, fanoutTime))
	m, memory, err := l.watched(ctx, o)
	if err != nil {
		return err
	}
	if err := stopProfile(); err != nil {
		return err
	}
	if err := l.sameFrames(ctx); err != nil {
		return err
	}
	first, half, last := memory.around(0), memory.around(.5), memory.around(1)
	growth := last/half - 1
	b.say("mixed: RSS %.0f, %.0f, %.0f MB; p99 %s; %.2f µs of CPU a delivery", first/1e6, half/1e6, last/1e6, m.Sent.quantile(.99), m.delivery())
	b.report.add(fmt.Sprintf("%s sockets that follow %d of %s, %d events a second for %s: RSS grows by ≤ %.0f %% in the last half",
		thousands(float64(n)), mixedDegree, thousands(float64(len(people.People))), mixedRate, o.Duration, 100*mixedGrowth),
		fmt.Sprintf("%+.1f %% (%.0f MB at first, %.0f MB half way, %.0f MB at the end)", 100*growth, first/1e6, half/1e6, last/1e6), met(growth <= mixedGrowth))
	b.reportCloses("the same", n, &m.streamed)
	b.report.add("for information: the same, from sending the request until a socket has the frame",
		fmt.Sprintf("p50 %s, p99 %s (%s frames/s; CPU %.2f µs each)", milliseconds(m.Sent.quantile(.5)), milliseconds(m.Sent.quantile(.99)),
			thousands(m.deliveries()), m.delivery()), unjudged)
	return nil
}

// course is how much memory a server had, in bytes, at even times.
type course []float64

// around returns the median of the part of a course that is nearest to a share of
// its time: memory goes up and down with each collection of garbage.
func (c course) around(share float64) float64 {
	width := max(1, len(c)/mixedWindow)
	from := min(max(0, int(share*float64(len(c)))-width/2), len(c)-width)
	return middle(append(course(nil), c[from:from+width]...))
}

// watched has an order done and looks at the memory of kith until it is.
func (l *live) watched(ctx context.Context, o order) (m measured, memory course, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		m, err = l.cost(ctx, l.crowd, o)
	}()
	tick := time.NewTicker(min(mixedPace, o.Duration/(4*mixedWindow)))
	defer tick.Stop()
	var failed error
	for {
		if rss, e := l.rss(); e == nil {
			memory = append(memory, float64(rss))
		} else {
			failed = errors.Join(failed, e)
		}
		select {
		case <-done:
			return m, memory, errors.Join(err, failed)
		case <-tick.C:
		}
	}
}
