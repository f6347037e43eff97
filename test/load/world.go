package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
	"kith/persistence/sqlite"
)

// loadWorld writes people, who get the ids from 1 on, into a new database, with
// what is there as if everybody had registered, followed and been followed. The
// tails named have nothing left to do. It calls step with how much was done.
func loadWorld(ctx context.Context, at place, people *population, done []persistence.TailName, step func(n int)) (err error) {
	for i := range people.People {
		people.People[i].ID = user.ID(i) + 1
	}
	if at.URL != "" {
		err = postgres.Load(ctx, at.URL, postgres.World{
			Users: len(people.People), Turn: people.everything, ClaimedAt: people.At, Tails: done, Progress: step,
		})
	} else {
		err = sqlite.Load(ctx, at.file(), sqlite.World{
			Users: len(people.People), Turn: people.everything, ClaimedAt: people.At, Tails: done, Progress: step,
		})
	}
	if err != nil {
		return fmt.Errorf("load a world: %w", err)
	}
	db, err := at.open(ctx, 0)
	if err != nil {
		return fmt.Errorf("load a world: %w", err)
	}
	if err := errors.Join(people.saveSessions(ctx, db), db.Close()); err != nil {
		return fmt.Errorf("load a world: %w", err)
	}
	return nil
}

// loadSteps is how often loadWorld reports for a population.
func loadSteps(p *population) int { return 2 * len(p.People) }

// everything returns all that happens to a user, as one turn. Everybody has as
// many records, so that it is known where those of others are.
func (p *population) everything(id user.ID) (*persistence.Turn, error) {
	var s user.State
	return p.apply(&s, id)
}

// apply is everything, with the state that it leaves.
func (p *population) apply(s *user.State, id user.ID) (*persistence.Turn, error) {
	i := int(id) - 1 //nolint:gosec // they fit
	return turnOf(s, id, append(p.own(i), p.effects(i, p.firstPos)...))
}

