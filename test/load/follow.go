package main

import (
	"context"
	"fmt"
	"time"
)

const (
	followConns  = 256
	followRounds = 3
	followTime   = 4 * time.Second
	followLimit  = 30_000 // a second, more than either server does
	followGoal   = 3.0    // times the baseline's rate

	starGoal    = 0.8 // of the spread rate
	starLatency = 250 * time.Millisecond

	// slowFsync is up to how many durable writes a second a disk is one on which
	// the baseline waits for the disk, so that rates say what group commit is
	// worth. On a faster one both wait for the processor.
	slowFsync = 2_800
)

// measureFollows measures follows between random users on both servers in turn,
// and in between, on kith, everybody following one star.
func (b *bench) measureFollows(ctx context.Context, r *rig) error {
	var (
		plain, kith, star []sample
		fsyncs            []float64
		base, own         = follower{s: r.baseline}, follower{s: r.kith}
	)
	for round := range followRounds + 1 {
		// The disk may be as noisy as the processor.
		fsync, err := fsyncRate(r.dir, b.lasting(fsyncTime))
		if err != nil {
			return err
		}
		spread := b.spread(r, followConns)
		p, err := base.round(ctx, spread)
		if err != nil {
			return err
		}
		stopProfile := func() error { return nil }
		if round == 1 {
			stopProfile = b.profile(ctx, r.kith, phaseFollow, spread.Duration)
		}
		k, err := own.round(ctx, spread)
		if err != nil {
			return err
		}
		if err := stopProfile(); err != nil {
			return err
		}
		if round == 1 {
			stopProfile = b.profile(ctx, r.kith, loadStar, spread.Duration/2)
		}
		s, err := own.round(ctx, job{Kind: loadStar, Connections: followConns, Seed: uint64(round), Star: len(r.people.People) - 1 - round})
		if err != nil {
			return err
		}
		if round == 1 {
			if err := stopProfile(); err != nil {
				return err
			}
		}
		if round == 0 {
			continue // warms up
		}
		plain, kith, star, fsyncs = append(plain, p), append(kith, k), append(star, s), append(fsyncs, fsync)
		b.say("follow %d/%d: baseline %.0f/s, %.0f µs; kith %.0f/s, %.0f µs; one star %.0f/s, %.0f µs, p99 %s", round, followRounds,
			p.rate(), p.each(), k.rate(), k.each(), s.rate(), s.each(), s.Latency.quantile(.99))
	}
	b.reportFollows(plain, kith, middle(fsyncs))
	rate, ratio := median(star, (*sample).rate), median(star, (*sample).rate)/median(kith, (*sample).rate)
	b.report.add(fmt.Sprintf("everybody follows one star: rate ≥ %.1f × that of spread ones", starGoal),
		fmt.Sprintf("%.2f × (%s/s; CPU %.0f µs)", ratio, thousands(rate), median(star, (*sample).each)), met(ratio >= starGoal))
	p99 := merged(star).quantile(.99)
	b.report.add(fmt.Sprintf("the same: p99 < %d ms", starLatency.Milliseconds()),
		fmt.Sprintf("%s (p50 %s)", milliseconds(p99), milliseconds(merged(star).quantile(.5))), met(p99 < starLatency))
	return nil
}

func (b *bench) reportFollows(plain, kith []sample, fsync float64) {
	baseRate, rate := median(plain, (*sample).rate), median(kith, (*sample).rate)
	baseCPU, cpu := median(plain, (*sample).each), median(kith, (*sample).each)
	byRate, byCPU := met(rate/baseRate >= followGoal), met(baseCPU/cpu >= followGoal)
	decides := "the rate decides"
	if fsync <= slowFsync {
		byCPU = unjudged
	} else {
		byRate, decides = unjudged, "CPU decides"
	}
	b.report.add(fmt.Sprintf("follows, both sides committed, %d in flight: rate ≥ %.0f × one transaction per follow", followConns, followGoal),
		fmt.Sprintf("%.2f × (%s/s, bare %s/s; p99 %s, bare %s)", rate/baseRate, thousands(rate), thousands(baseRate),
			milliseconds(merged(kith).quantile(.99)), milliseconds(merged(plain).quantile(.99))), byRate)
	b.report.add(fmt.Sprintf("the same: CPU per follow ≤ 1/%.0f of it", followGoal),
		fmt.Sprintf("%.2f × (%.0f of %.0f µs); %s: %s fsync/s between the rounds", cpu/baseCPU, cpu, baseCPU, decides, thousands(fsync)), byCPU)
}

// follower makes follows on one server, never the same twice.
type follower struct {
	s    *server
	used int // spread pairs
}

// round runs a job of follows. It is over when the counters of both sides have
// committed.
func (f *follower) round(ctx context.Context, j job) (sample, error) {
	before, _, err := f.s.sums(ctx)
	if err != nil {
		return sample{}, err
	}
	j.Skip = f.used
	s, err := f.s.load(ctx, j, func(done int) error { return f.s.settled(ctx, before+done) })
	if j.Kind == loadFollow {
		f.used += s.Done
	}
	return s, err
}
