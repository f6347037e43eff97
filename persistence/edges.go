package persistence

import (
	"context"

	"kith/actors/user"
)

// EdgeKind names a follow list.
type EdgeKind uint8

// The follow lists.
const (
	EdgeFollowing EdgeKind = iota + 1
	EdgeFollowers
	EdgeCrew
	EdgeStudios
)

// Edges reads follow lists.
type Edges interface {
	// List returns up to limit edges of a list, newest first: Seq falling, which is
	// the order in which the edges came into the list of id. after is the Seq of the
	// last edge of the page before; 0 is the start. Edges to users who are gone are
	// left out. ID is the other user's (or the crew member's, the studio's) id.
	List(ctx context.Context, kind EdgeKind, id user.ID, after uint64, limit int) ([]Edge, error)
	// Relations says for each of others whether id follows them and whether they
	// follow id, from primary keys.
	Relations(ctx context.Context, id user.ID, others []user.ID) ([]Relation, error)
}

// Relation is how two users stand to each other.
type Relation struct {
	Following  bool // the one asked for follows the other
	FollowedBy bool // the other follows the one asked for
}
