package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

// PutSeverings implements persistence.Lanes.
func (db *DB) PutSeverings(ctx context.Context, n persistence.Node, severings []persistence.Severing) error {
	// One row a job: a statement does not write a row twice.
	jobs := make(map[user.ID]persistence.Severing, len(severings))
	for _, s := range severings {
		if before, ok := jobs[s.User]; ok {
			before.Cursor = max(before.Cursor, s.Cursor)
			s = before
		}
		jobs[s.User] = s
	}
	var ids, positions, cursors []int64
	for _, s := range jobs {
		ids, positions, cursors = append(ids, int64(s.User)), append(positions, int64(s.Pos)), append(cursors, clamp(s.Cursor)) //nolint:gosec // ids and positions fit
	}
	return db.fenced(ctx, "put severings", n, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO severings (user_id, pos, cursor) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
			ON CONFLICT (user_id) DO UPDATE SET cursor = excluded.cursor WHERE excluded.cursor > severings.cursor`, ids, positions, cursors)
		return err //nolint:wrapcheck // wrapped by fenced
	})
}

// closeStep bounds the rows of one transaction of CloseSevering, so that a user
// with a million followers holds up nobody.
const closeStep = 2000

// CloseSevering implements persistence.Lanes. It removes the rows in steps and
// the job last: cut short, the job is still there and does the rest. The user has
// no row any more, so nobody else writes these.
func (db *DB) CloseSevering(ctx context.Context, n persistence.Node, id user.ID) error {
	for _, list := range lists() {
		for more := true; more; {
			err := db.fenced(ctx, "remove edges of a deleted user", n, func(tx pgx.Tx) error {
				// By ctid: by keys, a step could look at all that is left of the list.
				tag, err := tx.Exec(ctx, `DELETE FROM `+list+` WHERE ctid = ANY (ARRAY(SELECT ctid FROM `+list+` WHERE user_id = $1 LIMIT $2 FOR UPDATE))`, id, closeStep)
				more = tag.RowsAffected() == closeStep
				return err //nolint:wrapcheck // wrapped by fenced
			})
			if err != nil {
				return err
			}
		}
	}
	return db.fenced(ctx, "close a severing", n, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM severings WHERE user_id = $1`, id)
		return err //nolint:wrapcheck // wrapped by fenced
	})
}

// Severings implements persistence.Lanes.
func (db *DB) Severings(ctx context.Context) ([]persistence.Severing, error) {
	severings, err := readSeverings(ctx, db.writes)
	if err != nil {
		return nil, fmt.Errorf("postgres: read the severings: %w", fault(err))
	}
	return severings, nil
}

func readSeverings(ctx context.Context, q querier) ([]persistence.Severing, error) {
	rows, err := q.Query(ctx, `SELECT user_id, pos, cursor FROM severings ORDER BY user_id`)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the operation
	}
	var (
		severings []persistence.Severing
		s         persistence.Severing
	)
	_, err = pgx.ForEachRow(rows, []any{(*uint64)(&s.User), &s.Pos, &s.Cursor}, func() error {
		severings = append(severings, s)
		return nil
	})
	return severings, err //nolint:wrapcheck // wrapped by the operation
}

// selectNeighbours merges the two lists, each from its primary key.
const selectNeighbours = `(SELECT id FROM following WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3)
	UNION (SELECT id FROM followers WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3) ORDER BY id LIMIT $3`

// Neighbours implements persistence.Lanes.
func (db *DB) Neighbours(ctx context.Context, id user.ID, after uint64, limit int) ([]user.ID, error) {
	var neighbours []user.ID
	rows, err := db.reads.Query(ctx, selectNeighbours, id, clamp(after), limit)
	if err == nil {
		var other uint64
		_, err = pgx.ForEachRow(rows, []any{&other}, func() error {
			neighbours = append(neighbours, user.ID(other))
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: neighbours of user %d: %w", id, fault(err))
	}
	return neighbours, nil
}
