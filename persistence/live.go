package persistence

import (
	"context"

	"kith/actors/user"
)

// LiveUsers reads who exists.
type LiveUsers interface {
	// LiveIDs calls each with the ids of all users who have a row, in chunks and
	// in no order, and returns the heads of the lanes; all from one snapshot of
	// the database. each must not keep its chunk; its error ends the reading.
	LiveIDs(ctx context.Context, each func(ids []user.ID) error) (heads [LaneCount]uint64, err error)
}
