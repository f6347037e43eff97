package main

import (
	"context"
	"errors"
	"fmt"
)

const (
	resumeReaders = 2_000
	resumeDegree  = 200 // followed by each of them
	resumeMissed  = 50  // frames
	resumeCount   = 4_000
	resumeAtOnce  = 16
	resumeConns   = 16 // of authors
	resumeRounds  = 3
	resumeGoal    = 300 // µs of CPU
)

// measureResumes has clients reconnect, each of whom missed one frame of a quarter
// of those whom it follows.
func (b *bench) measureResumes(ctx context.Context) (err error) {
	const strata = resumeDegree / resumeMissed
	n := b.scaled(resumeReaders, 2*resumeDegree) / strata * strata
	people, err := newPopulation(n, 0, 8)
	if err != nil {
		return err
	}
	if err := people.stratify(resumeDegree, strata, 8); err != nil {
		return err
	}
	l, err := b.startLive(ctx, phaseSocketsResume, people, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.listen(b, n); err != nil {
		return err
	}
	s, err := l.crowd.do(order{Do: orderRecord, Every: strata, Conns: resumeConns})
	if err != nil {
		return err
	}
	if s.Frames != n*resumeMissed {
		return fmt.Errorf("%d readers got %d frames instead of %d each", n, s.Frames, resumeMissed)
	}
	rounds, err := b.resume(ctx, l, b.scaled(resumeCount, 2*resumeDegree))
	if err != nil {
		return err
	}
	each := middleOf(rounds, func(m *measured) float64 { return m.each(m.Sessions) })
	b.report.add(fmt.Sprintf("reconnect with a cursor, %d followed, %d frames missed, all in memory: CPU ≤ %d µs", resumeDegree, resumeMissed, resumeGoal),
		fmt.Sprintf("%.0f µs (%s/s, %d at once)", each, thousands(middleOf(rounds, func(m *measured) float64 { return m.rate(m.Sessions) })), resumeAtOnce), met(each <= resumeGoal))
	return nil
}

// resume reconnects in rounds, the first of which warms up. That all got what they
// missed, and were told so, the crowd checks.
func (b *bench) resume(ctx context.Context, l *live, count int) (rounds []measured, err error) {
	const series = `kith_live_sessions_total{missed="memory"}`
	o := order{Do: orderResume, Sockets: count, Missed: resumeMissed, AtOnce: resumeAtOnce}
	for round := range resumeRounds + 1 {
		before, err := l.metric(ctx, series)
		if err != nil {
			return nil, err
		}
		stopProfile := func() error { return nil }
		if round == 1 {
			stopProfile = b.profile(ctx, l.server, phaseSocketsResume, b.lasting(fanoutTime)/4)
		}
		m, err := l.cost(ctx, l.crowd, o)
		if err != nil {
			return nil, err
		}
		if err := stopProfile(); err != nil {
			return nil, err
		}
		after, err := l.metric(ctx, series)
		if err != nil {
			return nil, err
		}
		if m.closes() > 0 || m.Sessions != count || int(after-before) != count || m.Frames != count*resumeMissed {
			return nil, fmt.Errorf("of %d reconnects %d got what they missed, %d frames in all; kith says that %.0f came from memory; closed %v",
				count, m.Sessions, m.Frames, after-before, m.Closes)
		}
		b.say("reconnects %d/%d: %.0f µs, %.0f/s", round, resumeRounds, m.each(count), m.rate(count))
		if round > 0 {
			rounds = append(rounds, m)
		}
	}
	return rounds, nil
}
