package main

import (
	"context"
	"fmt"
	"time"
)

const (
	listConns  = 16
	listRounds = 3
	listTime   = 2 * time.Second
	listLimit  = 20  // users of a page
	listPages  = 40  // different ones of each kind
	listGoal   = 1.5 // times the other
)

// measureList measures pages of GET /users/list near the end and at the start of
// a long list, and near the end of a short one, in turn.
func (b *bench) measureList(ctx context.Context, w *worlds) error {
	end := func(x *world) int { return len(x.people.People) * 9 / 10 }
	// The short list has no more pages after its end.
	pages := min(listPages, len(w.small.people.People)/10/listLimit)
	page := func(offset int) job {
		return job{Kind: loadList, Connections: listConns, Duration: b.lasting(listTime), Offset: offset, Pages: pages}
	}
	var first, last, short []sample
	for round := range listRounds + 1 {
		for _, x := range []struct {
			on *world
			job
			to *[]sample
		}{{w.big, page(0), &first}, {w.big, page(end(w.big)), &last}, {w.small, page(end(w.small)), &short}} {
			x.Seed = uint64(round)
			stopProfile := func() error { return nil }
			if round == 1 && x.to == &last {
				stopProfile = b.profile(ctx, w.big.server, phaseList, x.Duration)
			}
			s, err := x.on.load(ctx, x.job, nil)
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
	}
	deep, top, few := median(last, (*sample).each), median(first, (*sample).each), median(short, (*sample).each)
	b.say("list: %.1f µs at offset %d, %.1f µs at 0; %.1f µs of %d users", deep, end(w.big), top, few, len(w.small.people.People))
	many := thousands(float64(len(w.big.people.People)))
	b.report.add(fmt.Sprintf("`GET /users/list` at offset %s of %s users, %d connections: CPU per page ≤ %.1f × that at offset 0",
		thousands(float64(end(w.big))), many, listConns, listGoal),
		fmt.Sprintf("%.2f × (%.1f of %.1f µs; %s/s)", deep/top, deep, top, thousands(median(last, (*sample).rate))), met(deep/top <= listGoal))
	b.report.add(fmt.Sprintf("the same: ≤ %.1f × that at offset %s of %s users", listGoal, thousands(float64(end(w.small))), thousands(float64(len(w.small.people.People)))),
		fmt.Sprintf("%.2f × (%.1f of %.1f µs)", deep/few, deep, few), met(deep/few <= listGoal))
	return b.listAnew(ctx, w)
}

// listAnew measures pages that nobody has asked for before, for information: of
// most of their users no card is in memory when there are many users.
func (b *bench) listAnew(ctx context.Context, w *worlds) error {
	small, big, err := w.compare(ctx, 1, func(x *world, round int) job {
		return job{
			Kind: loadList, Anybody: true, Connections: listConns, Duration: b.lasting(listTime),
			Pages: len(x.people.People) / listLimit, Seed: uint64(round), //nolint:gosec // not negative
		}
	})
	if err != nil {
		return err
	}
	few, many := median(small, (*sample).each), median(big, (*sample).each)
	b.report.add("for information: the same, a new seed and a random offset for each page",
		fmt.Sprintf("%.2f × (%.1f of %.1f µs)", many/few, many, few), unjudged)
	return nil
}
