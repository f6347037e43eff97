package postgres

import (
	"context"
	"fmt"

	"kith/actors/user"
)

const selectPassword = `SELECT c.password_hash FROM credentials c WHERE c.user_id = $1`

// PasswordHash implements persistence.Credentials.
func (db *DB) PasswordHash(ctx context.Context, id user.ID) (string, error) {
	var hash string
	if err := db.reads.QueryRow(ctx, selectPassword, int64(id)).Scan(&hash); err != nil { //nolint:gosec // ids fit
		return "", fmt.Errorf("postgres: password hash of user %d: %w", id, fault(missing(err)))
	}
	return hash, nil
}
