package persistence

import (
	"context"
	"errors"
	"time"

	"kith/actors/user"
)

// LaneCount is the number of lanes, for ever: a user's lane is part of every
// stored position.
const LaneCount = 64

// LaneOf returns the lane of a user, in [0, LaneCount).
func LaneOf(id user.ID) uint8 { return uint8(id % LaneCount) }

// Kind says what a record is. The numbers are stored: never reuse one.
type Kind uint8

// The kinds of records.
const (
	KindRegistered       Kind = 1
	KindProfileUpdated   Kind = 2
	KindPreferencesSet   Kind = 3
	KindPrivacySet       Kind = 4
	KindFollowed         Kind = 5
	KindUnfollowed       Kind = 6
	KindCrewFollowed     Kind = 7
	KindCrewUnfollowed   Kind = 8
	KindStudioFollowed   Kind = 9
	KindStudioUnfollowed Kind = 10
	KindActivityRecorded Kind = 11
	KindActivityErased   Kind = 12 // an ActivityRecorded whose payload was blanked
	KindActivityDeleted  Kind = 13
	KindFollowerAdded    Kind = 14
	KindFollowerRemoved  Kind = 15
	KindSevered          Kind = 16
	KindDeleted          Kind = 17
	KindContentCounted   Kind = 18
)

// ToldToOwner reports whether the clients of a record's own user are told of it.
func (k Kind) ToldToOwner() bool {
	switch k {
	case KindProfileUpdated, KindFollowed, KindUnfollowed, KindFollowerAdded, KindFollowerRemoved, KindSevered:
		return true
	case KindRegistered, KindPreferencesSet, KindPrivacySet, KindCrewFollowed, KindCrewUnfollowed, KindStudioFollowed, KindStudioUnfollowed,
		KindActivityRecorded, KindActivityErased, KindActivityDeleted, KindDeleted, KindContentCounted:
	}
	return false
}

// ToldToFollowers reports whether those who follow a record's user are told of it,
// as far as they may see it.
func (k Kind) ToldToFollowers() bool {
	return k == KindProfileUpdated || k == KindActivityRecorded || k == KindActivityDeleted
}

// Record is one stored fact. (Lane, Pos) is its global position: dense per
// lane from 1, exact, free of clocks. Seq is its place in its user's journal,
// dense from 1.
type Record struct {
	Lane    uint8  // set by Commit
	Pos     uint64 // set by Commit
	User    user.ID
	Seq     uint64
	Kind    Kind
	At      time.Time
	EventID string // unique per user for ever; of KindActivityRecorded, KindActivityErased and KindContentCounted, else ""
	Payload []byte // protobuf; what it holds depends on Kind
}

// Edge is one change to a list of the user whose turn it is. A turn holds at
// most one change to a pair: what it did and undid is netted out.
type Edge struct {
	ID uint64    // the other user, the crew member or the studio
	At time.Time // when the edge began
	// Seq is that of the record in the journal of the list's owner with which the
	// edge began.
	Seq     uint64
	Removed bool
}

// Turn is what one grain decided at once: its records and its own rows, which
// commit together or not at all.
type Turn struct {
	User    user.ID
	Version uint64   // the journal's length before this turn; 0 registers
	Records []Record // Seq from Version+1 on; at least one
	// Account is the row after the turn, with Version+len(Records) as its
	// version. With Deleted it is what deleted_users keeps, and the row goes,
	// with credentials and sessions.
	Account user.Account
	Deleted bool

	Claims    []Claim  // must be held by User, else ClaimMissing
	Erase     []string // event ids to blank; each must be recorded and not erased, else EventConflict
	Following []Edge
	Followers []Edge
	Crew      []Edge
	Studios   []Edge
	// PasswordHash is stored with a registration; "" for none.
	PasswordHash string
}

// Batch is what one commit writes.
type Batch struct {
	Node  Node
	Turns []*Turn // at most one of a user
	Marks []Mark  // saved in the same transaction; a mark never goes back
}

// TurnStatus says what became of one turn of a committed batch.
type TurnStatus uint8

// What can become of a turn. All but Committed wrote nothing of that turn and
// left the others alone.
const (
	Committed     TurnStatus = iota + 1
	Stale                    // the journal is not Version long, or the user is deleted
	ClaimMissing             // a claim is not held by the user
	EventConflict            // an event id exists, or one to erase does not; see Conflicts
)

// Outcome is what became of one turn.
type Outcome struct {
	Status    TurnStatus
	Conflicts []EventConflictDetail // with EventConflict: every id in conflict
}

// EventConflictDetail is what the journal knows of an event id of a turn.
type EventConflictDetail struct {
	EventID string
	Status  user.EventStatus
}

// Snapshot is the state of a user after Seq records.
type Snapshot struct {
	User  user.ID
	Seq   uint64
	State []byte
}

// History is what an activation is made from.
type History struct {
	User     user.ID
	Version  uint64    // of the row; 0 when nobody registered at this id
	Deleted  bool      // the id is a tombstone; nothing else is set
	Snapshot *Snapshot // the newest one not above Version, or nil
	Records  []Record  // all after the snapshot, in order, without a gap
	Err      error     // this user's history is not whole; others are unaffected
}

// Refusals and failures of the write path.
var (
	// ErrNotCommitted is matched by every error of Commit after which it is
	// certain that nothing of the batch was written. After any other error
	// nobody knows: raise the epoch (Lanes.Raise), then read again.
	ErrNotCommitted = errors.New("persistence: nothing was committed")
	// ErrFenced is matched when the node's epoch is not the stored one. It
	// matches ErrNotCommitted too where Commit returns it.
	ErrFenced = errors.New("persistence: fenced: the node's epoch was raised")
	// ErrAway is matched when the database is away for now: the same may work a
	// little later.
	ErrAway = errors.New("persistence: the database is away")
	// ErrNotFound is matched when there is no such row.
	ErrNotFound = errors.New("persistence: not found")
)

// Journal is the journal of all users, with the rows that commit with it.
type Journal interface {
	// Commit writes b in one transaction behind the fence: when b.Node is not
	// current, nothing at all is written and the error matches ErrFenced. A
	// turn whose guard does not hold fails alone. On success Commit has set Lane
	// and Pos of every record of every committed turn, and returns one outcome a
	// turn, in order. If it runs twice, the second finds every turn Stale.
	Commit(ctx context.Context, b Batch) ([]Outcome, error)

	// Load returns what the activations of ids are made from, in the order of
	// ids, in a few queries.
	Load(ctx context.Context, ids []user.ID) ([]History, error)

	// Records returns up to limit records of one user with Seq > after, in order,
	// without regard to snapshots.
	Records(ctx context.Context, id user.ID, after uint64, limit int) ([]Record, error)

	// ReadLane returns up to limit records of a lane with Pos > after, in order.
	ReadLane(ctx context.Context, lane uint8, after uint64, limit int) ([]Record, error)

	// Heads returns the highest position of every lane, 0 for an empty one.
	Heads(ctx context.Context) ([LaneCount]uint64, error)

	// SaveSnapshots stores each snapshot if it is newer than the stored one and
	// the user's row still exists; the others are dropped silently.
	SaveSnapshots(ctx context.Context, snapshots []Snapshot) error

	// EraseUser blanks the content of the behaviour events of a deleted user
	// (payload and kind; position and id stay) up to limit a call, and removes the
	// snapshot and how far the notifications were seen. It reports whether nothing
	// is left.
	EraseUser(ctx context.Context, id user.ID, limit int) (done bool, err error)
}
