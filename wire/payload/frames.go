package payload

import (
	"encoding/json"
	"time"
)

// Frame is a frame of the server with data D. Frames that name no record have
// neither id nor time, and a pong no data.
type Frame[D any] struct {
	Type string     `json:"type"`
	ID   string     `json:"id,omitempty" pattern:"^[0-9a-f]{32}/[1-9][0-9]*$" doc:"The record in the journal of the user whom it is about: the same whenever it comes again, and over REST"`
	Time *time.Time `json:"time,omitempty" doc:"When it was recorded"`
	Data D          `json:"data,omitempty"`
}

// Ready is the data of the first frame.
type Ready struct {
	User      json.RawMessage `json:"user"`
	Resumed   bool            `json:"resumed" doc:"Whether the stream goes on where the cursor was"`
	Cursor    string          `json:"cursor"`
	Heartbeat int64           `json:"heartbeat_seconds" minimum:"0"`
}

// About is the data of frames that show a user.
type About struct {
	User json.RawMessage `json:"user"`
}

// Counters are the newest of a user.
type Counters struct {
	Username  string `json:"username"`
	Followers int64  `json:"followers" minimum:"0"`
	Following int64  `json:"following" minimum:"0"`
}

// Cursor is where to resume.
type Cursor struct {
	Cursor string `json:"cursor" doc:"Opaque; it covers what was sent before it"`
}

// Expiring says how long the token is good.
type Expiring struct {
	Seconds int64 `json:"seconds" minimum:"0"`
}

// Gap says since when frames are missing.
type Gap struct {
	Since time.Time `json:"since"`
}

// Refusal is the data of an error frame.
type Refusal struct {
	Code    string `json:"code" doc:"For programs: stable"`
	Message string `json:"message"`
}

// Plain is a frame of the client that is only its type.
type Plain struct {
	Type string `json:"type"`
}

// Auth is the frame that authorises, or renews.
type Auth struct {
	Type   string `json:"type"`
	Token  string `json:"token" minLength:"1"`
	Cursor string `json:"cursor,omitempty" minLength:"1" doc:"Where to resume; in the first frame of a connection"`
}

// Watch is the frame that begins or ends a watch.
type Watch struct {
	Type     string `json:"type"`
	Username string `json:"username" minLength:"1"`
}
