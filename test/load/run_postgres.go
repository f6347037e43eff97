package main

import (
	"context"
	"errors"
	"fmt"

	programs "kith/test/services/server"
)

const (
	lookupRedisGoal    = 0.45 // of the baseline's CPU, cards in Redis
	lookupProcessGoal  = 0.30 // the same, cards in process
	bareLookupConns    = 16   // of the baseline to PostgreSQL
	eventsPostgresGoal = 5_000
)

// phasesPostgres runs the phases on PostgreSQL and Redis. Where those are not
// installed and nobody asked for them, the table says that they are left out.
func (b *bench) phasesPostgres(ctx context.Context) error {
	if !b.wants(phaseLookupPostgres, phaseFollowPostgres, phaseEventsPostgres, phaseActivationPostgres, phaseScalePostgres) {
		return nil
	}
	if err := installed(programs.KindPostgres, programs.KindRedis); err != nil {
		if len(b.only) > 0 {
			return err
		}
		b.report.add("everything on PostgreSQL and Redis", fmt.Sprintf("left out: %v", err), met(false))
		return nil
	}
	if b.wants(phaseLookupPostgres, phaseFollowPostgres, phaseEventsPostgres) {
		if err := b.serversPostgres(ctx); err != nil {
			return err
		}
	}
	if b.wants(phaseActivationPostgres) {
		if err := b.activationPostgres(ctx); err != nil {
			return fmt.Errorf("phase %s: %w", phaseActivationPostgres, err)
		}
	}
	if b.wants(phaseScalePostgres) {
		if err := b.scalePostgres(ctx); err != nil {
			return fmt.Errorf("phase %s: %w", phaseScalePostgres, err)
		}
	}
	return nil
}

// serversPostgres runs the phases that ask servers, which are started anew for
// each kind of setting.
func (b *bench) serversPostgres(ctx context.Context) (err error) {
	on, err := b.startStores(ctx, "servers-pg-stores")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.close()) }()
	r, err := b.newRig(ctx, "servers-pg", on)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	if b.wants(phaseLookupPostgres) {
		for _, x := range []struct {
			cached bool
			lookupCase
		}{
			{true, lookupCase{phaseLookupPostgres, "bare net/http and pgx, cards in Redis", lookupRedisGoal}},
			{false, lookupCase{phaseLookupPostgres + "-process", "bare net/http and pgx, cards in process", lookupProcessGoal}},
		} {
			r.cached = x.cached
			if err := r.start(ctx, b, schemaKith, bareLookupConns); err != nil {
				return err
			}
			if err := b.measureLookups(ctx, r, x.lookupCase); err != nil {
				return fmt.Errorf("phase %s: %w", phaseLookupPostgres, err)
			}
			if err := errors.Join(r.usesRedis(ctx), r.stop()); err != nil {
				return err
			}
		}
	}
	r.cached = true
	if err := r.start(ctx, b, schemaBare, bareFollowConns); err != nil {
		return err
	}
	if err := b.measureIdle(ctx, r); err != nil {
		return err
	}
	if b.wants(phaseFollowPostgres) {
		if err := b.measureFollowsPostgres(ctx, r); err != nil {
			return fmt.Errorf("phase %s: %w", phaseFollowPostgres, err)
		}
	}
	if b.wants(phaseEventsPostgres) {
		if err := b.measureEvents(ctx, r, eventsPostgresGoal); err != nil {
			return fmt.Errorf("phase %s: %w", phaseEventsPostgres, err)
		}
	}
	if err := errors.Join(r.usesRedis(ctx), r.stop()); err != nil {
		return err
	}
	return b.verify(ctx, r)
}

func (b *bench) activationPostgres(ctx context.Context) (err error) {
	on, err := b.startStores(ctx, phaseActivationPostgres+"-stores")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.close()) }()
	return b.measureActivation(ctx, phaseActivationPostgres, on)
}

func (b *bench) scalePostgres(ctx context.Context) (err error) {
	w, err := b.startWorlds(ctx, true, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	return b.measureMillion(ctx, w, scaleGoal)
}
