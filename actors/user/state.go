package user

import "time"

// State is what the journal of one user says so far: everything that a later
// decision needs, and what the user's row is made from. The zero State is an id
// at which nobody has registered.
type State struct {
	ID       ID
	UID      UID
	Version  uint64 // records applied: the length of the journal
	Username string
	Name     string
	Email    string
	Bio      string
	Picture  string
	Role     Role
	Privacy  Privacy
	Deleted  bool
	// Preferences is nil while they are the default, which most are.
	Preferences *Preferences
	Streams     int64
	Videos      int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
	LastAt      time.Time // of the newest record; the next is not earlier

	Following Set[ID]
	Followers Set[ID]
	Crew      Set[int64]
	Studios   Set[int64]

	// Applied holds, per source lane that ever had an effect here, the highest
	// position applied; sorted by lane. It makes redelivery exact for ever.
	Applied []LaneMark
	// Recent holds the newest event ids, oldest first, at most MaxRecent: enough
	// to recognise the usual retry without asking the database, whose unique
	// index is what makes ids exact.
	Recent []RecentEvent

	// known holds event ids that the shell learned of for its next decisions. See
	// Learn.
	known map[string]EventStatus
}

// LaneMark is a position in a lane of the journal, in 8 bytes: of one lane, the
// greater mark is the higher position.
type LaneMark uint64

// maxPos is the highest position that a LaneMark holds: at a million records a
// second a lane reaches it in two thousand years.
const maxPos = 1<<56 - 1

// NewLaneMark returns the mark of a position in a lane. A position above what a
// mark holds is taken for the highest that it does.
func NewLaneMark(lane uint8, pos uint64) LaneMark {
	return LaneMark(uint64(lane)<<56 | min(pos, maxPos))
}

// Lane returns the lane of m.
func (m LaneMark) Lane() uint8 { return uint8(m >> 56) }

// Pos returns the position of m.
func (m LaneMark) Pos() uint64 { return uint64(m) & maxPos }

// RecentEvent is an event id that was recorded, and perhaps deleted since.
type RecentEvent struct {
	ID     string
	Erased bool
}

func (r RecentEvent) status() EventStatus {
	if r.Erased {
		return EventErased
	}
	return EventRecorded
}

// MaxRecent bounds State.Recent.
const MaxRecent = 32

// EventStatus is what the database knows of an event id.
type EventStatus uint8

// What can be known of an event id.
const (
	EventMissing  EventStatus = iota + 1 // never recorded
	EventRecorded                        // recorded
	EventErased                          // recorded, and deleted
)
