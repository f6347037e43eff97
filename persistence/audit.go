package persistence

import (
	"context"

	"kith/actors/user"
)

// AuditedUser is everything stored about one user.
type AuditedUser struct {
	User      user.ID
	Account   *user.Account // nil when there is no row
	Deleted   bool          // deleted_users has the id
	Records   []Record      // the whole journal, in order
	Following []uint64      // the ids of the lists, ascending
	Followers []uint64
	Crew      []uint64
	Studios   []uint64
	Snapshot  *Snapshot
}

// OneSidedEdge is an edge in the list of a user who has a row that the list of
// the other user lacks. The other may be gone: then the edge was left behind.
type OneSidedEdge struct {
	Source, Target user.ID
	// InFollowing is true when the source's list has the edge and the target's
	// has not; false the other way round.
	InFollowing bool
}

// Audit reads stored data for checking, from one snapshot of the database.
type Audit interface {
	// Snapshot opens a snapshot. It does not hold up writers.
	Snapshot(ctx context.Context) (AuditSnapshot, error)
}

// AuditSnapshot is one consistent state of the database. It is not safe for
// concurrent use.
type AuditSnapshot interface {
	// Users returns up to limit users with ids above after, ascending: every id
	// with a row, a tombstone or a record.
	Users(ctx context.Context, after user.ID, limit int) ([]AuditedUser, error)
	// OneSided calls f with each one-sided edge.
	OneSided(ctx context.Context, f func(OneSidedEdge) error) error
	// Lane returns up to limit records of a lane above after, like
	// Journal.ReadLane.
	Lane(ctx context.Context, lane uint8, after uint64, limit int) ([]Record, error)
	// Heads, Marks, Parked and Severings return what is on its way.
	Heads(ctx context.Context) ([LaneCount]uint64, error)
	Marks(ctx context.Context, tail TailName) ([LaneCount]uint64, error)
	Parked(ctx context.Context) ([]Parked, error)
	Severings(ctx context.Context) ([]Severing, error)
	// Close ends the snapshot.
	Close() error
}
