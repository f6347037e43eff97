package main

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"kith/actors/user"
	"kith/test/services"
)

// bareStores returns a baseline's store of people on each database, by name.
func bareStores(t *testing.T, people *population) map[string]func(*testing.T) bareStore {
	t.Helper()
	for i := range people.People {
		people.People[i].ID = user.ID(i) + 1
	}
	opened := func(t *testing.T, cfg baselineConfig) bareStore {
		t.Helper()
		s, err := cfg.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	return map[string]func(*testing.T) bareStore{
		"SQLite": func(t *testing.T) bareStore {
			t.Helper()
			path := filepath.Join(t.TempDir(), "bare.db")
			if err := fillBaseline(t.Context(), path, people); err != nil {
				t.Fatal(err)
			}
			return opened(t, baselineConfig{Database: path})
		},
		"PostgreSQL": func(t *testing.T) bareStore {
			t.Helper()
			on := &stores{url: services.Database(t)}
			if err := fillBarePostgres(t.Context(), on, people); err != nil {
				t.Fatal(err)
			}
			return opened(t, baselineConfig{URL: on.url, Schema: schemaBare, Conns: 4})
		},
	}
}

// A baseline stores a follow once, counts it on both sides, and answers what is
// stored, also when people follow each other at the same time.
func TestBaselinesFollow(t *testing.T) {
	t.Parallel()
	people := newPeople(t, 40)
	for name, open := range bareStores(t, people) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ctx := open(t), t.Context()
			pairs, err := people.pairs(1, false, 0, 0, 300)
			if err != nil {
				t.Fatal(err)
			}
			following, followers := make(map[int]int64), make(map[int]int64)
			for _, p := range pairs {
				following[p.From]++
				followers[p.To]++
			}
			var workers sync.WaitGroup
			for part := range 4 {
				workers.Go(func() {
					for i := part; i < len(pairs); i += 4 {
						if err := followTwice(ctx, s, people, pairs[i]); err != nil {
							t.Errorf("%v: %v", pairs[i], err)
						}
					}
				})
			}
			workers.Wait()
			for _, p := range pairs {
				caller, target := &people.People[p.From], &people.People[p.To]
				id, got, follows, err := s.lookup(ctx, caller.UID, target.Username)
				want := people.card(p.To)
				want.Privacy = user.Privacy{} // it keeps none
				got.Privacy = user.Privacy{}
				want.Followers += followers[p.To]
				want.Following += following[p.To]
				if err != nil || id != caller.ID || got != want || !follows {
					t.Fatalf("%v: %d, %+v, %t (%v), want %+v", p, id, got, follows, err, want)
				}
			}
		})
	}
}

var errTwice = errors.New("a follow is not new once, or is new twice")

func followTwice(ctx context.Context, s bareStore, people *population, p pair) error {
	target := people.card(p.To)
	created, err := s.follow(ctx, people.People[p.From].ID, &target)
	if err != nil || !created {
		return errors.Join(err, errTwice)
	}
	if again, err := s.follow(ctx, people.People[p.From].ID, &target); err != nil || again {
		return errors.Join(err, errTwice)
	}
	return nil
}

func TestBaselinesKnowWhoExists(t *testing.T) {
	t.Parallel()
	people := newPeople(t, 40)
	for name, open := range bareStores(t, people) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ctx := open(t), t.Context()
			ann := &people.People[0]
			for _, x := range []struct {
				caller user.UID
				name   string
			}{{ann.UID, "nobody"}, {user.UID{1}, ann.Username}} {
				if _, _, _, err := s.lookup(ctx, x.caller, x.name); !errors.Is(err, sql.ErrNoRows) {
					t.Errorf("%v: error %v, want %v", x, err, sql.ErrNoRows)
				}
			}
			for uid, want := range map[user.UID]bool{ann.UID: true, {1}: false} {
				if found, err := s.exists(ctx, uid); err != nil || found != want {
					t.Errorf("%v exists: %t (%v), want %t", uid, found, err, want)
				}
			}
		})
	}
}

// The baseline finds in Kith's own tables what it finds in its own, and Kith finds
// nothing to say about what was loaded.
func TestBaselineReadsKithsTables(t *testing.T) {
	t.Parallel()
	people, at := newPeople(t, 100), place{URL: services.Database(t)}
	if err := people.logIn(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	states, err := populate(t.Context(), at, people, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := saveSnapshots(t.Context(), at, states); err != nil {
		t.Fatal(err)
	}
	checkVerifies(t, at, 100, 600)
	cfg := baselineConfig{URL: at.URL, Schema: schemaKith, Conns: 2}
	s, err := cfg.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	for _, target := range []int{people.Offsets[0], people.Offsets[0] + 1} {
		_, c, follows, err := s.lookup(t.Context(), people.People[0].UID, people.People[target].Username)
		want := people.card(target)
		want.Privacy = user.Privacy{}
		if err != nil || c != want || follows != people.follows(0, target) {
			t.Errorf("%+v, %t (%v), want %+v", c, follows, err, want)
		}
	}
}
