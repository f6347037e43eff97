package persistence

import (
	"context"

	"kith/actors/user"
)

// CachedCard is a card with its encoding, or the tombstone of a deleted user.
type CachedCard struct {
	Card user.Card // ID and Version are set even when Deleted
	// JSON is the user object of the outside contract, encoded once.
	JSON    []byte
	Deleted bool
}

// Cards is a cache: anything may be missing, nothing found is older than what
// was last put. Callers fall back to Directory.
type Cards interface {
	// Get returns the cards of ids, in their order; nil where there is none.
	Get(ctx context.Context, ids []user.ID) ([]*CachedCard, error)
	// IDByUsername returns the id that last bore the name. It is a hint: use it
	// only if the card found bears the name.
	IDByUsername(ctx context.Context, username string) (user.ID, bool, error)
	// Put stores each card if it is newer than the one there, by Version. A
	// tombstone beats every card of its user.
	Put(ctx context.Context, cards []*CachedCard) error
}
