package persistence

import (
	"context"
	"time"

	"kith/actors/user"
)

// Identity is what stays known of everybody who ever registered.
type Identity struct {
	UID       user.UID
	Username  string
	CreatedAt time.Time
	Gone      bool // the account was deleted
}

// Roster finds users by id whether or not they are still there.
type Roster interface {
	// Identities returns the identities of ids, in their order, also of deleted
	// users; nil where nobody ever registered.
	Identities(ctx context.Context, ids []user.ID) ([]*Identity, error)
	// AccountsAfter returns up to limit rows with ids above after, ascending.
	AccountsAfter(ctx context.Context, after user.ID, limit int) ([]*user.Account, error)
}