// populate writes people into a new database and returns their states: through the
// contracts on SQLite, and on PostgreSQL, where that takes long, with the loader.
func populate(ctx context.Context, at place, people *population, step func(n int)) ([]user.State, error) {
	if at.URL == "" {
		return fill(ctx, at, people, step)
	}
	if err := loadWorld(ctx, at, people, tails(), step); err != nil {
		return nil, err
	}
	states := make([]user.State, len(people.People))
	for i := range states {
		if _, err := people.apply(&states[i], people.People[i].ID); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// firstPos returns the position of the first record of user i in a world that was
// loaded.
func (p *population) firstPos(i int) uint64 {
	before := uint64(i) / persistence.LaneCount //nolint:gosec // users of the same lane with lower ids
	return 1 + before*uint64(1+2*len(p.Offsets))
}

// world is a kith with people who were loaded.
type world struct {
	*server
	people *population
	host   setup         // of its kith
	own    *stores       // to be closed after kith; nil on SQLite
	loaded time.Duration // how long it took to write the database
	size   int64         // of the database, bytes
	memory int64         // of kith once it was ready, bytes
	pairs  int           // follows made so far
}

// startWorld loads a world into a folder of its own, or into stores that it ends
// with, and starts kith on it.
func (b *bench) startWorld(ctx context.Context, name string, on *stores, people *population, done []persistence.TailName) (w *world, err error) {
	w, err = b.makeWorld(ctx, name, on, people, done)
	if err != nil {
		return nil, err
	}
	if err := w.start(ctx, b, people); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// makeWorld is startWorld without starting kith.
func (b *bench) makeWorld(ctx context.Context, name string, on *stores, people *population, done []persistence.TailName) (w *world, err error) {
	dir := filepath.Join(b.dir, name)
	w = &world{people: people, own: on, host: setup{
		dir: dir, saved: filepath.Join(dir, "people"), at: place{Dir: filepath.Join(dir, dataDir)}, stores: on, cached: on != nil,
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if on != nil {
		w.host.at.URL = on.url
	}
	if err := os.MkdirAll(w.host.at.Dir, 0o700); err != nil {
		return w, fmt.Errorf("make the data dir: %w", err)
	}
	if w.host.secret, err = newSecret(); err != nil {
		return w, err
	}
	if err := people.logIn(w.host.secret); err != nil {
		return w, err
	}
	b.say("loading a database with %d users and %d edges", len(people.People), len(people.People)*len(people.Offsets))
	bar := b.bar(loadSteps(people), "loading")
	start := time.Now()
	if err := loadWorld(ctx, w.host.at, people, done, func(n int) { _ = bar.Add(n) }); err != nil {
		return w, err
	}
	w.loaded = time.Since(start)
	if on != nil {
		if err := on.settle(ctx); err != nil {
			return w, err
		}
	}
	w.size, err = w.host.size(ctx)
	return w, err
}

// start starts kith. The load will be of those of its people who are given.
func (w *world) start(ctx context.Context, b *bench, people *population) (err error) {
	if err := people.save(w.host.saved); err != nil {
		return err
	}
	if w.server, err = b.startKith(ctx, &w.host); err != nil {
		return err
	}
	w.memory, err = w.rss()
	return err
}

// size returns how large the database is, in bytes.
func (s *setup) size(ctx context.Context) (int64, error) {
	if s.stores != nil {
		return s.stores.size(ctx)
	}
	info, err := os.Stat(s.at.file())
	if err != nil {
		return 0, fmt.Errorf("size of the database: %w", err)
	}
	return info.Size(), nil
}

// on says in a row which database it is about, unless that is SQLite.
func (w *world) on() string {
	if w.own == nil {
		return ""
	}
	return " on PostgreSQL"
}

// close ends kith and what is of this world alone.
func (w *world) close() error {
	if w == nil {
		return nil
	}
	return errors.Join(w.end(), w.own.close())
}

// worlds are two that differ in how many users there are.
type worlds struct{ small, big *world }

const (
	bigUsers    = 1_000_000
	smallUsers  = 10_000 // and so many are active in both
	worldDegree = 10
)

// startWorlds starts both, on stores of their own where they are not on SQLite.
// Without edges they are made sooner.
func (b *bench) startWorlds(ctx context.Context, postgres, edges bool) (w *worlds, err error) {
	w = &worlds{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.stop())
		}
	}()
	degree, active := worldDegree, b.scaled(smallUsers, 500)
	if !edges {
		degree = 0
	}
	for _, x := range []struct {
		name  string
		users int
		to    **world
	}{{"small", active, &w.small}, {"big", b.scaled(bigUsers, 4*active), &w.big}} {
		people, err := newPopulation(x.users, degree, 3)
		if err != nil {
			return w, err
		}
		people.Active = active
		var on *stores
		if postgres {
			x.name += "-pg"
			if on, err = b.startStores(ctx, x.name+"-stores"); err != nil {
				return w, err
			}
		}
		if *x.to, err = b.startWorld(ctx, x.name, on, people, tails()); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *worlds) stop() error {
	err := errors.Join(w.small.close(), w.big.close())
	*w = worlds{}
	return err
}

// on says in a row which database it is about, unless that is SQLite.
func (w *worlds) on() string { return w.big.on() }

// compare runs a job on both in turn and returns the rounds of each. The first
// round warms up and does not count. j makes the job of a round.
func (w *worlds) compare(ctx context.Context, rounds int, j func(*world, int) job) (small, big []sample, err error) {
	for round := range rounds + 1 {
		s, err := w.small.round(ctx, j(w.small, round))
		if err != nil {
			return nil, nil, err
		}
		l, err := w.big.round(ctx, j(w.big, round))
		if err != nil {
			return nil, nil, err
		}
		if round > 0 {
			small, big = append(small, s), append(big, l)
		}
	}
	return small, big, nil
}

// round runs a job. When it makes follows it is over when the counters of both
// sides have committed, and none is made twice.
func (w *world) round(ctx context.Context, j job) (sample, error) {
	if j.Kind != loadFollow {
		return w.load(ctx, j, nil)
	}
	f := follower{s: w.server, used: w.pairs}
	s, err := f.round(ctx, j)
	w.pairs = f.used
	return s, err
}
