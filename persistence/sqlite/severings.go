package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

// PutSeverings implements persistence.Lanes.
func (db *DB) PutSeverings(ctx context.Context, n persistence.Node, severings []persistence.Severing) error {
	return db.fenced(ctx, "put severings", n, func(ctx context.Context, t *tx) error {
		for _, s := range severings {
			if _, err := t.exec(ctx, `INSERT INTO severings (user_id, pos, cursor) VALUES (?, ?, ?)
				ON CONFLICT (user_id) DO UPDATE SET cursor = excluded.cursor WHERE excluded.cursor > cursor`,
				int64(s.User), int64(s.Pos), clamp(s.Cursor)); err != nil { //nolint:gosec // ids and positions fit
				return err
			}
		}
		return nil
	})
}

// closeStep bounds the rows of one transaction of CloseSevering, so that a user
// with a million followers holds up nobody.
const closeStep = 2000

// CloseSevering implements persistence.Lanes. It removes the rows in steps and
// the job last: cut short, the job is still there and does the rest.
func (db *DB) CloseSevering(ctx context.Context, n persistence.Node, id user.ID) error {
	for _, sql := range [...]string{
		`DELETE FROM following WHERE user_id = ? AND id IN (SELECT id FROM following WHERE user_id = ? LIMIT +?)`,
		`DELETE FROM followers WHERE user_id = ? AND id IN (SELECT id FROM followers WHERE user_id = ? LIMIT +?)`,
		`DELETE FROM followed_crew WHERE user_id = ? AND id IN (SELECT id FROM followed_crew WHERE user_id = ? LIMIT +?)`,
		`DELETE FROM followed_studios WHERE user_id = ? AND id IN (SELECT id FROM followed_studios WHERE user_id = ? LIMIT +?)`,
	} {
		for more := true; more; {
			err := db.fenced(ctx, "remove edges of a deleted user", n, func(ctx context.Context, t *tx) error {
				changed, err := t.exec(ctx, sql, int64(id), int64(id), int64(closeStep)) //nolint:gosec // ids fit
				more = changed == closeStep
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return db.fenced(ctx, "close a severing", n, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM severings WHERE user_id = ?`, int64(id)) //nolint:gosec // ids fit
		return err
	})
}

// Severings implements persistence.Lanes.
func (db *DB) Severings(ctx context.Context) ([]persistence.Severing, error) {
	var severings []persistence.Severing
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) (err error) {
		severings, err = readSeverings(ctx, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: read the severings: %w", err)
	}
	return severings, nil
}

func readSeverings(ctx context.Context, c *conn) ([]persistence.Severing, error) {
	var severings []persistence.Severing
	err := c.query(ctx, `SELECT user_id, pos, cursor FROM severings ORDER BY user_id`, func(row []driver.Value) error {
		severings = append(severings, persistence.Severing{User: user.ID(number(row[0])), Pos: number(row[1]), Cursor: number(row[2])})
		return nil
	})
	return severings, err
}

// selectNeighbours merges the two lists, each in the order of its primary key.
const selectNeighbours = `SELECT id FROM following WHERE user_id = ? AND id > ?
	UNION SELECT id FROM followers WHERE user_id = ? AND id > ? ORDER BY 1 LIMIT +?`

// Neighbours implements persistence.Lanes.
func (db *DB) Neighbours(ctx context.Context, id user.ID, after uint64, limit int) ([]user.ID, error) {
	var neighbours []user.ID
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.query(ctx, selectNeighbours, func(row []driver.Value) error {
			neighbours = append(neighbours, user.ID(number(row[0])))
			return nil
		}, int64(id), clamp(after), int64(id), clamp(after), int64(limit)) //nolint:gosec // ids fit
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: neighbours of user %d: %w", id, err)
	}
	return neighbours, nil
}
