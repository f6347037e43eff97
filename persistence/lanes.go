package persistence

import (
	"context"
	"errors"
	"time"

	"kith/actors/user"
)

// Node is a member at an epoch. Whoever holds a stale epoch is fenced.
type Node struct {
	ID    string
	Epoch uint64
}

// ErrLeased is matched by every LeasedError.
var ErrLeased = errors.New("persistence: leased")

// LeasedError says which other node owns lanes, and until when.
type LeasedError struct {
	Node  string
	Until time.Time
}

// Error names the node and the end of its lease.
func (e *LeasedError) Error() string {
	return "persistence: node " + e.Node + " holds the lanes until " + e.Until.Format(time.RFC3339Nano)
}

// Is matches ErrLeased.
func (e *LeasedError) Is(target error) bool { return target == ErrLeased }

// TailName names a tail: a consumer of the lanes with a mark of its own.
type TailName string

// TailEffects is the tail that carries records to other users.
const TailEffects TailName = "effects"

// Mark is how far a tail has come in a lane: everything up to Pos has had its
// effect.
type Mark struct {
	Tail TailName
	Lane uint8
	Pos  uint64
}

// Parked is an effect that could not be delivered: its target does not
// activate, or its record cannot be read. Later effects for the same target
// queue behind it.
type Parked struct {
	Lane   uint8
	Pos    uint64
	Target user.ID // 0 when the record could not be read
	Reason string
	At     time.Time
}

// Severing is the job of repairing the neighbours of a deleted user.
type Severing struct {
	User   user.ID
	Pos    uint64 // of the record of the deletion, in the lane of User
	Cursor uint64 // the highest neighbour id done
}

// Lanes says which node owns the lanes, and keeps what their tails need.
type Lanes interface {
	// Acquire makes node id the owner of all lanes until lease from now, with
	// its epoch raised: whoever wrote under an older epoch is fenced.
	Acquire(ctx context.Context, id string, lease time.Duration) (Node, error)
	// Renew extends the lease to so much from now; 0 gives it back. It returns an error matching ErrFenced when n is
	// no longer current.
	Renew(ctx context.Context, n Node, lease time.Duration) error
	// Raise makes n's epoch one higher, which waits for its last batch, and
	// returns the node at its new epoch; matches ErrFenced when n is not
	// current. Afterwards the outcome of every batch of n is settled.
	Raise(ctx context.Context, n Node) (Node, error)

	// Marks returns the saved marks of a tail, 0 where there is none.
	Marks(ctx context.Context, tail TailName) ([LaneCount]uint64, error)

	// Park stores effects that could not be delivered. One stored before stays
	// as it is.
	Park(ctx context.Context, n Node, parked []Parked) error
	// Unpark removes them.
	Unpark(ctx context.Context, n Node, parked []Parked) error
	// ParkedEffects returns up to limit parked effects of a target in order of
	// (Lane, Pos), or with target 0 those of unreadable records.
	ParkedEffects(ctx context.Context, target user.ID, limit int) ([]Parked, error)
	// ParkedTargets returns the targets that have parked effects, and how many
	// each; key 0 stands for unreadable records.
	ParkedTargets(ctx context.Context) (map[user.ID]int, error)

	// PutSeverings opens jobs, or moves their cursors forward.
	PutSeverings(ctx context.Context, n Node, s []Severing) error
	// CloseSevering removes the job and the deleted user's own edge rows.
	CloseSevering(ctx context.Context, n Node, id user.ID) error
	// Severings returns the open jobs.
	Severings(ctx context.Context) ([]Severing, error)
	// Neighbours returns up to limit ids above after, ascending, of users with
	// an edge from or to id, as id's own rows have them.
	Neighbours(ctx context.Context, id user.ID, after uint64, limit int) ([]user.ID, error)
}
