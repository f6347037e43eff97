package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

const (
	starFollowers = 1_000_000
	starDrainRate = starFollowers / 60 // a second: all of them within a minute

	// The others look each other up and record single events meanwhile.
	starOthers = 200
	starRate   = 200 // lookups a second, and as many events
	starConns  = 32  // of each
	starWarm   = 4 * time.Second
	starCalm   = 20 * time.Second // with nothing else to do, to compare with
	starRise   = 1.2              // of their p99

	starPace    = 50 * time.Millisecond
	starLeft    = 50 // records before the tail that are only what others just recorded
	starTimeout = 10 * time.Minute
)

// measureStar starts kith on a database in which everybody follows one star who does
// not know it yet, and measures until they all count; and how long the requests of
// others take meanwhile, and when that is over.
func (b *bench) measureStar(ctx context.Context, name string, on *stores) (err error) {
	n := b.scaled(starFollowers, 5_000)
	w, err := b.starWorld(ctx, name, on, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	before, err := on.usage()
	if err != nil {
		return err
	}
	if err := w.start(ctx, b, w.people.onlyActive()); err != nil {
		return err
	}
	stopProfile := b.profile(ctx, w.server, name, starLimit(n))
	o, err := w.ask(ctx, 1, b.lasting(starWarm))
	if err != nil {
		return err
	}
	took, err := w.drained(ctx, n)
	busy, stopped := o.stop()
	if err := errors.Join(err, stopped); err != nil {
		return err
	}
	used, err := w.usage(ctx)
	if err != nil {
		return err
	}
	if err := stopProfile(); err != nil {
		return err
	}
	calm, err := b.calm(ctx, w)
	if err != nil {
		return err
	}
	b.reportStar(w, n, &sample{outcome: outcome{Done: n}, usage: used.minus(before), took: took}, busy, calm)
	return nil
}

// starLimit is how long so many followers may take.
func starLimit(n int) time.Duration {
	return time.Duration(float64(n) / starDrainRate * float64(time.Second))
}

// starWorld makes a world in which so many users follow one star, and nothing has come
// of it yet.
func (b *bench) starWorld(ctx context.Context, name string, on *stores, n int) (w *world, err error) {
	people, err := newPopulation(n+1, 0, 12)
	if err != nil {
		return nil, err
	}
	people.Active = starOthers
	if w, err = b.makeWorld(ctx, name, on, people, tails()); err != nil {
		return nil, err
	}
	b.say("committing %d follows of one star without their effects", n)
	bar := b.bar(n, "following")
	err = followStar(ctx, w.host.at, people, func(n int) { _ = bar.Add(n) })
	if err == nil && on != nil {
		err = on.settle(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (b *bench) reportStar(w *world, n int, drain *sample, busy, calm asked) {
	where, goal := w.on(), starLimit(n)
	b.say("%d followers of one star%s in %s; p99 of others %s, else %s", n, where, drain.took, busy.quantile(.99), calm.quantile(.99))
	b.report.add(fmt.Sprintf("%s new followers of one star%s: all of them applied ≤ %.0f s after the start", thousands(float64(n)), where, goal.Seconds()),
		fmt.Sprintf("%.1f s (%s/s; CPU %.1f µs a follower, what others ask included%s)", drain.took.Seconds(), thousands(drain.rate()), drain.each(), made([]sample{*drain}, 1)),
		met(drain.took <= goal))
	rise := busy.quantile(.99).Seconds() / calm.quantile(.99).Seconds()
	b.report.add(fmt.Sprintf("the same: p99 of %d lookups and %d single events of others a second ≤ %.1f × that with nothing else to do", starRate, starRate, starRise),
		fmt.Sprintf("%.2f × (%s of %s; p50 %s of %s; p99 of lookups %s of %s, of events %s of %s)", rise, milliseconds(busy.quantile(.99)), milliseconds(calm.quantile(.99)),
			milliseconds(busy.quantile(.5)), milliseconds(calm.quantile(.5)), milliseconds(busy.lookups.Latency.quantile(.99)), milliseconds(calm.lookups.Latency.quantile(.99)),
			milliseconds(busy.events.Latency.quantile(.99)), milliseconds(calm.events.Latency.quantile(.99))), met(rise <= starRise))
}

// followStar commits that all but the last follow the last, whose side of it is left
// to kith. Nothing but the effects is left to be done.
func followStar(ctx context.Context, at place, people *population, step func(n int)) (err error) {
	db, err := at.open(ctx, 0)
	if err != nil {
		return fmt.Errorf("follow the star: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	node, err := db.Acquire(ctx, fillNode, fillLease)
	if err != nil {
		return fmt.Errorf("follow the star: %w", err)
	}
	last := len(people.People) - 1
	star := people.People[last].ID
	for fans := range slices.Chunk(people.People[:last], fillBatch) {
		batch := persistence.Batch{Node: node}
		for i := range fans {
			var s user.State
			if _, err := people.apply(&s, fans[i].ID); err != nil {
				return fmt.Errorf("follow the star: %w", err)
			}
			turn, err := turnOf(&s, fans[i].ID, []user.Event{user.Followed{Target: star, At: people.At}})
			if err != nil {
				return fmt.Errorf("follow the star: %w", err)
			}
			batch.Turns = append(batch.Turns, turn)
		}
		if err := commitAll(ctx, db, batch); err != nil {
			return fmt.Errorf("follow the star: %w", err)
		}
		step(len(fans))
	}
	if err := mark(ctx, db, node, slices.DeleteFunc(tails(), func(t persistence.TailName) bool { return t == persistence.TailEffects })); err != nil {
		return fmt.Errorf("follow the star: %w", err)
	}
	return nil
}

// drained waits until a star has so many followers, and nothing is left that has not
// had its effect. It returns how long ago kith was started then.
func (w *world) drained(ctx context.Context, n int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, starTimeout)
	defer cancel()
	star := fmt.Sprintf(`SELECT followers FROM users WHERE id = %d`, w.people.People[n].ID)
	pace := time.NewTicker(starPace)
	defer pace.Stop()
	for {
		followers := 0
		if err := w.reader.row(ctx, star, &followers); err != nil {
			return 0, fmt.Errorf("read the followers of the star: %w", err)
		}
		switch {
		case followers > n:
			return 0, fmt.Errorf("a star has %d followers, %d followed", followers, n)
		case followers == n:
			// What others record lies before the tail for a moment, too.
			lag, err := w.metric(ctx, `kith_tail_lag_records{tail="`+string(persistence.TailEffects)+`"}`)
			if err != nil {
				return 0, err
			}
			if lag < starLeft {
				return time.Since(w.began), nil
			}
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%d of %d followers of a star count: %w", followers, n, ctx.Err())
		case <-pace.C:
		}
	}
}

// calm waits until kith has nothing to do, and measures what it is asked then.
func (b *bench) calm(ctx context.Context, w *world) (asked, error) {
	if err := w.caughtUp(ctx); err != nil {
		return asked{}, err
	}
	following, followers, err := w.sums(ctx)
	if err != nil {
		return asked{}, err
	}
	if n := len(w.people.People) - 1; following != n || followers != n {
		return asked{}, fmt.Errorf("%d users followed one: %d follow, %d are followers", n, following, followers)
	}
	warm := b.lasting(starWarm)
	o, err := w.ask(ctx, 2, warm)
	if err != nil {
		return asked{}, err
	}
	over := time.NewTimer(warm + b.lasting(starCalm))
	defer over.Stop()
	select {
	case <-ctx.Done():
	case <-over.C:
	}
	return o.stop()
}

// caughtUp waits until the mark of the effects is saved where that of the records
// that were published is: what the tail does beside effects is done then, too.
func (w *world) caughtUp(ctx context.Context) error {
	if err := w.quiet(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, starTimeout)
	defer cancel()
	pace := time.NewTicker(starPace)
	defer pace.Stop()
	for {
		behind := 0
		if err := w.reader.row(ctx, `SELECT count(*) FROM tails b LEFT JOIN tails e ON e.lane = b.lane AND e.name = 'effects'
			WHERE b.name = 'broker' AND b.pos > coalesce(e.pos, 0)`, &behind); err != nil {
			return fmt.Errorf("read the marks of the tails: %w", err)
		}
		if behind == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the marks of %d lanes are behind: %w", behind, ctx.Err())
		case <-pace.C:
		}
	}
}
