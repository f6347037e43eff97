package persistence

import (
	"context"
	"encoding/json"
	"fmt"

	"kith/actors/user"
	"kith/wire/payload"
)

// CachedCard is a card with its encoding, or the tombstone of a deleted user.
type CachedCard struct {
	Card user.Card // ID and Version are set even when Deleted
	// JSON is the user object of the outside contract, encoded once.
	JSON    []byte
	Deleted bool
}

// NewCard returns c with its encoding.
func NewCard(c user.Card) *CachedCard {
	b, err := json.Marshal(payload.User{
		ID: int64(c.ID), UID: c.UID.String(), Username: c.Username, Name: c.Name, Role: string(c.Role), Picture: c.Picture, //nolint:gosec // ids are below 1<<63
		Followers: c.Followers, Following: c.Following, Streams: c.Streams, Videos: c.Videos,
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	})
	if err != nil {
		// Strings, numbers and times of four-digit years always have an encoding.
		panic(fmt.Sprintf("persistence: encode the card of user %d: %v", c.ID, err))
	}
	return &CachedCard{Card: c, JSON: b}
}

// NewTombstone returns the tombstone of a user who was deleted at a version.
func NewTombstone(id user.ID, version uint64) *CachedCard {
	return &CachedCard{Card: user.Card{ID: id, Version: version}, Deleted: true}
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
