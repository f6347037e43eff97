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
	millionGoal   = 2.5 // times the cost at 10,000 users
)

// measureMillion measures what a large world costs: to load, to start on, and each
// operation against the same in a small world, in turn.
func (b *bench) measureMillion(ctx context.Context, w *worlds) error {
	rss, err := w.big.rss()
	if err != nil {
		return err
	}
	users, edges := len(w.big.people.People), len(w.big.people.People)*len(w.big.people.Offsets)
	size := fmt.Sprintf("%s users and %s edges", thousands(float64(users)), thousands(float64(edges)))
	b.report.add("for information: loading "+size, fmt.Sprintf("%.0f s; a database of %.2f GB", w.big.loaded.Seconds(), float64(w.big.size)/1e9), unjudged)
	b.report.add("for information: starting kith on them", fmt.Sprintf("ready after %.2f s; RSS %s MB then", w.big.started.Seconds(), thousands(float64(rss)/1e6)), unjudged)
	for _, x := range []struct {
		what string
		job
	}{
		{"`GET /users/{username}`", job{Kind: loadLookup, Callers: w.small.people.Active}},
		{"`GET /users/{username}/followers`", job{Kind: loadFollowers}},
		{"`GET /users/search`", job{Kind: loadSearch}},
		{"`GET /users/list`", job{Kind: loadList}},
		{"one event recorded", job{Kind: loadEvent}},
		{"a follow, both sides committed", job{Kind: loadFollow}},
	} {
		if err := b.compareCost(ctx, w, x.what, x.job); err != nil {
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

// compareCost measures an operation on as many active users in both worlds, and,
// where it makes a difference, for information, on anybody.
func (b *bench) compareCost(ctx context.Context, w *worlds, what string, j job) error {
	anybody := j.Kind == loadLookup || j.Kind == loadFollowers || j.Kind == loadFollow
	j.Connections, j.Duration = millionConns, b.lasting(millionTime)
	var costs [2]float64
	for i, all := range []bool{false, true} {
		if all && !anybody {
			continue
		}
		j.Anybody = all
		small, big, err := w.compare(ctx, millionRounds, func(x *world, round int) job {
			return b.prepare(x, j, round)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", j.Kind, err)
		}
		few, many := median(small, (*sample).each), median(big, (*sample).each)
		costs[i] = many / few
		b.say("million: %s, anybody %t: %.1f µs, %.0f/s; of %d users %.1f µs, %.0f/s", j.Kind, all, many, median(big, (*sample).rate),
			len(w.small.people.People), few, median(small, (*sample).rate))
	}
	return nil
}

func (b *bench) prepare(x *world, j job, round int) job {
	j.Seed = uint64(round) //nolint:gosec // not negative
	switch j.Kind {
	case loadList:
		j.Pages = len(x.people.People) / 20
	case loadFollow:
		j.Seed, j.Count = 1, min(int(followLimit*j.Duration.Seconds()), x.people.Active*4)
	}
	return j
}
