package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	activationUsers  = 100_000
	activationDegree = 25 // followed, and as many followers: 50 edges
	activationGoal   = 10_000
	memoryGoal       = 3 << 10 // bytes an idle user
)

// measureActivation measures how fast cold users are activated, and what they
// take when idle: once from their journals alone, once from their snapshots, as
// after a passivation. on is nil for SQLite.
func (b *bench) measureActivation(ctx context.Context, name string, on *stores) error {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Join(dir, dataDir), 0o700); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	people, err := newPopulation(b.scaled(activationUsers, 2000), activationDegree, 2)
	if err != nil {
		return err
	}
	n, edges := len(people.People), 2*len(people.Offsets)
	b.say("filling a database with %d users of %d edges", n, edges)
	at := place{Dir: filepath.Join(dir, dataDir)}
	j := activatorJob{Users: n}
	where := ""
	if on != nil {
		at.URL, j.Postgres, where = on.url, on.postgres.PID(), " on PostgreSQL"
	}
	bar := b.bar(fillSteps(people), "filling")
	states, err := populate(ctx, at, people, func(n int) { _ = bar.Add(n) })
	if err != nil {
		return err
	}
	if on != nil {
		if err := on.settle(ctx); err != nil {
			return err
		}
	}
	j.At, j.First = at, people.People[0].ID
	replayed, err := b.runActivator(ctx, dir, name+"-replayed", j)
	if err != nil {
		return err
	}
	b.say("activation: %s", replayed.String())
	if err := saveSnapshots(ctx, at, states); err != nil {
		return err
	}
	restored, err := b.runActivator(ctx, dir, name+"-restored", j)
	if err != nil {
		return err
	}
	b.say("activation: from snapshots: %s", restored.String())
	for _, x := range []struct {
		from string
		activated
	}{{fmt.Sprintf("journals of %d records", 1+edges), replayed}, {"snapshots", restored}} {
		b.report.add(fmt.Sprintf("cold activations of %s users%s from their %s ≥ %s/s", thousands(float64(n)), where, x.from, thousands(activationGoal)),
			fmt.Sprintf("%s/s (CPU %s)", thousands(x.rate()), x.costs()), met(x.rate() >= activationGoal))
	}
	if on != nil {
		return nil // the database makes no difference to memory
	}
	for _, x := range []struct {
		from string
		activated
	}{{"replayed", replayed}, {"from snapshots", restored}} {
		b.report.add(fmt.Sprintf("memory of an idle user with %d edges, %s ≤ %d KB", edges, x.from, memoryGoal>>10),
			fmt.Sprintf("RSS %.2f KB, heap %.2f KB", x.rss()/1024, x.heap()/1024), met(x.rss() <= memoryGoal && x.heap() <= memoryGoal))
	}
	return nil
}

// runActivator runs the process that activates.
func (b *bench) runActivator(ctx context.Context, dir, what string, j activatorJob) (a activated, err error) {
	if b.profileDir != "" {
		if j.Profile, err = filepath.Abs(filepath.Join(b.profileDir, what)); err != nil {
			return a, fmt.Errorf("name the profiles: %w", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return a, fmt.Errorf("find ourselves: %w", err)
	}
	var out bytes.Buffer
	p, err := start(ctx, command{name: "activator", path: self, args: []string{roleActivator}, dir: dir, stdout: &out})
	if err != nil {
		return a, err
	}
	if err := errors.Join(p.send(j), p.wait()); err != nil {
		return a, err
	}
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return a, fmt.Errorf("read what the activator did: %w", err)
	}
	return a, nil
}
