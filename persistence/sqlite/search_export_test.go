package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// SearchStatements are the statements of a search and of its rows.
func SearchStatements() map[string]string {
	return map[string]string{
		"usernames": searchUsernames,
		"names":     searchNames,
		"remove":    deletePrefix,
	}
}

// LiveStatement reads who exists.
const LiveStatement = selectLiveIDs

// AtVersion makes a database at path with the tables of that version, and calls
// fill with it.
func AtVersion(ctx context.Context, path string, version int64, fill func(*sql.DB) error) error {
	db, err := openSQL(path, defaultBusy, "journal_mode(WAL)")
	if err != nil {
		return err
	}
	p, err := provider(db)
	if err == nil {
		_, err = p.UpTo(ctx, version)
	}
	if err == nil {
		err = fill(db)
	}
	return errors.Join(err, db.Close())
}
