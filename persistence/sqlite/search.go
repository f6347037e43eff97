package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

var _ persistence.Search = (*DB)(nil)

// The bounds of usernames, which are made of a to z, digits and underscores:
// nothing that begins with q is above q + afterAll, nor is anything above it.
const afterAll = "{"

const (
	// searchUsernames reads a range of the index users_username. The bounds are
	// twice the same, save at the start, where the first belongs to the range.
	searchUsernames = `SELECT id, username FROM users WHERE username >= ? AND username > ? AND username < ? ORDER BY username LIMIT +?`
	// searchNames reads a range of the primary key of name_prefixes.
	searchNames = `SELECT u.id, p.username FROM name_prefixes p CROSS JOIN users u ON u.username = p.username
		WHERE p.prefix = ? AND p.username > ? AND p.username < ? ORDER BY p.username LIMIT +?`
)

// Search implements persistence.Search. Those found by their username are a range
// of usernames; so those found by name alone are what lies before it and what
// lies after it.
func (db *DB) Search(ctx context.Context, q persistence.SearchQuery, after persistence.SearchCursor, limit int) ([]persistence.SearchHit, error) {
	var hits []persistence.SearchHit
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		find := func(byName bool, sql string, args ...driver.Value) error {
			if len(hits) >= limit {
				return nil
			}
			return c.query(ctx, sql, func(row []driver.Value) error {
				hits = append(hits, persistence.SearchHit{ID: user.ID(number(row[0])), At: persistence.SearchCursor{ByName: byName, Username: text(row[1])}})
				return nil
			}, append(args, int64(limit-len(hits)))...)
		}
		return c.read(ctx, func() error {
			first, last := q.Username, q.Username+afterAll
			if !after.ByName && q.Username != "" {
				if err := find(false, searchUsernames, max(first, after.Username), after.Username, last); err != nil {
					return err
				}
			}
			if q.Word == "" {
				return nil
			}
			if !after.ByName {
				after.Username = ""
			}
			if q.Username == "" {
				return find(true, searchNames, q.Word, after.Username, afterAll)
			}
			if after.Username < first {
				if err := find(true, searchNames, q.Word, after.Username, first); err != nil {
					return err
				}
			}
			return find(true, searchNames, q.Word, max(last, after.Username), afterAll)
		})
	})
	if err != nil { // without the query, which may be personal
		return nil, fmt.Errorf("sqlite: search: %w", err)
	}
	return hits, nil
}
