package persistence

import (
	"context"

	"kith/actors/user"
)

// MaxActivityScan is about how many records one call of Activities.Events looks
// at: a page of a rare kind in a long history must not hold a connection for the
// whole of it.
const MaxActivityScan = 10_000

// ActivityPage is a page of a user's behaviour events, newest first.
type ActivityPage struct {
	Records []Record // of KindActivityRecorded, Seq falling
	// Next is the Seq below which to go on, 0 at the end. It may come with fewer
	// records than asked for, even none: then the rest was too far away.
	Next uint64
}

// Activities reads the behaviour events of one user: the journal is their
// history, and there is no second copy. Erased ones are not among them.
type Activities interface {
	// Events returns up to limit events with Seq below before (0: from the newest)
	// that match accepts, newest first. match may be nil: all; it sees a record
	// only during the call, and must not keep it when it refuses it.
	Events(ctx context.Context, id user.ID, before uint64, limit int, match func(*Record) bool) (ActivityPage, error)
	// Event returns the record of an event id: of KindActivityRecorded, or of
	// KindActivityErased when it was deleted. ErrNotFound when the id was never
	// recorded.
	Event(ctx context.Context, id user.ID, eventID string) (Record, error)
}
