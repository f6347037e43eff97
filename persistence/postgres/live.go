package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

// liveChunk is how many ids LiveIDs hands on at once.
const liveChunk = 1024

// selectLiveIDs goes through the primary key.
const selectLiveIDs = `SELECT u.id FROM users u`

// LiveIDs implements persistence.LiveUsers.
func (db *DB) LiveIDs(ctx context.Context, each func(ids []user.ID) error) (heads [persistence.LaneCount]uint64, err error) {
	err = db.snapshot(ctx, func(tx pgx.Tx) error {
		if err := unbounded(ctx, tx); err != nil {
			return err
		}
		var err error
		if heads, err = readHeads(ctx, tx); err != nil {
			return fmt.Errorf("read the heads: %w", err)
		}
		rows, err := tx.Query(ctx, selectLiveIDs)
		if err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		defer rows.Close()
		chunk := make([]user.ID, 0, liveChunk)
		for rows.Next() {
			if chunk = append(chunk, user.ID(rawInt(rows.RawValues()[0]))); len(chunk) < cap(chunk) { //nolint:gosec // an id
				continue
			}
			if err := each(chunk); err != nil {
				return err
			}
			chunk = chunk[:0]
		}
		if err := rows.Err(); err != nil || len(chunk) == 0 {
			return err //nolint:wrapcheck // wrapped below
		}
		return each(chunk)
	})
	if err != nil {
		return heads, fmt.Errorf("postgres: read the live ids: %w", err)
	}
	return heads, nil
}

// unbounded lets a transaction that goes through everything take its time, and
// scan and join as is best for that.
func unbounded(ctx context.Context, tx pgx.Tx) error {
	for _, setting := range [...]string{"statement_timeout = 0", "enable_seqscan = on", "enable_hashjoin = on", "enable_mergejoin = on"} {
		if _, err := tx.Exec(ctx, "SET LOCAL "+setting); err != nil {
			return fmt.Errorf("set %s: %w", setting, err)
		}
	}
	return nil
}
