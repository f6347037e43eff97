package main

import (
	"context"
	"fmt"
	"time"
)

const idleTime = 3 * time.Second

// measureIdle measures what kith and its stores use while nobody asks for anything,
// for information: the database's part of it is in what the baseline's rounds cost.
func (b *bench) measureIdle(ctx context.Context, r *rig) error {
	before, err := r.kith.usage(ctx)
	if err != nil {
		return err
	}
	timer := time.NewTimer(b.lasting(idleTime))
	defer timer.Stop()
	start := time.Now()
	select {
	case <-ctx.Done():
		return fmt.Errorf("measure an idle kith: %w", ctx.Err())
	case <-timer.C:
	}
	after, err := r.kith.usage(ctx)
	if err != nil {
		return err
	}
	used, seconds := after.minus(before), time.Since(start).Seconds()
	share := func(d time.Duration) float64 { return 100 * d.Seconds() / seconds }
	b.report.add("for information: kith"+r.on()+", idle: share of one core",
		fmt.Sprintf("server %.1f %% + PostgreSQL %.1f %% + Redis %.1f %%", share(used.Server), share(used.Database), share(used.Cache)), unjudged)
	return nil
}
