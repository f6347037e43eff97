package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"

	"kith/persistence"
)

// createPrefixes makes the table by which names are searched: for each beginning
// of each word of a name, the username. A search is one range of its key, in the
// order of its pages.
const createPrefixes = `CREATE TABLE name_prefixes (
	prefix   TEXT NOT NULL,
	username TEXT NOT NULL,
	PRIMARY KEY (prefix, username)
) STRICT, WITHOUT ROWID`

// searchMigration is the migration to version 3. It is in Go since SQL knows too
// little of letters to fill the table for the users who are there.
func searchMigration() *goose.Migration {
	return goose.NewGoMigration(3, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, createPrefixes); err != nil {
			return fmt.Errorf("create the search prefixes: %w", err)
		}
		for after, n := int64(0), fillPage; n == fillPage; {
			var err error
			if after, n, err = fillPrefixes(ctx, tx, after); err != nil {
				return fmt.Errorf("fill the search prefixes: %w", err)
			}
		}
		return nil
	}}, nil)
}

const fillPage = 500

// fillPrefixes writes the rows of a page of users and returns the last of them
// and how many they were.
func fillPrefixes(ctx context.Context, tx *sql.Tx, after int64) (last int64, n int, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, username, name FROM users WHERE id > ? ORDER BY id LIMIT +?`, after, fillPage)
	if err != nil {
		return 0, 0, err //nolint:wrapcheck // the caller does
	}
	type names struct{ username, name string }
	var page []names
	for rows.Next() {
		var u names
		if err := rows.Scan(&last, &u.username, &u.name); err != nil {
			return 0, 0, errors.Join(err, rows.Close())
		}
		page = append(page, u)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, 0, err
	}
	insert, err := tx.PrepareContext(ctx, insertPrefix)
	if err != nil {
		return 0, 0, err //nolint:wrapcheck // the caller does
	}
	for _, u := range page {
		for _, prefix := range persistence.SearchPrefixes(u.name) {
			if _, err := insert.ExecContext(ctx, prefix, u.username); err != nil {
				return 0, 0, errors.Join(err, insert.Close())
			}
		}
	}
	return last, len(page), insert.Close() //nolint:wrapcheck // the caller does
}
