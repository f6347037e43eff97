package main

import (
	"context"
	"fmt"
	"time"
)

const (
	millionConns  = 64
	millionRounds = 3
	millionTime   = 2 * time.Second
	millionGoal   = 2.5 // times the cost among 10,000 users
	scaleGoal     = 1.3 // the same on PostgreSQL
)

// measureMillion measures what a large world costs: to load, to start on, and each
// operation against the same in a small world, in turn. goal is how many times as
// much it may cost.
func (b *bench) measureMillion(ctx context.Context, w *worlds, goal float64) error {
	users, edges := len(w.big.people.People), len(w.big.people.People)*len(w.big.people.Offsets)
	size := fmt.Sprintf("%s users and %s edges", thousands(float64(users)), thousands(float64(edges)))
	b.report.add("for information: loading "+size+w.on(), fmt.Sprintf("%.0f s; a database of %.2f GB", w.big.loaded.Seconds(), float64(w.big.size)/1e9), unjudged)
	b.report.add("for information: starting kith on them", fmt.Sprintf("ready after %.2f s; RSS %s MB then", w.big.ready.Seconds(), thousands(float64(w.big.memory)/1e6)), unjudged)
	for _, o := range []operation{
		{"`GET /users/{username}`", job{Kind: loadLookup, Callers: w.small.people.Active}, true},
		{"`GET /users/{username}/followers`", job{Kind: loadFollowers}, true},
		{"`GET /users/search`", job{Kind: loadSearch}, false},
		{"`GET /users/list`", job{Kind: loadList}, false},
		{"one event recorded", job{Kind: loadEvent}, false},
		{"a follow, both sides committed", job{Kind: loadFollow}, true},
	} {
		if err := b.compareCost(ctx, w, o, goal); err != nil {
			return err
		}
	}
	after, err := w.big.rss()
	if err != nil {
		return err
	}
	b.report.add("for information: kith after all of the above", fmt.Sprintf("RSS %s MB", thousands(float64(after)/1e6)), unjudged)
	return nil
}

// operation is one kind of request.
type operation struct {
	what string
	job
	cold bool // it costs more when nobody has met the user before
}

// compareCost measures an operation in both worlds on as many active users, who
// in the large one are spread over everybody; and then on anybody, of whom in the
// large one hardly one is in memory yet.
func (b *bench) compareCost(ctx context.Context, w *worlds, o operation, limit float64) error {
	o.Connections, o.Duration = millionConns, b.lasting(millionTime)
	for _, o.Anybody = range []bool{false, true} {
		if o.Anybody && !o.cold {
			continue
		}
		small, big, err := w.compare(ctx, millionRounds, func(x *world, round int) job { return o.prepare(x, round) })
		if err != nil {
			return fmt.Errorf("%s: %w", o.Kind, err)
		}
		few, many := median(small, (*sample).each), median(big, (*sample).each)
		b.say("million: %s, anybody %t: %.1f µs, %.0f/s; in the small world %.1f µs, %.0f/s", o.Kind, o.Anybody, many, median(big, (*sample).rate), few, median(small, (*sample).rate))
		active := thousands(float64(w.small.people.Active))
		goal := fmt.Sprintf("%s%s, %s active of %s: CPU ≤ %.1f × that among %s", o.what, w.on(), active, thousands(float64(len(w.big.people.People))), limit, active)
		if o.Anybody {
			goal = fmt.Sprintf("the same, of anybody, most of them cold: ≤ %.1f ×", limit)
		}
		b.report.add(goal, fmt.Sprintf("%.2f × (%.1f of %.1f µs; %s/s, among few %s/s)", many/few, many, few,
			thousands(median(big, (*sample).rate)), thousands(median(small, (*sample).rate))), met(many/few <= limit))
		b.report.addParts(big, small, "among few")
	}
	return nil
}

// prepare returns the job of a round.
func (o *operation) prepare(x *world, round int) job {
	j := o.job
	j.Seed = uint64(round) //nolint:gosec // not negative
	switch j.Kind {
	case loadList:
		j.Pages = x.people.Active / listLimit
	case loadFollow:
		j.Seed, j.Count = 1, min(int(followLimit*j.Duration.Seconds()), x.people.Active*4)
	}
	return j
}
