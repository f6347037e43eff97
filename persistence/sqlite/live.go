package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

var _ persistence.LiveUsers = (*DB)(nil)

// liveChunk is how many ids LiveIDs hands on at once.
const liveChunk = 1024

// selectLiveIDs goes through the smallest index that has all ids.
const selectLiveIDs = `SELECT id FROM users`

// LiveIDs implements persistence.LiveUsers. While it reads, the log is not emptied.
func (db *DB) LiveIDs(ctx context.Context, each func(ids []user.ID) error) (heads [persistence.LaneCount]uint64, err error) {
	err = db.readers.with(ctx, func(c *conn) error {
		// The transaction begins and ends whether or not ctx has ended.
		return c.read(context.WithoutCancel(ctx), func() (err error) {
			if heads, err = readHeads(ctx, c); err != nil {
				return err
			}
			chunk := make([]user.ID, 0, liveChunk)
			err = c.query(ctx, selectLiveIDs, func(row []driver.Value) error {
				if chunk = append(chunk, user.ID(number(row[0]))); len(chunk) < cap(chunk) {
					return nil
				}
				defer func() { chunk = chunk[:0] }()
				return each(chunk)
			})
			if err != nil || len(chunk) == 0 {
				return err
			}
			return each(chunk)
		})
	})
	if err != nil {
		return heads, fmt.Errorf("sqlite: read the live ids: %w", err)
	}
	return heads, nil
}
