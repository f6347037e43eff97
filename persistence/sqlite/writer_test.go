package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/sqlite"
)

// newUser registers a user and returns its row and the node.
func newUser(t *testing.T, db *sqlite.DB) (persistence.Node, user.Account) {
	t.Helper()
	node, err := db.Acquire(t.Context(), "node", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := db.NextIDs(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	a := user.Account{Card: user.Card{
		ID: id, UID: user.UID{15: byte(id)}, Username: fmt.Sprintf("user%d", id), Name: "N", Role: user.RoleUser,
		CreatedAt: time.UnixMicro(1).UTC(), UpdatedAt: time.UnixMicro(1).UTC(),
	}, Preferences: user.DefaultPreferences()}
	turn := next(&a, nil)
	mustCommit(t, db, node, turn)
	return node, turn.Account
}

// next returns a turn with one record.
func next(a *user.Account, payload []byte) *persistence.Turn {
	turn := &persistence.Turn{User: a.ID, Version: a.Version, Account: *a}
	turn.Account.Version++
	turn.Records = []persistence.Record{{User: a.ID, Seq: turn.Account.Version, Kind: persistence.KindPrivacySet, At: time.UnixMicro(1).UTC(), Payload: payload}}
	return turn
}

func commit(t *testing.T, db *sqlite.DB, node persistence.Node, turns ...*persistence.Turn) ([]persistence.Outcome, error) {
	t.Helper()
	return db.Commit(t.Context(), persistence.Batch{Node: node, Turns: turns})
}

func mustCommit(t *testing.T, db *sqlite.DB, node persistence.Node, turns ...*persistence.Turn) {
	t.Helper()
	outcomes, err := commit(t, db, node, turns...)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Status != persistence.Committed {
			t.Fatalf("turn %d: status %d", i, o.Status)
		}
	}
}

func version(t *testing.T, db *sqlite.DB, id user.ID) uint64 {
	t.Helper()
	h, err := db.Load(t.Context(), []user.ID{id})
	if err != nil || h[0].Err != nil {
		t.Fatal(err, h[0].Err)
	}
	return h[0].Version
}

// wait lets other goroutines run. It is for conditions that they are about to
// bring about, and fails the test once its context ends.
func wait(t *testing.T) {
	t.Helper()
	if err := t.Context().Err(); err != nil {
		t.Fatal(err)
	}
	runtime.Gosched()
}

func wantError(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error %v, want one that matches %v", err, target)
	}
}

func TestWhatWaitsIsCommittedTogether(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	db := openAt(t, sqlite.Config{Path: filepath.Join(t.TempDir(), "kith.db"), Registerer: registry})
	release := db.Hold(t)
	var running sync.WaitGroup
	for range 100 {
		running.Go(func() {
			if _, err := db.NextIDs(context.WithoutCancel(t.Context()), 1); err != nil {
				t.Error(err)
			}
		})
	}
	for db.Queued() < 100 {
		wait(t)
	}
	release()
	running.Wait()
	transactions, ops := histogram(t, registry, "kith_sqlite_group_ops")
	if transactions != 2 || ops != 101 {
		t.Errorf("%.0f operations in %d transactions, want 101 in 2", ops, transactions)
	}
}

