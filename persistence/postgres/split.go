package postgres

import (
	"context"
	"errors"
	"fmt"

	"kith/persistence"
)

// split writes turns of which at least one breaks a constraint: in one
// transaction, in halves, and the halves that fail in halves again, until the turn
// that does it stands alone. That turn is refused as stale; the others are
// written, in their order. Rows that should not be there hold up nobody else.
func (w *writing) split(ctx context.Context, turns []*persistence.Turn, marks []persistence.Mark) error {
	w.db.metrics.splits.Inc()
	heads := w.heads
	err := w.db.committer.begun(ctx, func() error {
		w.heads = heads
		clear(w.taken)
		if err := w.halves(ctx, turns); err != nil {
			return err
		}
		return w.statement(ctx, nil, marks)
	})
	if err != nil {
		return fmt.Errorf("in parts: %w", err)
	}
	return nil
}

func (w *writing) halves(ctx context.Context, turns []*persistence.Turn) error {
	half := len(turns) / 2
	for _, part := range [...][]*persistence.Turn{turns[:half], turns[half:]} {
		if len(part) == 0 {
			continue
		}
		if err := w.attempt(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// attempt writes turns, and when that breaks a constraint undoes it and goes on
// with their halves.
func (w *writing) attempt(ctx context.Context, turns []*persistence.Turn) error {
	conn := w.db.committer.conn
	if _, err := conn.Exec(ctx, "SAVEPOINT part"); err != nil {
		return fmt.Errorf("set a savepoint: %w", err)
	}
	err := w.statement(ctx, turns, nil)
	switch {
	case err == nil:
		w.advance(turns)
		if _, err := conn.Exec(ctx, "RELEASE part"); err != nil {
			return fmt.Errorf("release a savepoint: %w", err)
		}
		return nil
	case !broken(err):
		return err
	}
	if _, e := conn.Exec(ctx, "ROLLBACK TO part"); e != nil {
		return errors.Join(err, e)
	}
	if len(turns) > 1 {
		return w.halves(ctx, turns)
	}
	w.db.cfg.Logger.Error("a turn met rows that should not be there; it was refused as stale",
		"user_id", turns[0].User, "version", turns[0].Version, "error", err)
	return nil
}

// advance moves the heads over what was written.
func (w *writing) advance(turns []*persistence.Turn) {
	for _, t := range turns {
		if w.taken[w.users[uint64(t.User)]] {
			w.heads[persistence.LaneOf(t.User)] += uint64(len(t.Records))
		}
	}
}
