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
	"kith/persistence/sqlite"
)

// loadWorld writes people, who get the ids from 1 on, into a new database, with
// what is there as if everybody had registered, followed and been followed. The
// tails named have nothing left to do. It calls step with how much was done.
func loadWorld(ctx context.Context, path string, people *population, done []persistence.TailName, step func(n int)) (err error) {
	for i := range people.People {
		people.People[i].ID = user.ID(i) + 1
	}
	if err := sqlite.Load(ctx, path, sqlite.World{
		Users: len(people.People), Turn: people.everything, ClaimedAt: people.At, Tails: done, Progress: step,
	}); err != nil {
		return fmt.Errorf("load a world: %w", err)
	}
	db, err := sqlite.Open(ctx, sqlite.Config{Path: path})
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
	i := int(id) - 1 //nolint:gosec // they fit
	var s user.State
	return turnOf(&s, id, append(p.own(i), p.effects(i, p.firstPos)...))
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
	loaded time.Duration // how long it took to write the database
	size   int64         // of the database, bytes
	memory int64         // of kith once it was ready, bytes
	pairs  int           // follows made so far
}

// startWorld loads a world into a folder of its own and starts kith on it.
func (b *bench) startWorld(ctx context.Context, name string, people *population, done []persistence.TailName) (*world, error) {
	dir := filepath.Join(b.dir, name)
	path, database := filepath.Join(dir, "people"), filepath.Join(dir, dataDir, "kith.db")
	if err := os.MkdirAll(filepath.Dir(database), 0o700); err != nil {
		return nil, fmt.Errorf("make the data dir: %w", err)
	}
	secret, err := newSecret()
	if err != nil {
		return nil, err
	}
	if err := people.logIn(secret); err != nil {
		return nil, err
	}
	b.say("loading a database with %d users and %d edges", len(people.People), len(people.People)*len(people.Offsets))
	bar := b.bar(loadSteps(people), "loading")
	start := time.Now()
	if err := loadWorld(ctx, database, people, done, func(n int) { _ = bar.Add(n) }); err != nil {
		return nil, err
	}
	w := &world{people: people, loaded: time.Since(start)}
	info, err := os.Stat(database)
	if err != nil {
		return nil, fmt.Errorf("size of the database: %w", err)
	}
	w.size = info.Size()
	if err := people.save(path); err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(ctx, 2)
	if err != nil {
		return nil, err
	}
	if w.server, err = b.startKith(ctx, dir, path, secret, addrs[0], addrs[1]); err != nil {
		return nil, errors.Join(err, w.end())
	}
	if w.memory, err = w.rss(); err != nil {
		return nil, errors.Join(err, w.end())
	}
	return w, nil
}

// worlds are two that differ in how many users there are.
type worlds struct{ small, big *world }

const (
	bigUsers    = 1_000_000
	smallUsers  = 10_000 // and so many are active in both
	worldDegree = 10
)

// startWorlds starts both. Without edges they are made sooner.
func (b *bench) startWorlds(ctx context.Context, edges bool) (w *worlds, err error) {
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
		if *x.to, err = b.startWorld(ctx, x.name, people, tails()); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *worlds) stop() error {
	var err error
	for _, x := range []*world{w.small, w.big} {
		if x != nil {
			err = errors.Join(err, x.end())
		}
	}
	*w = worlds{}
	return err
}

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
