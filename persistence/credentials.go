package persistence

import (
	"context"
	"time"

	"kith/actors/user"
)

// Session is a login. Its refresh token is kept as a hash.
type Session struct {
	ID          [16]byte
	User        user.ID
	RefreshHash [32]byte // SHA-256 of the refresh token
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// Credentials keeps what proves who somebody is. Rows of a user go with the
// user, in the transaction of the deletion.
type Credentials interface {
	// PasswordHash returns the stored hash of a user's password, or ErrNotFound.
	PasswordHash(ctx context.Context, id user.ID) (string, error)
	// CreateSession stores a session of a user whose row exists, else ErrNotFound.
	CreateSession(ctx context.Context, s Session) error
}
