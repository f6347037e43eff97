package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
	"kith/test/services"
)

// TestNothingIsCommittedBehindATakeover has two nodes, each with its own
// connections, take the lanes from each other while both commit as long as they
// are let. What a node commits under an epoch is below the heads that the next
// owner saw when it took over.
func TestNothingIsCommittedBehindATakeover(t *testing.T) {
	t.Parallel()
	const takeovers, users = 60, 64
	url := services.Database(t)
	nodes := [2]*postgres.DB{openAt(t, postgres.Config{URL: url}), openAt(t, postgres.Config{URL: url})}
	ids := make([]user.ID, users)
	for i := range ids {
		ids[i] = user.ID(i + 1)
	}
	owner, err := nodes[0].Acquire(t.Context(), "0", 0)
	if err != nil {
		t.Fatal(err)
	}
	register(t, nodes[0], owner, ids...)

	// Each owner commits until it is fenced; its last acknowledged positions are
	// compared with what the next one saw.
	type reign struct {
		acknowledged [persistence.LaneCount]uint64
		batches      int
		err          error
	}
	rule := func(db *postgres.DB, node persistence.Node, began chan<- struct{}) (r reign) {
		ctx := context.WithoutCancel(t.Context())
		histories, err := db.Load(ctx, ids)
		if err != nil {
			return reign{err: err}
		}
		rows := make([]user.Account, users)
		for i, h := range histories {
			rows[i] = someone(ids[i])
			rows[i].Version = h.Version
			if h.Err != nil {
				return reign{err: h.Err}
			}
		}
		for {
			turns := make([]*persistence.Turn, users)
			for i := range rows {
				turns[i] = next(&rows[i], persistence.KindFollowed)
			}
			outcomes, err := db.Commit(ctx, persistence.Batch{Node: node, Turns: turns})
			if r.batches++; r.batches == 2 || err != nil && r.batches < 2 {
				close(began)
			}
			if errors.Is(err, persistence.ErrFenced) && errors.Is(err, persistence.ErrNotCommitted) {
				return r
			}
			if err != nil {
				r.err = err
				return r
			}
			for i, o := range outcomes {
				if o.Status != persistence.Committed {
					r.err = errors.New("a turn of the owner was refused")
					return r
				}
				last := turns[i].Records[0]
				r.acknowledged[last.Lane] = max(r.acknowledged[last.Lane], last.Pos)
			}
		}
	}
	for n := range takeovers {
		db, other := nodes[n%2], nodes[(n+1)%2]
		began, ended := make(chan struct{}), make(chan reign, 1)
		go func() { ended <- rule(db, owner, began) }()
		<-began
		next, err := other.Acquire(t.Context(), string(rune('0'+(n+1)%2)), 0)
		if err != nil {
			t.Fatal(err)
		}
		heads, err := other.Heads(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := <-ended
		if r.err != nil {
			t.Fatal(r.err)
		}
		for lane, pos := range r.acknowledged {
			if pos > 0 && pos != heads[lane] {
				t.Fatalf("takeover %d: position %d of lane %d was acknowledged, the next owner saw %d", n, pos, lane, heads[lane])
			}
		}
		owner = next
	}
	for n := range uint8(persistence.LaneCount) {
		lane(t, nodes[0], n)
	}
	if err := nodes[takeovers%2].Renew(t.Context(), owner, time.Hour); err != nil {
		t.Fatal(err)
	}
	// A lease that holds is respected.
	_, err = nodes[(takeovers+1)%2].Acquire(t.Context(), "another", time.Hour)
	wantError(t, err, persistence.ErrLeased)
}

func TestARenewalDoesNotWaitForABatch(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	row := register(t, db, node, 1)[0]
	c := dial(t, url)
	exec(t, c, `BEGIN`)
	exec(t, c, `SELECT 1 FROM users WHERE id = 1 FOR UPDATE`)
	done := make(chan error)
	turn := next(&row, persistence.KindFollowed)
	go func() {
		_, err := commit(t, db, node, turn)
		done <- err
	}()
	waitForLock(t, url)
	if err := db.Renew(t.Context(), node, time.Hour); err != nil {
		t.Error(err)
	}
	if _, err := db.Marks(t.Context(), persistence.TailEffects); err != nil {
		t.Error(err)
	}
	exec(t, c, `COMMIT`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestSlowReadsDoNotHoldUpCommits(t *testing.T) {
	t.Parallel()
	db := openAt(t, postgres.Config{URL: services.Database(t), PoolSize: 1})
	node := acquire(t, db)
	row := register(t, db, node, 1)[0]
	audit, err := db.Snapshot(t.Context()) // takes the only connection that reads
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, db, node, next(&row, persistence.KindProfileUpdated))
	if err := db.Renew(t.Context(), node, time.Hour); err != nil {
		t.Error(err)
	}
	if node, err = db.Raise(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Heads(t.Context()); err != nil {
		t.Error(err)
	}
	mustCommit(t, db, node, next(&row, persistence.KindFollowed))
	if err := audit.Close(); err != nil {
		t.Fatal(err)
	}
}
