package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"

	"kith/persistence"
)

// nameBefore returns the name in the user's row before the turn, and "" when
// there is no row or the turn leaves the name alone. It is read before the row is
// written, and belongs to the turn if the version does.
func nameBefore(ctx context.Context, t *tx, turn *persistence.Turn) (name string, err error) {
	if turn.Version == 0 || !changesName(turn) {
		return "", nil
	}
	err = t.query(ctx, `SELECT name FROM users WHERE id = ?`, func(row []driver.Value) error {
		name = text(row[0])
		return nil
	}, int64(turn.User)) //nolint:gosec // ids fit
	if err != nil {
		return "", fmt.Errorf("read the name: %w", err)
	}
	return name, nil
}

// changesName reports whether the turn can change under what name a user is found.
func changesName(turn *persistence.Turn) bool {
	return turn.Version == 0 || turn.Deleted || slices.ContainsFunc(turn.Records, func(r persistence.Record) bool {
		return r.Kind == persistence.KindProfileUpdated
	})
}

const (
	insertPrefix = `INSERT INTO name_prefixes (prefix, username) VALUES (?, ?) ON CONFLICT DO NOTHING`
	deletePrefix = `DELETE FROM name_prefixes WHERE prefix = ? AND username = ?`
)

// writePrefixes makes the rows by which a user is found those of the name after
// the turn; before is what nameBefore returned.
func writePrefixes(ctx context.Context, t *tx, turn *persistence.Turn, before string) error {
	if !changesName(turn) {
		return nil
	}
	after := ""
	if !turn.Deleted {
		after = turn.Account.Name
	}
	if before == after {
		return nil
	}
	old, now := persistence.SearchPrefixes(before), persistence.SearchPrefixes(after)
	for _, change := range []struct {
		sql        string
		these, not []string
	}{{deletePrefix, old, now}, {insertPrefix, now, old}} {
		for _, prefix := range change.these {
			if _, stays := slices.BinarySearch(change.not, prefix); stays {
				continue
			}
			if _, err := t.exec(ctx, change.sql, prefix, turn.Account.Username); err != nil {
				return fmt.Errorf("write the search prefixes: %w", err)
			}
		}
	}
	return nil
}