func TestAnOperationThatFailsUndoesNothingOfOthers(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, a := newUser(t, db)
	session := persistence.Session{ID: [16]byte{1}, User: a.ID, CreatedAt: time.UnixMicro(1), ExpiresAt: time.UnixMicro(2)}
	if err := db.CreateSession(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	release := db.Hold(t)
	var running sync.WaitGroup
	twice := make(chan error, 1)
	ids := make(chan user.ID, 20)
	for i := range 21 {
		running.Go(func() {
			ctx := context.WithoutCancel(t.Context())
			if i == 10 {
				twice <- db.CreateSession(ctx, session)
				return
			}
			id, err := db.NextIDs(ctx, 1)
			if err != nil {
				t.Error(err)
			}
			ids <- id
		})
	}
	for db.Queued() < 21 {
		wait(t)
	}
	release()
	running.Wait()
	err := <-twice
	if err == nil {
		t.Fatal("a session was made twice")
	}
	wantError(t, err, persistence.ErrNotCommitted)
	seen := make(map[user.ID]bool)
	for range 20 {
		seen[<-ids] = true
	}
	if len(seen) != 20 || seen[0] {
		t.Errorf("%d different ids, want 20", len(seen))
	}
}

func TestACallerThatLeavesTheQueueWroteNothing(t *testing.T) {
	t.Parallel()
	db := open(t)
	release := db.Hold(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := db.NextIDs(ctx, 100)
		result <- err
	}()
	for db.Queued() == 0 {
		wait(t)
	}
	cancel()
	err := <-result
	wantError(t, err, context.Canceled)
	wantError(t, err, persistence.ErrNotCommitted)
	release()
	if id, err := db.NextIDs(t.Context(), 1); err != nil || id != 1 {
		t.Errorf("next id %d, error %v", id, err)
	}
}

func TestAFullDiskLosesNothingAndMends(t *testing.T) {
	t.Parallel()
	db := open(t)
	node, a := newUser(t, db)
	pages := db.Query(t, "PRAGMA page_count")
	db.Query(t, fmt.Sprintf("PRAGMA max_page_count = %d", pages+20))

	payload := make([]byte, 10_000)
	var err error
	for range 100 {
		turn := next(&a, payload)
		if _, err = commit(t, db, node, turn); err != nil {
			break
		}
		a = turn.Account
	}
	if err == nil {
		t.Fatal("the disk was never full")
	}
	wantError(t, err, persistence.ErrNotCommitted)
	if v := version(t, db, a.ID); v != a.Version {
		t.Fatalf("the row is at version %d, %d was acknowledged", v, a.Version)
	}
	small := next(&a, nil)
	_, err = commit(t, db, node, small, next(&user.Account{Card: user.Card{ID: a.ID + 1}}, payload))
	wantError(t, err, persistence.ErrNotCommitted) // all of the batch, or none

	db.Query(t, "PRAGMA max_page_count = 1000000")
	mustCommit(t, db, node, small)
	if records, err := db.ReadLane(t.Context(), persistence.LaneOf(a.ID), 0, 1000); err != nil || uint64(len(records)) != small.Account.Version || records[len(records)-1].Pos != uint64(len(records)) {
		t.Fatalf("%d records in the lane, error %v; want %d, dense", len(records), err, small.Account.Version)
	}
}

// codedError is an error of the driver.
type codedError int

func (e codedError) Error() string { return fmt.Sprintf("result code %d", int(e)) }
func (e codedError) Code() int     { return int(e) }

func TestWhatIsKnownOfACommitThatFails(t *testing.T) {
	t.Parallel()
	const full, busy, fsync, other = codedError(13), codedError(5), codedError(10 | 4<<8), codedError(1)
	for _, c := range []struct {
		name       string
		err        error
		carriedOut bool // meanwhile
		known      bool // that nothing was written
	}{
		{"full", full, false, true},
		{"busy", busy, false, true},
		{"fsync failed and nothing is there", fsync, false, false},
		{"fsync failed and all is there", fsync, true, false},
		{"something else failed and all is there", other, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			node, a := newUser(t, db)
			turn := next(&a, nil)
			db.FailCommits(t, 1, c.carriedOut, c.err)
			_, err := commit(t, db, node, turn)
			if known := errors.Is(err, persistence.ErrNotCommitted); err == nil || known != c.known {
				t.Fatalf("error %v says that nothing was written: %t, want %t", err, known, c.known)
			}
			// As the contract has it: raise the epoch, then read again.
			node, err = db.Raise(t.Context(), node)
			if err != nil {
				t.Fatal(err)
			}
			want := a.Version
			if c.carriedOut {
				want++
			}
			if v := version(t, db, a.ID); v != want {
				t.Fatalf("version %d, want %d", v, want)
			}
			a.Version = want
			mustCommit(t, db, node, next(&a, nil))
			heads, err := db.Heads(t.Context())
			if lane := persistence.LaneOf(a.ID); err != nil || heads[lane] != want+1 {
				t.Fatalf("head %d, error %v, want %d", heads[lane], err, want+1)
			}
		})
	}
}

func TestWhatWasAcknowledgedIsInACopyOfTheFiles(t *testing.T) {
	t.Parallel()
	dir, crashed := t.TempDir(), t.TempDir()
	db := openAt(t, sqlite.Config{Path: filepath.Join(dir, "kith.db")})
	node, a := newUser(t, db)
	for range 50 {
		turn := next(&a, []byte("payload"))
		mustCommit(t, db, node, turn)
		a = turn.Account
	}
	// What a crash leaves: the database and its log as they are, and a torn
	// end of the log, without its index and without a clean close.
	for _, name := range []string{"kith.db", "kith.db-wal"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "kith.db-wal" {
			content = append(content, content[32:4096]...)
		}
		if err := os.WriteFile(filepath.Join(crashed, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := openAt(t, sqlite.Config{Path: filepath.Join(crashed, "kith.db")})
	if v := version(t, again, a.ID); v != a.Version {
		t.Fatalf("version %d, %d was acknowledged", v, a.Version)
	}
	node, err := again.Acquire(t.Context(), "node", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, again, node, next(&a, nil))
}

func histogram(t *testing.T, registry *prometheus.Registry, name string) (count uint64, sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			h := f.GetMetric()[0].GetHistogram()
			return h.GetSampleCount(), h.GetSampleSum()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0, 0
}
