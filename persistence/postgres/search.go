package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kith/persistence"
)

// The bounds of usernames, which are made of a to z, digits and underscores:
// nothing that begins with q is above q + afterAll, nor is anything above it.
const afterAll = "{"

const (
	// searchUsernames reads a range of the index users_username. The bounds are
	// twice the same, save at the start, where the first belongs to the range.
	searchUsernames = `SELECT u.id, u.username FROM users u WHERE u.username >= $1 AND u.username > $2 AND u.username < $3 ORDER BY u.username LIMIT $4`
	// searchNames reads a range of the primary key of name_prefixes, and looks up the
	// user of each: LIMIT keeps it from merging that with all users.
	searchNames = `SELECT u.id, p.username FROM name_prefixes p CROSS JOIN LATERAL (SELECT u.id FROM users u WHERE u.username = p.username LIMIT 1) u
		WHERE p.prefix = $1 AND p.username > $2 AND p.username < $3 ORDER BY p.username LIMIT $4`
)

// Search implements persistence.Search. Those found by their username are a range
// of usernames; so those found by name alone are what lies before it and what
// lies after it. All that may be needed is asked for in one round trip, and sees
// one state.
func (db *DB) Search(ctx context.Context, q persistence.SearchQuery, after persistence.SearchCursor, limit int) ([]persistence.SearchHit, error) {
	if !storable(q.Username) || !storable(q.Word) {
		return nil, nil // nobody's name begins so
	}
	var (
		hits []persistence.SearchHit
		b    pgx.Batch
	)
	b.Queue(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
	find := func(byName bool, sql string, args ...any) {
		b.Queue(sql, append(args, limit)...).Query(func(rows pgx.Rows) error {
			hit := persistence.SearchHit{At: persistence.SearchCursor{ByName: byName}}
			_, err := pgx.ForEachRow(rows, []any{(*uint64)(&hit.ID), &hit.At.Username}, func() error {
				if len(hits) < limit {
					hits = append(hits, hit)
				}
				return nil
			})
			return err //nolint:wrapcheck // wrapped below
		})
	}
	first, last := q.Username, q.Username+afterAll
	if !after.ByName && q.Username != "" {
		find(false, searchUsernames, max(first, after.Username), after.Username, last)
	}
	if !after.ByName {
		after.Username = ""
	}
	switch {
	case q.Word == "":
	case q.Username == "":
		find(true, searchNames, q.Word, after.Username, afterAll)
	default:
		if after.Username < first {
			find(true, searchNames, q.Word, after.Username, first)
		}
		find(true, searchNames, q.Word, max(last, after.Username), afterAll)
	}
	b.Queue(`COMMIT`)
	if err := db.reads.SendBatch(ctx, &b).Close(); err != nil { // without the query, which may be personal
		return nil, fmt.Errorf("postgres: search: %w", fault(err))
	}
	return hits, nil
}
