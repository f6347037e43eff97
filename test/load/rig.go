package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	rigUsers  = 10_000
	rigDegree = 20 // how many each of them follows at first
	// stars are users who are followed only when everybody does.
	stars = 8
)

// rig is kith and the baseline with the same people: filled first, then started,
// more than once if need be.
type rig struct {
	setup

	kith, baseline *server // nil while they do not run
	people         *population
	bare           string // path of the baseline's database; "" on PostgreSQL
}

// newRig fills the databases of both servers, on SQLite or, where there are
// stores, in them.
func (b *bench) newRig(ctx context.Context, name string, on *stores) (r *rig, err error) {
	dir := filepath.Join(b.dir, name)
	r = &rig{setup: setup{dir: dir, saved: filepath.Join(dir, "people"), at: place{Dir: filepath.Join(dir, dataDir)}, stores: on}}
	if err := os.MkdirAll(r.at.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data dir: %w", err)
	}
	if r.secret, err = newSecret(); err != nil {
		return nil, err
	}
	if r.people, err = newPopulation(b.scaled(rigUsers, 500), rigDegree, 1); err != nil {
		return nil, err
	}
	if err := r.people.logIn(r.secret); err != nil {
		return nil, err
	}
	if on != nil {
		r.at.URL = on.url
	} else {
		r.bare = filepath.Join(dir, "baseline.db")
	}
	b.say("filling the databases of both servers with %d users", len(r.people.People))
	bar := b.bar(fillSteps(r.people), "filling")
	if _, err := populate(ctx, r.at, r.people, func(n int) { _ = bar.Add(n) }); err != nil {
		return nil, err
	}
	if on != nil {
		err = errors.Join(fillBarePostgres(ctx, on, r.people), on.settle(ctx))
	} else {
		err = fillBaseline(ctx, r.bare, r.people)
	}
	if err != nil {
		return nil, err
	}
	return r, r.people.save(r.saved)
}

// start starts both servers. The schema and the connections are the baseline's, on
// PostgreSQL.
func (r *rig) start(ctx context.Context, b *bench, schema string, conns int) (err error) {
	if r.kith, err = b.startKith(ctx, &r.setup); err != nil {
		return err
	}
	r.baseline, err = startBaseline(ctx, &r.setup, baselineConfig{Database: r.bare, URL: r.at.URL, Schema: schema, Conns: conns})
	return err
}

// on says in a row which database it is about, unless that is SQLite.
func (r *rig) on() string {
	if r.stores == nil {
		return ""
	}
	return " on PostgreSQL"
}

// name returns the name of a phase's profiles.
func (r *rig) name(of string) string {
	if r.stores == nil {
		return of
	}
	return of + "-pg"
}

// stop ends both servers. Again it does nothing.
func (r *rig) stop() error {
	err := errors.Join(r.kith.end(), r.baseline.end())
	r.kith, r.baseline = nil, nil
	return err
}
