package live

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"kith/actors/user"
	"kith/wire"
	"kith/wire/payload"
)

// The types of server frames.
const (
	TypeReady            = "ready"
	TypeFollowerAdded    = wire.TypeFollowerAdded
	TypeFollowerRemoved  = "follower.removed"
	TypeFollowingAdded   = "following.added"
	TypeFollowingRemoved = "following.removed"
	TypeCounters         = "counters"
	TypeActivity         = "activity"
	TypeActivityDeleted  = "activity.deleted"
	TypeProfileUpdated   = "profile.updated"
	TypeCursor           = "cursor"
	TypeAuthExpiring     = "auth.expiring"
	TypeGap              = "gap"
	TypeError            = "error"
	TypePong             = "pong"
)

// CloseCode is the status with which the server closes a socket.
type CloseCode uint16

// The close codes.
const (
	CloseGoingAway      CloseCode = 1001
	CloseNotAuthorised  CloseCode = 4001
	CloseTokenExpired   CloseCode = 4002
	CloseSessionEnded   CloseCode = 4003 // or the account was deleted
	CloseMalformed      CloseCode = 4004
	CloseTooSlow        CloseCode = 4008
	CloseTooManySockets CloseCode = 4009
)

// Frame is a server frame, encoded once and shared by all who get it: it is never
// changed.
type Frame struct {
	whole   []byte // the frame of WebSocket: unmasked, final, text
	payload int    // where the JSON begins in it
	ref     RecordRef
}

// JSON returns the JSON object of f.
func (f *Frame) JSON() []byte { return f.whole[f.payload:] }

// WebSocket returns f as it goes onto the connection of a WebSocket server.
func (f *Frame) WebSocket() []byte { return f.whole }

// The first byte of a frame: final, and its opcode.
const (
	finalText = 0x81
	finalPing = 0x89
)

// PingFrame returns the bytes of a ping without a payload.
func PingFrame() []byte { return []byte{finalPing, 0} }

// envelope is a server frame. Frames that name no record have neither id nor time.
type envelope = payload.Frame[any]

func encode(e envelope) (*Frame, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("live: encode a frame of type %s: %w", e.Type, err)
	}
	const longest = 10 // bytes of a header without a mask
	b := make([]byte, 0, longest+len(body))
	b = append(b, finalText)
	switch n := len(body); {
	case n < 126:
		b = append(b, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return &Frame{whole: append(b, body...), payload: len(b)}, nil
}

// plain encodes what always has an encoding: strings and numbers.
func plain(kind string, data any) *Frame {
	f, err := encode(envelope{Type: kind, Data: data})
	if err != nil {
		panic(err)
	}
	return f
}

// Ready returns the first frame of a connection. An error is that the user object
// is no JSON.
func Ready(who json.RawMessage, resumed bool, cursor string, heartbeat time.Duration) (*Frame, error) {
	return encode(envelope{Type: TypeReady, Data: payload.Ready{User: who, Resumed: resumed, Cursor: cursor, Heartbeat: int64(heartbeat / time.Second)}})
}

// RecordRef names the record that a frame tells of.
type RecordRef struct {
	UID user.UID // whose journal it is in
	Seq uint64
	At  time.Time
}

func (r RecordRef) encode(kind string, data any) (*Frame, error) {
	at := r.At.UTC()
	f, err := encode(envelope{Type: kind, ID: wire.RecordID(r.UID, r.Seq), Time: &at, Data: data})
	if err != nil {
		return nil, err
	}
	f.ref = r
	return f, nil
}

// id is what two frames of one record have in common; zero without a record.
func (f *Frame) id() recordID { return recordID{f.ref.UID, f.ref.Seq} }

type recordID struct {
	uid user.UID
	seq uint64
}

// About returns a frame that shows a user: one of follower.added,
// follower.removed, following.added, following.removed and profile.updated.
func About(kind string, r RecordRef, who json.RawMessage) (*Frame, error) {
	return r.encode(kind, payload.About{User: who})
}

// Activity returns a frame that tells what somebody did.
func Activity(r RecordRef, a wire.Activity) (*Frame, error) {
	return r.encode(TypeActivity, a)
}

// ActivityDeleted returns a frame that takes an activity back.
func ActivityDeleted(r RecordRef, eventID string) (*Frame, error) {
	return r.encode(TypeActivityDeleted, payload.ActivityDeleted{UID: r.UID.String(), EventID: eventID})
}

// Counters returns a frame with the newest counters of a user.
func Counters(username string, followers, following int64) *Frame {
	return plain(TypeCounters, payload.Counters{Username: username, Followers: followers, Following: following})
}

// CursorFrame returns a frame with a cursor.
func CursorFrame(cursor string) *Frame {
	return plain(TypeCursor, payload.Cursor{Cursor: cursor})
}

// AuthExpiring returns a frame that says how long the token is good.
func AuthExpiring(left time.Duration) *Frame {
	return plain(TypeAuthExpiring, payload.Expiring{Seconds: int64(left / time.Second)})
}

// Gap returns a frame that says since when frames are missing. An error is a time
// outside the years of four digits.
func Gap(since time.Time) (*Frame, error) {
	return encode(envelope{Type: TypeGap, Data: payload.Gap{Since: since.UTC()}})
}

// ErrorFrame returns a frame that refuses something.
func ErrorFrame(code, message string) *Frame {
	return plain(TypeError, payload.Refusal{Code: code, Message: message})
}

// Pong returns the answer to a client's ping frame.
func Pong() *Frame { return plain(TypePong, nil) }
