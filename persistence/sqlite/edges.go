package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"

	"kith/actors/user"
	"kith/persistence"
)

// The lists, newest first, each from its index on (user_id, seq).
const (
	listFollowing = `SELECT f.id, f.seq, f.at FROM following f WHERE f.user_id = ? AND f.seq < ?
		AND EXISTS (SELECT 1 FROM users u WHERE u.id = f.id) ORDER BY f.seq DESC LIMIT +?`
	listFollowers = `SELECT f.id, f.seq, f.at FROM followers f WHERE f.user_id = ? AND f.seq < ?
		AND EXISTS (SELECT 1 FROM users u WHERE u.id = f.id) ORDER BY f.seq DESC LIMIT +?`
	listCrew    = `SELECT f.id, f.seq, f.at FROM followed_crew f WHERE f.user_id = ? AND f.seq < ? ORDER BY f.seq DESC LIMIT +?`
	listStudios = `SELECT f.id, f.seq, f.at FROM followed_studios f WHERE f.user_id = ? AND f.seq < ? ORDER BY f.seq DESC LIMIT +?`
)

// List implements persistence.Edges.
func (db *DB) List(ctx context.Context, kind persistence.EdgeKind, id user.ID, after uint64, limit int) ([]persistence.Edge, error) {
	var sql string
	switch kind {
	case persistence.EdgeFollowing:
		sql = listFollowing
	case persistence.EdgeFollowers:
		sql = listFollowers
	case persistence.EdgeCrew:
		sql = listCrew
	case persistence.EdgeStudios:
		sql = listStudios
	default:
		return nil, fmt.Errorf("sqlite: list edges of user %d: no list of kind %d", id, kind)
	}
	below := int64(math.MaxInt64)
	if after > 0 {
		below = clamp(after)
	}
	var edges []persistence.Edge
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.query(ctx, sql, func(row []driver.Value) error {
			edges = append(edges, persistence.Edge{ID: number(row[0]), Seq: number(row[1]), At: moment(row[2])})
			return nil
		}, int64(id), below, int64(limit)) //nolint:gosec // ids fit
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: list edges of user %d: %w", id, err)
	}
	return edges, nil
}

const selectRelations = `SELECT e.key,
	EXISTS (SELECT 1 FROM following f WHERE f.user_id = ? AND f.id = e.value),
	EXISTS (SELECT 1 FROM followers f WHERE f.user_id = ? AND f.id = e.value)
	FROM json_each(?) e`

// Relations implements persistence.Edges.
func (db *DB) Relations(ctx context.Context, id user.ID, others []user.ID) ([]persistence.Relation, error) {
	relations := make([]persistence.Relation, len(others))
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.query(ctx, selectRelations, func(row []driver.Value) error {
			relations[integer(row[0])] = persistence.Relation{Following: integer(row[1]) != 0, FollowedBy: integer(row[2]) != 0}
			return nil
		}, int64(id), int64(id), ints(others)) //nolint:gosec // ids fit
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: relations of user %d to %d others: %w", id, len(others), err)
	}
	return relations, nil
}
