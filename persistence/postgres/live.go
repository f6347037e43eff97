package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

// liveChunk is how many ids LiveIDs reads and hands on at once.
const liveChunk = 8192

const selectLiveIDs = `SELECT u.id FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2`

// LiveIDs implements persistence.LiveUsers, page by page of the primary key: so the
// server never waits in the middle of an answer, however long each takes.
func (db *DB) LiveIDs(ctx context.Context, each func(ids []user.ID) error) (heads [persistence.LaneCount]uint64, err error) {
	err = db.snapshot(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, patient); err != nil {
			return fmt.Errorf("set what a long read needs: %w", err)
		}
		var err error
		if heads, err = readHeads(ctx, tx); err != nil {
			return fmt.Errorf("read the heads: %w", err)
		}
		chunk := make([]user.ID, 0, liveChunk)
		for last := int64(0); ; {
			rows, err := tx.Query(ctx, selectLiveIDs, last, liveChunk)
			if err != nil {
				return err //nolint:wrapcheck // wrapped below
			}
			chunk = chunk[:0]
			for rows.Next() {
				last = rawInt(rows.RawValues()[0])
				chunk = append(chunk, user.ID(last)) //nolint:gosec // an id
			}
			if rows.Close(); rows.Err() != nil || len(chunk) == 0 {
				return rows.Err() //nolint:wrapcheck // wrapped below
			}
			if err := each(chunk); err != nil || len(chunk) < liveChunk {
				return err
			}
		}
	})
	if err != nil {
		return heads, fmt.Errorf("postgres: read the live ids: %w", err)
	}
	return heads, nil
}

// patient lets a transaction take its time, as one must that goes through
// everything: between its statements, in them, and while it sends what they find.
// It scans and joins as is best for that.
const patient = `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '10min', true),
	set_config('tcp_user_timeout', '1min', true), set_config('enable_seqscan', 'on', true),
	set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true), set_config('max_parallel_workers_per_gather', '2', true)`
