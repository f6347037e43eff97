package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

// PasswordHash implements persistence.Credentials.
func (db *DB) PasswordHash(ctx context.Context, id user.ID) (string, error) {
	hash, found := "", false
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.query(ctx, `SELECT password_hash FROM credentials WHERE user_id = ?`, func(row []driver.Value) error {
			hash, found = text(row[0]), true
			return nil
		}, int64(id)) //nolint:gosec // ids fit
	})
	if err == nil && !found {
		err = persistence.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("sqlite: password hash of user %d: %w", id, err)
	}
	return hash, nil
}
