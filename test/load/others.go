package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

// others are generators whose users ask for a little, at a steady rate, while kith
// does something else.
type others struct{ lookups, events *generator }

// asked is what they got.
type asked struct{ lookups, events outcome }

// quantile returns that of all their requests.
func (a *asked) quantile(q float64) time.Duration {
	var all histogram
	all.merge(&a.lookups.Latency)
	all.merge(&a.events.Latency)
	return all.quantile(q)
}

// ask has others ask until they are stopped. What they ask at first does not count:
// they are not known to kith yet.
func (s *server) ask(ctx context.Context, seed uint64, warm time.Duration) (o *others, err error) {
	o = &others{}
	for _, x := range []struct {
		job
		as **generator
	}{{job{Kind: loadLookup, Callers: starOthers}, &o.lookups}, {job{Kind: loadEvent}, &o.events}} {
		x.Addr, x.People, x.Seed, x.Connections = s.addr, s.saved, seed, starConns
		x.Rate, x.Warm = starRate, int(starRate*warm.Seconds())
		g, err := startGenerator(ctx, filepath.Dir(s.log), x.job)
		if err != nil {
			return nil, errors.Join(err, o.abandon())
		}
		*x.as = g
	}
	return o, errors.Join(o.lookups.say(goLine), o.events.say(goLine))
}

// stop ends them and returns what they got.
func (o *others) stop() (a asked, err error) {
	if err := errors.Join(o.lookups.say(stopLine), o.events.say(stopLine)); err != nil {
		return a, errors.Join(err, o.abandon())
	}
	var first, second error
	a.lookups, first = o.lookups.outcome()
	a.events, second = o.events.outcome()
	if err := errors.Join(first, second); err != nil {
		return a, err
	}
	if a.lookups.Done == 0 || a.events.Done == 0 {
		return a, errors.New("it was over before what others asked counted")
	}
	return a, nil
}

// abandon ends those that have been started.
func (o *others) abandon() (err error) {
	for _, g := range []*generator{o.lookups, o.events} {
		if g != nil {
			err = errors.Join(err, g.abandon())
		}
	}
	return err
}
