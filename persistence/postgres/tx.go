package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/persistence"
)

// snapshot runs f in a transaction that only reads, so that all its queries see
// one state.
func (db *DB) snapshot(ctx context.Context, f func(pgx.Tx) error) error {
	return fault(pgx.BeginTxFunc(ctx, db.reads, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, f))
}

// write runs f in a transaction (READ COMMITTED: each statement sees what was
// committed before it). An error matches persistence.ErrNotCommitted when it is
// certain that nothing of it was written.
func (db *DB) write(ctx context.Context, f func(pgx.Tx) error) error {
	return db.wrote(within(ctx, db.writes, f))
}

func within(ctx context.Context, pool *pgxpool.Pool, f func(pgx.Tx) error) error {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return notCommitted(fmt.Errorf("begin: %w", err))
	}
	if err := f(tx); err != nil {
		// When this fails, so does the connection, and the server undoes the rest.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_ = tx.Rollback(ctx)
		return notCommitted(err)
	}
	if err := tx.Commit(ctx); err != nil {
		if errors.Is(err, pgx.ErrTxCommitRollback) {
			return notCommitted(err)
		}
		return settled(fmt.Errorf("commit: %w", err))
	}
	return nil
}

// fenceRow locks the row of a node at its epoch until the transaction ends: a
// raise waits, a renewal does not (see the table).
const fenceRow = `SELECT 1 FROM nodes WHERE id = $1 AND epoch = $2 FOR KEY SHARE`

// fenced runs f in a transaction behind the fence of n: when n is not current
// nothing is written and the error matches persistence.ErrFenced.
func (db *DB) fenced(ctx context.Context, what string, n persistence.Node, f func(pgx.Tx) error) error {
	err := db.write(ctx, func(tx pgx.Tx) error {
		var one int
		err := tx.QueryRow(ctx, fenceRow, n.ID, n.Epoch).Scan(&one)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fencedError(n)
		case err != nil:
			return fmt.Errorf("read the epoch: %w", err)
		}
		return f(tx)
	})
	if err != nil {
		return fmt.Errorf("postgres: %s: %w", what, err)
	}
	return nil
}

func fencedError(n persistence.Node) error {
	return fmt.Errorf("node %s at epoch %d: %w", n.ID, n.Epoch, persistence.ErrFenced)
}
