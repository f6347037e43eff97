package sqlite

import (
	"context"
	"database/sql/driver"
	"testing"

	"kith/actors/user"
)

// HotStatements are the statements whose plans matter, by name.
func HotStatements() map[string]string {
	return map[string]string{
		"accounts":      selectAccounts,
		"account":       `SELECT ` + accountColumns + ` FROM users WHERE id = ?`,
		"by username":   selectByUsername,
		"by uid":        selectByUID,
		"versions":      selectVersions,
		"tombstones":    selectTombstones,
		"snapshots":     selectSnapshots,
		"tails":         selectTails,
		"records":       selectRecords,
		"lane":          readLane,
		"following":     listFollowing,
		"followers":     listFollowers,
		"crew":          listCrew,
		"studios":       listStudios,
		"relations":     selectRelations,
		"events":        listActivities,
		"more events":   hasActivities,
		"event":         selectActivity,
		"neighbours":    selectNeighbours,
		"loose claims":  selectLoose,
		"user's claims": selectClaims,
		"parked":        selectParked,
		"event status":  selectEvent,
		"guard":         selectVersion,
		"erase events":  eraseEvents,
		"erase event":   eraseEvent,
		"update user":   updateUser,
		"heads":         selectHeads,
		"audited users": selectAudited,
		"time from":     timeFrom,
		"followed":      selectFollowed,
		"authors":       selectAuthors,
		"feed":          selectEvents,
		"doings":        selectDoings,
		"journal":       selectJournal,
		"places":        selectPlaces,
		"unread":        countUnread,
		"mark seen":     markSeen,
	}
}

// Plan returns the steps of the plan of a statement.
func (db *DB) Plan(t *testing.T, sql string) []string {
	t.Helper()
	var steps []string
	err := db.readers.with(t.Context(), func(c *conn) error {
		var args []driver.Value
		for _, r := range sql {
			if r == '?' {
				args = append(args, nil)
			}
		}
		return c.query(t.Context(), "EXPLAIN QUERY PLAN "+sql, func(row []driver.Value) error {
			steps = append(steps, text(row[3]))
			return nil
		}, args...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// Break removes one record of a user's journal.
func (db *DB) Break(t *testing.T, id user.ID, seq uint64) {
	t.Helper()
	db.Exec(t, `DELETE FROM journal WHERE user_id = ? AND seq = ?`, int64(id), int64(seq))
}

// Exec runs a statement through the writer.
func (db *DB) Exec(t *testing.T, sql string, args ...driver.Value) {
	t.Helper()
	err := db.writer.do(t.Context(), func(ctx context.Context, x *tx) error {
		_, err := x.exec(ctx, sql, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Query returns one number, read by the writer.
func (db *DB) Query(t *testing.T, sql string) (value int64) {
	t.Helper()
	err := db.writer.do(t.Context(), func(ctx context.Context, x *tx) error {
		return x.query(ctx, sql, func(row []driver.Value) error {
			value = integer(row[0])
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// FailCommits makes the next n commits fail with err, after they were carried out
// or without. It goes through the writer, which no commit may pass.
func (db *DB) FailCommits(t *testing.T, n int, carriedOut bool, err error) {
	t.Helper()
	done := db.writer.do(t.Context(), func(context.Context, *tx) error {
		real := db.writer.commit
		first := true
		db.writer.commit = func(ctx context.Context, c *conn) error {
			if first { // of this very operation
				first = false
				return real(ctx, c)
			}
			if n == 0 {
				db.writer.commit = real
				return real(ctx, c)
			}
			n--
			if carriedOut {
				if err := real(ctx, c); err != nil {
					return err
				}
			}
			return err
		}
		return nil
	})
	if done != nil {
		t.Fatal(done)
	}
}

// Hold keeps the writer busy until release is called, and returns once it is.
func (db *DB) Hold(t *testing.T) (release func()) {
	t.Helper()
	held, free, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- db.writer.do(context.WithoutCancel(t.Context()), func(context.Context, *tx) error {
			close(held)
			<-free
			return nil
		})
	}()
	<-held
	return func() {
		close(free)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Queued returns how many operations wait for the writer.
func (db *DB) Queued() int { return len(db.writer.queue) }
