package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"kith/actors/user"
	"kith/persistence"
)

// Commit implements persistence.Journal. Besides Lane and Pos it sets, in
// committed turns, Kind and Payload of a record that the same turn erased to
// what is stored. Batches are carried one after another.
func (db *DB) Commit(ctx context.Context, b persistence.Batch) ([]persistence.Outcome, error) {
	users, err := check(b.Turns)
	if err != nil {
		return nil, fmt.Errorf("postgres: commit: %w: %w", persistence.ErrNotCommitted, err)
	}
	if err := db.committer.take(ctx); err != nil {
		return nil, fmt.Errorf("postgres: commit %d turns: %w", len(b.Turns), err)
	}
	defer db.committer.release()
	outcomes, err := db.commit(ctx, b, users)
	if err != nil {
		db.committer.doubt(ctx, err)
		return nil, fmt.Errorf("postgres: commit %d turns: %w", len(b.Turns), db.wrote(err))
	}
	return outcomes, nil
}

// check refuses what no caller may ask for, before anything is written.
func check(turns []*persistence.Turn) (mates, error) {
	users := make(mates, len(turns))
	for i, t := range turns {
		if len(t.Records) == 0 {
			return nil, fmt.Errorf("turn of user %d at version %d: no records", t.User, t.Version)
		}
		for i := range t.Records {
			if r := &t.Records[i]; r.User != t.User || r.Seq != t.Version+1+uint64(i) {
				return nil, fmt.Errorf("turn of user %d at version %d: record %d is of user %d at %d", t.User, t.Version, i, r.User, r.Seq)
			}
		}
		if t.Account.ID != t.User || t.Account.Version != t.Version+uint64(len(t.Records)) {
			return nil, fmt.Errorf("turn of user %d at version %d: its row is of user %d at version %d", t.User, t.Version, t.Account.ID, t.Account.Version)
		}
		if _, twice := users[uint64(t.User)]; twice {
			return nil, fmt.Errorf("turn of user %d at version %d: the batch has another of that user", t.User, t.Version)
		}
		users[uint64(t.User)] = i
	}
	return users, nil
}

func (db *DB) commit(ctx context.Context, b persistence.Batch, users mates) ([]persistence.Outcome, error) {
	c := db.committer
	failed := func(stage string, err error) error {
		db.metrics.failures.WithLabelValues(stage).Inc()
		return err
	}
	if err := c.open(ctx); err != nil {
		return nil, failed("connect", notCommitted(err))
	}
	if err := c.learn(ctx); err != nil {
		return nil, failed("heads", notCommitted(err))
	}
	names, err := namesBefore(ctx, c.conn, b.Turns)
	if err != nil {
		return nil, failed("names", notCommitted(err))
	}
	// A turn that contradicts itself is refused without asking.
	turns := b.Turns
	if slices.ContainsFunc(turns, contradicts) {
		turns = slices.DeleteFunc(slices.Clone(turns), contradicts)
	}
	w := &writing{db: db, node: b.Node, names: names, heads: c.heads, users: users, taken: make([]bool, len(b.Turns))}
	err = w.batch(ctx, turns, b.Marks)
	switch {
	case err == nil:
	case errors.Is(err, persistence.ErrFenced):
		return nil, failed("fenced", notCommitted(err))
	case certain(err):
		return nil, failed("refused", notCommitted(err))
	default:
		return nil, failed("unknown", err)
	}
	for i, t := range b.Turns {
		if w.taken[i] {
			settle(t, &c.heads)
		}
	}
	return db.outcomes(ctx, b.Turns, w.taken), nil
}

// settle tells the records of a committed turn where they are, and what they are,
// and moves the head of their lane: the statement numbered them in this order.
func settle(t *persistence.Turn, h *heads) {
	lane := persistence.LaneOf(t.User)
	for i := range t.Records {
		r := &t.Records[i]
		h[lane]++
		r.Lane, r.Pos = lane, h[lane]
		if erasedAtOnce(t, r) {
			r.Kind, r.Payload = persistence.KindActivityErased, nil
		}
	}
}

// writing is a batch on its way.
type writing struct {
	db    *DB
	node  persistence.Node
	names map[user.ID]versionedName
	heads heads // as far as it was written
	users mates
	taken []bool // by the place of the turn in the batch
}

// batch writes turns and marks in one statement, or, when a turn breaks a
// constraint, in parts.
func (w *writing) batch(ctx context.Context, turns []*persistence.Turn, marks []persistence.Mark) error {
	if len(turns) == 0 && len(marks) == 0 {
		return w.confirm(ctx)
	}
	err := w.statement(ctx, turns, marks)
	if len(turns) > 0 && broken(err) {
		return w.split(ctx, turns, marks)
	}
	return err
}

// confirm finds out whether the fence holds, where there is nothing to write.
func (w *writing) confirm(ctx context.Context) error { return w.statement(ctx, nil, nil) }

// statement writes turns and marks in one statement.
func (w *writing) statement(ctx context.Context, turns []*persistence.Turn, marks []persistence.Mark) error {
	c := w.db.committer
	if err := w.db.fill(&c.batch, w.node, turns, marks, &w.heads, w.names); err != nil {
		return notCommitted(err)
	}
	result, err := c.write(ctx)
	switch {
	case err != nil:
		return err
	case !result.current:
		return fencedError(w.node)
	}
	w.users.mark(result.ids, w.taken)
	return nil
}

// broken reports whether a statement failed since rows are not as a turn believes,
// or a value cannot be stored. A position that was given before is no such thing:
// then the heads are wrong, and with them the whole batch.
func broken(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.ConstraintName != "journal_pkey" && (class(e) == classConstraint || class(e) == classData)
}
