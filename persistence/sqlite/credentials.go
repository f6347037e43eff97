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

// CreateSession implements persistence.Credentials.
func (db *DB) CreateSession(ctx context.Context, s persistence.Session) error {
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.exec(ctx, `INSERT INTO sessions (id, user_id, refresh_hash, created_at, expires_at)
			SELECT ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM users WHERE id = ?)`,
			s.ID[:], int64(s.User), s.RefreshHash[:], s.CreatedAt.UnixMicro(), s.ExpiresAt.UnixMicro(), int64(s.User)) //nolint:gosec // ids fit
		if err == nil && n == 0 {
			err = persistence.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlite: create a session of user %d: %w", s.User, err)
	}
	return nil
}
