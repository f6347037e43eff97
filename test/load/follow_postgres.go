package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	followPostgresConns = 512
	followPostgresShare = 3.0 // the baseline's CPU is so many times ours
	starPostgresShare   = 8.0 // when everybody follows one
	bareFollowConns     = 64  // of the baseline to PostgreSQL
)

// measureFollowsPostgres measures, on both servers in turn, follows between random
// users, and everybody following one star.
func (b *bench) measureFollowsPostgres(ctx context.Context, r *rig) error {
	var (
		plain, kith, plainStar, kithStar []sample
		base, own                        = follower{s: r.baseline}, follower{s: r.kith}
		spread                           = b.spread(r, followPostgresConns)
	)
	for round := range followRounds + 1 {
		star := job{Kind: loadStar, Connections: followPostgresConns, Seed: uint64(round), Star: len(r.people.People) - 1 - round}
		briefly := star // the baseline would take long
		briefly.Duration = spread.Duration
		for _, x := range []struct {
			on *follower
			job
			to      *[]sample
			profile string
		}{{&base, spread, &plain, ""}, {&own, spread, &kith, phaseFollowPostgres}, {&base, briefly, &plainStar, ""}, {&own, star, &kithStar, r.name(loadStar)}} {
			stopProfile := func() error { return nil }
			if round == 1 && x.profile != "" {
				stopProfile = b.profile(ctx, r.kith, x.profile, spread.Duration)
			}
			s, err := x.on.round(ctx, x.job)
			if err != nil {
				return err
			}
			if err := stopProfile(); err != nil {
				return err
			}
			if round > 0 { // the first warms up
				*x.to = append(*x.to, s)
			}
		}
		if round > 0 {
			last := round - 1
			b.say("%s %d/%d: spread %.0f µs, %.0f/s, bare %.0f µs, %.0f/s; star %.0f µs, %.0f/s, bare %.0f µs, %.0f/s", phaseFollowPostgres, round, followRounds,
				kith[last].each(), kith[last].rate(), plain[last].each(), plain[last].rate(), kithStar[last].each(), kithStar[last].rate(), plainStar[last].each(), plainStar[last].rate())
		}
	}
	b.reportFollowsPostgres("follows on PostgreSQL, both sides committed", followPostgresShare, kith, plain)
	b.reportFollowsPostgres("everybody follows one star on PostgreSQL", starPostgresShare, kithStar, plainStar)
	rate := median(kithStar, (*sample).rate)
	ratio := rate / median(kith, (*sample).rate)
	b.report.add(fmt.Sprintf("the same: rate ≥ %.1f × that of spread ones", starGoal), fmt.Sprintf("%.2f × (%s/s)", ratio, thousands(rate)), met(ratio >= starGoal))
	p99 := merged(kithStar).quantile(.99)
	b.report.add(fmt.Sprintf("the same: p99 < %d ms", starLatency.Milliseconds()),
		fmt.Sprintf("%s (p50 %s)", milliseconds(p99), milliseconds(merged(kithStar).quantile(.5))), met(p99 < starLatency))
	return b.measureAfterCheckpoint(ctx, r, spread, &own, &base)
}

// spread returns a job of follows between random users.
func (b *bench) spread(r *rig, conns int) job {
	d := b.lasting(followTime)
	return job{
		Kind: loadFollow, Connections: conns, Duration: d, Seed: 1, Reserved: stars,
		Count: min(int(followLimit*d.Seconds()), len(r.people.People)*8),
	}
}

func (b *bench) reportFollowsPostgres(what string, share float64, kith, plain []sample) {
	own, base := median(kith, (*sample).each), median(plain, (*sample).each)
	b.report.add(fmt.Sprintf("%s, %d in flight: CPU per follow ≤ 1/%.0f of bare net/http and pgx, a transaction each on %d connections", what, followPostgresConns, share, bareFollowConns),
		fmt.Sprintf("%.2f × (%.0f of %.0f µs; %s/s, bare %s/s; p99 %s, bare %s)", own/base, own, base,
			thousands(median(kith, (*sample).rate)), thousands(median(plain, (*sample).rate)),
			milliseconds(merged(kith).quantile(.99)), milliseconds(merged(plain).quantile(.99))), met(base/own >= share))
	b.report.addParts(kith, plain, "bare")
	b.report.add("the same: bytes written to the log of PostgreSQL per follow",
		fmt.Sprintf("%s, bare %s", thousands(median(kith, (*sample).logged)), thousands(median(plain, (*sample).logged))), unjudged)
}

// measureAfterCheckpoint measures one round of follows while pages that are changed
// are written whole to the log, for information.
func (b *bench) measureAfterCheckpoint(ctx context.Context, r *rig, spread job, own, base *follower) error {
	if err := r.stores.with(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		return nil
	}); err != nil {
		return err
	}
	kith, err := own.round(ctx, spread)
	if err != nil {
		return err
	}
	plain, err := base.round(ctx, spread)
	if err != nil {
		return err
	}
	b.report.add("for information: the first spread follows after a checkpoint",
		fmt.Sprintf("%.2f × (%.0f of %.0f µs; bytes of the log %s, bare %s)", kith.each()/plain.each(), kith.each(), plain.each(),
			thousands(kith.logged()), thousands(plain.logged())), unjudged)
	return nil
}
