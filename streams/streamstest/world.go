// Package streamstest holds what tests of tails work with: a database with a
// committer, users who decide in it, and a plain Kafka client that consumes from
// outside.
package streamstest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/memory"
	"kith/persistence/sqlite"
)

// World is a database with a committer and the users in it. It is not safe for
// concurrent use.
type World struct {
	T         testing.TB
	Dir       string // of the database
	DB        *sqlite.DB
	Committer *lanes.Committer
	States    map[user.ID]*user.State

	stop func()
}

// NewWorld returns a world in a new directory.
func NewWorld(tb testing.TB) *World {
	tb.Helper()
	w := &World{T: tb, Dir: tb.TempDir(), States: make(map[user.ID]*user.State)}
	w.start()
	tb.Cleanup(func() { w.stop() })
	return w
}

// Restart ends the committer and the database and starts them again.
func (w *World) Restart() {
	w.T.Helper()
	w.stop()
	w.start()
}

func (w *World) start() {
	w.T.Helper()
	ctx := context.WithoutCancel(w.T.Context())
	db, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(w.Dir, "kith.db")})
	w.must(err)
	node, err := db.Acquire(ctx, "node", time.Hour)
	w.must(err)
	cards, err := memory.NewCards(memory.Config{Bytes: 1 << 20})
	w.must(err)
	committer, err := lanes.New(ctx, lanes.Config{Journal: db, Lanes: db, Cards: cards, Logger: slog.New(slog.DiscardHandler)}, node)
	w.must(err)
	w.DB, w.Committer = db, committer
	stop := w.Background(committer.Run)
	w.stop = sync.OnceFunc(func() {
		stop()
		w.must(db.Close())
	})
}

// Background runs f until the test ends, or until stop is called, and fails the
// test when f fails.
func (w *World) Background(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.T.Context()))
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.T.Errorf("run: %v", err)
		}
	})
	w.T.Cleanup(stop)
	return stop
}

func (w *World) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// Time is when everything happens.
func Time() time.Time { return time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC) }

// UID returns the uid of the user with an id.
func UID(id user.ID) user.UID { return user.UID{0: 1, 14: byte(id >> 8), 15: byte(id)} } //nolint:gosec // small

// Register registers users u<first> to u<first+n-1> in as few batches as
// possible.
func (w *World) Register(first user.ID, n int) {
	w.T.Helper()
	var turns []*persistence.Turn
	for i := range user.ID(n) { //nolint:gosec // small
		id := first + i
		w.States[id] = &user.State{ID: id}
		turns = append(turns, w.turn(id, user.Register{ID: id, UID: UID(id), Username: fmt.Sprintf("u%d", id), Name: fmt.Sprintf("Name %d", id), At: Time()}))
	}
	w.commit(turns)
}

// Do has a user decide commands in one turn and commits it.
func (w *World) Do(id user.ID, commands ...user.Command) {
	w.T.Helper()
	w.commit([]*persistence.Turn{w.turn(id, commands...)})
}

// DoAll commits one turn of each user, as few batches as possible.
func (w *World) DoAll(commands map[user.ID][]user.Command) {
	w.T.Helper()
	var turns []*persistence.Turn
	for id, c := range commands {
		turns = append(turns, w.turn(id, c...))
	}
	w.commit(turns)
}

// turn is what the grain makes of commands, as far as tails see it.
func (w *World) turn(id user.ID, commands ...user.Command) *persistence.Turn {
	w.T.Helper()
	s := w.States[id]
	t := &persistence.Turn{User: id, Version: s.Version}
	for _, c := range commands {
		events, err := user.Decide(s, c)
		w.must(err)
		for _, e := range events {
			r := persistence.Record{User: id, Seq: s.Version + 1, At: e.RecordedAt()}
			r.Kind, r.EventID, r.Payload, err = usergrain.EncodeEvent(e)
			w.must(err)
			t.Records = append(t.Records, r)
			if e, ok := e.(user.ActivityDeleted); ok {
				t.Erase = append(t.Erase, e.EventID)
			}
			if _, ok := e.(user.Deleted); ok {
				t.Account, t.Deleted = s.Account(), true
			}
			s.Apply(e)
			s.ID = id
		}
	}
	if !t.Deleted {
		t.Account = s.Account()
	}
	t.Account.Version = s.Version
	return t
}

func (w *World) commit(turns []*persistence.Turn) {
	w.T.Helper()
	done := make(chan error, len(turns))
	for _, t := range turns {
		w.must(w.Committer.Reserve())
		w.Committer.Submit(t, func(o persistence.Outcome, err error) {
			if err == nil && o.Status != persistence.Committed {
				err = errors.New("a turn was not committed")
			}
			done <- err
		})
	}
	for range turns {
		w.must(<-done)
	}
}
