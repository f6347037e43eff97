package postgres

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

// The lists, newest first, each from its index on (user_id, seq).
const (
	listFollowing = `SELECT f.id, f.seq, f.at FROM following f WHERE f.user_id = $1 AND f.seq < $2
		AND EXISTS (SELECT 1 FROM users u WHERE u.id = f.id) ORDER BY f.seq DESC LIMIT $3`
	listFollowers = `SELECT f.id, f.seq, f.at FROM followers f WHERE f.user_id = $1 AND f.seq < $2
		AND EXISTS (SELECT 1 FROM users u WHERE u.id = f.id) ORDER BY f.seq DESC LIMIT $3`
	listCrew    = `SELECT f.id, f.seq, f.at FROM followed_crew f WHERE f.user_id = $1 AND f.seq < $2 ORDER BY f.seq DESC LIMIT $3`
	listStudios = `SELECT f.id, f.seq, f.at FROM followed_studios f WHERE f.user_id = $1 AND f.seq < $2 ORDER BY f.seq DESC LIMIT $3`
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
		return nil, fmt.Errorf("postgres: list edges of user %d: no list of kind %d", id, kind)
	}
	below := int64(math.MaxInt64)
	if after > 0 {
		below = clamp(after)
	}
	var (
		edges []persistence.Edge
		e     persistence.Edge
		at    time.Time
	)
	rows, err := db.reads.Query(ctx, sql, int64(id), below, limit) //nolint:gosec // ids fit
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&e.ID, &e.Seq, &at}, func() error {
			e.At = at.UTC()
			edges = append(edges, e)
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: list edges of user %d: %w", id, fault(err))
	}
	return edges, nil
}

// selectRelations looks up each pair: EXISTS could be answered by reading all of a
// list, of which nobody knows beforehand how long it is.
const selectRelations = `SELECT x.n,
	(SELECT true FROM following f WHERE f.user_id = $1 AND f.id = x.id) IS NOT NULL,
	(SELECT true FROM followers f WHERE f.user_id = $1 AND f.id = x.id) IS NOT NULL
	FROM unnest($2::bigint[]) WITH ORDINALITY AS x (id, n)`

// Relations implements persistence.Edges.
func (db *DB) Relations(ctx context.Context, id user.ID, others []user.ID) ([]persistence.Relation, error) {
	relations := make([]persistence.Relation, len(others))
	if len(others) == 0 {
		return relations, nil
	}
	var (
		n int64
		r persistence.Relation
	)
	rows, err := db.reads.Query(ctx, selectRelations, int64(id), bigints(others)) //nolint:gosec // ids fit
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&n, &r.Following, &r.FollowedBy}, func() error {
			relations[n-1] = r
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: relations of user %d to %d others: %w", id, len(others), fault(err))
	}
	return relations, nil
}
