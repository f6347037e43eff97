package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"
)

const (
	lookupConns   = 64
	lookupCallers = 500
	lookupRounds  = 5
	lookupTime    = 3 * time.Second
	lookupGoal    = 0.5 // of the baseline's CPU
)

// lookupCase is what lookups are measured on.
type lookupCase struct {
	profile string  // what the profiles are called
	against string  // what kith is compared with
	goal    float64 // of the baseline's CPU
}

// measureLookups saturates GET /users/{username} on both servers in turn.
func (b *bench) measureLookups(ctx context.Context, r *rig, on lookupCase) error {
	if err := r.sameAnswers(ctx); err != nil {
		return err
	}
	j := job{Kind: loadLookup, Anybody: true, Connections: lookupConns, Duration: b.lasting(lookupTime), Callers: min(lookupCallers, len(r.people.People))}
	var plain, kith []sample
	for round := range lookupRounds + 1 {
		j.Seed = uint64(round)
		p, err := r.baseline.load(ctx, j, nil)
		if err != nil {
			return err
		}
		stopProfile := func() error { return nil }
		if round == 1 {
			stopProfile = b.profile(ctx, r.kith, on.profile, j.Duration)
		}
		k, err := r.kith.load(ctx, j, nil)
		if err != nil {
			return err
		}
		if err := stopProfile(); err != nil {
			return err
		}
		if round == 0 {
			continue // warms up
		}
		plain, kith = append(plain, p), append(kith, k)
		b.say(on.profile+" %d/%d: baseline %.1f µs, %.0f/s; kith %.1f µs, %.0f/s", round, lookupRounds, p.each(), p.rate(), k.each(), k.rate())
	}
	base, own := median(plain, (*sample).each), median(kith, (*sample).each)
	b.report.add(
		fmt.Sprintf("`GET /users/{username}`, %d connections: CPU per request ≤ %.2f × %s", lookupConns, on.goal, on.against),
		fmt.Sprintf("%.2f × (%.1f of %.1f µs; %s/s, bare %s/s; p99 %s, bare %s)", own/base, own, base,
			thousands(median(kith, (*sample).rate)), thousands(median(plain, (*sample).rate)),
			milliseconds(merged(kith).quantile(.99)), milliseconds(merged(plain).quantile(.99))),
		met(own/base <= on.goal))
	b.report.addParts(kith, plain, "bare")
	return nil
}

// sameAnswers checks that both servers answer the same, followed or not.
func (r *rig) sameAnswers(ctx context.Context) error {
	p := r.people
	followed := p.Offsets[0]
	stranger := 1
	for p.follows(0, stranger) {
		stranger++
	}
	for _, target := range []int{followed, stranger} {
		request := appendRequest(nil, http.MethodGet, "/users/", p.People[target].Username, p.People[0].Token, nil)
		var bodies [2][]byte
		for i, s := range []*server{r.baseline, r.kith} {
			c, err := dial(ctx, s.addr)
			if err != nil {
				return err
			}
			status, body, err := c.do(request)
			bodies[i] = bytes.Clone(body)
			if e := c.close(); err == nil {
				err = e
			}
			if err != nil || status != http.StatusOK {
				return fmt.Errorf("ask %s for a user: status %d, error %w: %s", s.name, status, err, body)
			}
			if err := checkUser(body, &p.People[target], target == followed); err != nil {
				return fmt.Errorf("%s: %w: %s", s.name, err, body)
			}
		}
		var plain, kith map[string]any
		if err := json.Unmarshal(bodies[0], &plain); err != nil {
			return fmt.Errorf("answer of the baseline: %w", err)
		}
		if err := json.Unmarshal(bodies[1], &kith); err != nil {
			return fmt.Errorf("answer of kith: %w", err)
		}
		if !reflect.DeepEqual(plain, kith) {
			return fmt.Errorf("the servers do not answer the same: baseline %s, kith %s", bodies[0], bodies[1])
		}
	}
	return nil
}

// median returns the median of a figure of rounds.
func median(rounds []sample, of func(*sample) float64) float64 {
	values := make([]float64, len(rounds))
	for i := range rounds {
		values[i] = of(&rounds[i])
	}
	return middle(values)
}

// middle returns the median of values, and sorts them.
func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// merged returns the latencies of all rounds.
func merged(rounds []sample) *histogram {
	var h histogram
	for i := range rounds {
		h.merge(&rounds[i].Latency)
	}
	return &h
}
