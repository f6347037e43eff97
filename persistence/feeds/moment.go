package feeds

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// Moment is a database as it was at one time: all that its methods return, of one
// call of Feed or Missed, was there at once.
type Moment interface {
	// Followed returns those whom a reader follows and who have a row, in any order.
	Followed(ctx context.Context, reader user.ID) ([]Followed, error)
	// Authors returns the same of ids, with all that is needed to judge them, in any
	// order; those are left out whom the reader does not follow, or who have no row.
	Authors(ctx context.Context, reader user.ID, ids []user.ID) ([]*persistence.Author, error)

	// Events returns up to n behaviour events below each place, of the user of the
	// place, in the order of the places and for each newest first.
	Events(ctx context.Context, below []Place, n int) ([]Entry, error)
	// Doings is the same of all records that followers are told of: behaviour
	// events, their deletions, and changes of the profile.
	Doings(ctx context.Context, below []Place, n int) ([]Entry, error)
	// Journal is the same of all records of one user, below a seq.
	Journal(ctx context.Context, id user.ID, seq uint64, n int) ([]Entry, error)

	// Records returns the records of entries, in their order.
	Records(ctx context.Context, entries []Entry) ([]persistence.Record, error)
}

// Followed is somebody whom a reader follows.
type Followed struct {
	User  user.ID
	Since int64 // microseconds since 1970: when the reader began to follow
	// Last is when the newest event was recorded that was ever recorded, in
	// microseconds since 1970: of those that are left, none is newer.
	Last  int64
	Quiet bool // nothing was ever recorded
}

// Place is a place in the history of a user.
type Place struct {
	User user.ID
	At   int64 // microseconds since 1970
	Seq  uint64
}

// Entry is what the index has of a record: where it is, and of what kind.
type Entry struct {
	Place
	Kind persistence.Kind
	Pos  uint64 // in the lane of the user
}

// End is the place above all others of a user.
func End(id user.ID) Place { return Place{User: id, At: math.MaxInt64, Seq: math.MaxInt64} }

// in returns the place in the history of id at which p is among all histories:
// what is below the one is below the other.
func (p Place) in(id user.ID) Place {
	switch {
	case id == p.User:
		return p
	case id < p.User:
		return Place{User: id, At: p.At, Seq: math.MaxInt64}
	}
	return Place{User: id, At: p.At, Seq: 0}
}

// compare orders places oldest first.
func (p Place) compare(q Place) int {
	return cmp.Or(cmp.Compare(p.At, q.At), cmp.Compare(p.User, q.User), cmp.Compare(p.Seq, q.Seq))
}

// placeOf returns the place that a page goes on below.
func placeOf(p persistence.FeedPlace) Place {
	if p == (persistence.FeedPlace{}) {
		return End(math.MaxInt64)
	}
	return Place{User: p.User, At: p.At.UnixMicro(), Seq: p.Seq}
}

func (p Place) shown() persistence.FeedPlace {
	return persistence.FeedPlace{At: time.UnixMicro(p.At).UTC(), User: p.User, Seq: p.Seq}
}

// records is Moment.Records, if none is missing.
func records(ctx context.Context, m Moment, entries []Entry) ([]persistence.Record, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	found, err := m.Records(ctx, entries)
	if err != nil {
		return nil, err //nolint:wrapcheck // the engine's
	}
	if len(found) != len(entries) {
		return nil, fmt.Errorf("%d records of %d entries of the index", len(found), len(entries))
	}
	return found, nil
}
