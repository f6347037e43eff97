package client

import (
	"encoding/json"
	"fmt"
	"time"
)

// The types of frames.
const (
	TypeReady            = "ready"
	TypeFollowerAdded    = "follower.added"
	TypeFollowerRemoved  = "follower.removed"
	TypeFollowingAdded   = "following.added"
	TypeFollowingRemoved = "following.removed"
	TypeCounters         = "counters"
	TypeActivity         = "activity"
	TypeActivityDeleted  = "activity.deleted"
	TypeProfileUpdated   = "profile.updated"
	TypeCursor           = "cursor"
	TypeExpiring         = "auth.expiring"
	TypeGap              = "gap"
	TypeError            = "error"
	TypePong             = "pong"
)

// Frame is one frame of the server.
type Frame struct {
	Type string `json:"type"`
	// ID names the record that the frame shows, for ever; "" where there is none.
	ID string `json:"id"`
	// Time is when it was recorded; zero where there is no ID.
	Time time.Time       `json:"time"`
	Data json.RawMessage `json:"data"`
	// Raw is the whole frame as it came.
	Raw []byte `json:"-"`
}

// Decode reads the data of the frame into v, a pointer to the type that belongs to
// the frame's type.
func (f *Frame) Decode(v any) error {
	if err := json.Unmarshal(f.Data, v); err != nil {
		return fmt.Errorf("client: the data of a frame of type %q: %w", f.Type, err)
	}
	return nil
}

// User is a user as everybody sees them.
type User struct {
	UID       string `json:"uid"`
	Username  string `json:"username"`
	Name      string `json:"name"`
	Followers int64  `json:"followers"`
	Following int64  `json:"following"`
}

// Event is what somebody did with a film.
type Event struct {
	EventID    string          `json:"event_id"`
	Type       string          `json:"type"`
	MovieID    int64           `json:"movie_id"`
	Rating     *float64        `json:"rating"`
	Review     string          `json:"review"`
	Details    json.RawMessage `json:"event_details"`
	RecordedAt time.Time       `json:"recorded_at"`
}

// Ready is the data of the first frame of a connection.
type Ready struct {
	User User `json:"user"`
	// Resumed says that the stream goes on at the cursor that was given.
	Resumed   bool   `json:"resumed"`
	Cursor    string `json:"cursor"`
	Heartbeat int    `json:"heartbeat_seconds"`
}

// Person is the data of frames about somebody: followers, followed ones, profiles.
type Person struct {
	User User `json:"user"`
}

// Activity is the data of a frame about something that somebody did.
type Activity struct {
	User  User  `json:"user"`
	Event Event `json:"event"`
}

// Deleted is the data of a frame about an activity that is gone.
type Deleted struct {
	UID     string `json:"uid"`
	EventID string `json:"event_id"`
}

// Counters is the data of a frame about how many follow, and are followed.
type Counters struct {
	Username  string `json:"username"`
	Followers int64  `json:"followers"`
	Following int64  `json:"following"`
}

// Cursor is the data of a frame that says where the stream is.
type Cursor struct {
	Cursor string `json:"cursor"`
}

// Expiring is the data of a frame that says that the token ends soon.
type Expiring struct {
	Seconds int64 `json:"seconds"`
}

// Gap is the data of a frame that says that what happened since a time is not
// replayed.
type Gap struct {
	Since time.Time `json:"since"`
}

// Fault is the data of a frame that says that something was not understood.
type Fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}
