package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
	"kith/test/services"
)

func open(tb testing.TB) (db *postgres.DB, url string) {
	tb.Helper()
	url = services.Database(tb)
	return openAt(tb, postgres.Config{URL: url}), url
}

func openAt(tb testing.TB, cfg postgres.Config) *postgres.DB {
	tb.Helper()
	if cfg.PoolSize == 0 {
		cfg.PoolSize = 4 // many run at once
	}
	db, err := postgres.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// dial connects beside the engine.
func dial(tb testing.TB, url string) *pgx.Conn {
	tb.Helper()
	c, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func exec(tb testing.TB, c *pgx.Conn, sql string, args ...any) {
	tb.Helper()
	if _, err := c.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatal(err)
	}
}

// afterwards runs a statement when the test and what it opened have ended.
func afterwards(tb testing.TB, url, sql string) {
	tb.Helper()
	tb.Cleanup(func() {
		ctx := context.Background()
		c, err := pgx.Connect(ctx, url)
		if err == nil {
			_, err = c.Exec(ctx, sql)
		}
		if err = errors.Join(err, c.Close(ctx)); err != nil {
			tb.Error(err)
		}
	})
}

// ask returns one value.
func ask[T any](tb testing.TB, c *pgx.Conn, sql string, args ...any) (value T) {
	tb.Helper()
	if err := c.QueryRow(tb.Context(), sql, args...).Scan(&value); err != nil {
		tb.Fatal(err)
	}
	return value
}

// waitForLock returns once somebody waits for a lock in the database.
func waitForLock(tb testing.TB, url string) {
	tb.Helper()
	c := dial(tb, url)
	for range 4000 { // twenty seconds
		if ask[int](tb, c, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0 {
			return
		}
		exec(tb, c, `SELECT pg_sleep(0.005)`)
	}
	tb.Fatal("nobody waits for a lock")
}

func wantError(tb testing.TB, err, target error) {
	tb.Helper()
	if !errors.Is(err, target) {
		tb.Fatalf("error %v, want one that matches %v", err, target)
	}
}

func acquire(tb testing.TB, db *postgres.DB) persistence.Node {
	tb.Helper()
	node, err := db.Acquire(tb.Context(), "node", time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	return node
}

// someone returns the row of a user who is not registered yet.
func someone(id user.ID) user.Account {
	return user.Account{Card: user.Card{
		ID: id, UID: user.UID{12: byte(id >> 24), 13: byte(id >> 16), 14: byte(id >> 8), 15: byte(id)}, Username: fmt.Sprintf("user%d", id), Name: "Some Name", Role: user.RoleUser,
		CreatedAt: time.UnixMicro(1).UTC(), UpdatedAt: time.UnixMicro(1).UTC(),
	}, Preferences: user.DefaultPreferences()}
}

// register registers users and returns their rows.
func register(tb testing.TB, db *postgres.DB, node persistence.Node, ids ...user.ID) []user.Account {
	tb.Helper()
	rows, turns := make([]user.Account, len(ids)), make([]*persistence.Turn, len(ids))
	for i, id := range ids {
		rows[i] = someone(id)
		turns[i] = next(&rows[i], persistence.KindRegistered)
	}
	mustCommit(tb, db, node, turns...)
	return rows
}

// next returns a turn with records of these kinds, and moves the row on.
func next(a *user.Account, kinds ...persistence.Kind) *persistence.Turn {
	turn := &persistence.Turn{User: a.ID, Version: a.Version}
	for _, kind := range kinds {
		a.Version++
		turn.Records = append(turn.Records, persistence.Record{
			User: a.ID, Seq: a.Version, Kind: kind, At: time.UnixMicro(1).UTC(), Payload: []byte("some payload of a record"),
		})
	}
	turn.Account = *a
	turn.Deleted = kinds[len(kinds)-1] == persistence.KindDeleted
	return turn
}

func commit(tb testing.TB, db *postgres.DB, node persistence.Node, turns ...*persistence.Turn) ([]persistence.Outcome, error) {
	tb.Helper()
	return db.Commit(context.WithoutCancel(tb.Context()), persistence.Batch{Node: node, Turns: turns})
}

func mustCommit(tb testing.TB, db *postgres.DB, node persistence.Node, turns ...*persistence.Turn) {
	tb.Helper()
	outcomes, err := commit(tb, db, node, turns...)
	if err != nil {
		tb.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Status != persistence.Committed {
			tb.Fatalf("turn %d of user %d: status %d", i, turns[i].User, o.Status)
		}
	}
}

func version(tb testing.TB, db *postgres.DB, id user.ID) uint64 {
	tb.Helper()
	h, err := db.Load(tb.Context(), []user.ID{id})
	if err != nil || h[0].Err != nil {
		tb.Fatal(err, h[0].Err)
	}
	return h[0].Version
}

// lane reads a whole lane, which must be dense.
func lane(tb testing.TB, db *postgres.DB, n uint8) []persistence.Record {
	tb.Helper()
	records, err := db.ReadLane(tb.Context(), n, 0, 1<<20)
	if err != nil {
		tb.Fatal(err)
	}
	for i, r := range records {
		if r.Pos != uint64(i)+1 {
			tb.Fatalf("record %d of lane %d is at %d", i, n, r.Pos)
		}
	}
	return records
}
