// Package wire holds the JSON objects of the outside contract that more than one
// door hands out, so that REST, the sockets and the topics never differ: the
// behaviour event, the activity, the notification, the id of a record and the
// privacy. The user object is made by persistence.NewCard, since cards are cached
// with it.
package wire

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"kith/actors/user"
)

// Event is a behaviour event. What the client left out is left out.
type Event struct {
	EventID      string          `json:"event_id"`
	Type         string          `json:"type"`
	MovieID      int64           `json:"movie_id"`
	Rating       *float64        `json:"rating,omitempty"` // 0 to 10, at most one decimal
	Review       string          `json:"review,omitempty"`
	EventDetails json.RawMessage `json:"event_details,omitempty"` // an object
	SessionID    string          `json:"session_id,omitempty"`
	Context      *Context        `json:"context,omitempty"`
	OccurredAt   time.Time       `json:"occurred_at"`
	RecordedAt   time.Time       `json:"recorded_at"`
}

// Context says where in an application the event happened.
type Context struct {
	SourcePage    string `json:"source_page,omitempty"`
	SourceSection string `json:"source_section,omitempty"`
}

// NewEvent returns the event of an activity that was recorded at a time.
func NewEvent(a *user.Activity, recordedAt time.Time) Event {
	e := Event{
		EventID: a.EventID, Type: string(a.Type), MovieID: a.MovieID, Review: a.Review, EventDetails: a.Details,
		SessionID: a.SessionID, OccurredAt: a.OccurredAt.UTC(), RecordedAt: recordedAt.UTC(),
	}
	if a.HasRating {
		// The nearest float to tenths prints as tenths.
		rating := float64(a.Rating) / 10
		e.Rating = &rating
	}
	if a.SourcePage != "" || a.SourceSection != "" {
		e.Context = &Context{SourcePage: a.SourcePage, SourceSection: a.SourceSection}
	}
	return e
}

// RecordID names a record for ever: by the user whose journal it is in, and its
// seq there.
func RecordID(uid user.UID, seq uint64) string {
	b := make([]byte, 0, hex.EncodedLen(len(uid))+21)
	b = hex.AppendEncode(b, uid[:])
	b = append(b, '/')
	return string(strconv.AppendUint(b, seq, 10))
}

// ParseRecordID reads what RecordID wrote, and nothing else.
func ParseRecordID(id string) (uid user.UID, seq uint64, ok bool) {
	hexed, number, found := strings.Cut(id, "/")
	if !found || len(hexed) != hex.EncodedLen(len(uid)) {
		return user.UID{}, 0, false
	}
	if _, err := hex.Decode(uid[:], []byte(hexed)); err != nil {
		return user.UID{}, 0, false
	}
	seq, err := strconv.ParseUint(number, 10, 63)
	if err != nil || seq == 0 || RecordID(uid, seq) != id {
		return user.UID{}, 0, false
	}
	return uid, seq, true
}

// Activity is what somebody did: the data of an activity frame, and with the
// record's id a row of the feed.
type Activity struct {
	User  json.RawMessage `json:"user"`
	Event Event           `json:"event"`
}

// FeedActivity is a row of the feed.
type FeedActivity struct {
	ID string `json:"id"`
	Activity
}

// TypeFollowerAdded is the type of the notification, and of the frame, of a new
// follower.
const TypeFollowerAdded = "follower.added"

// Notification tells a user of something. Its id is that of a record in the
// user's own journal.
type Notification struct {
	ID   string    `json:"id"`
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	// User is who it is about: of a follower.added, the follower.
	User json.RawMessage `json:"user"`
}

// NewFollower returns the notification of a follower: the card of the follower,
// the seq of the record in the journal of uid, and when the follow began.
func NewFollower(uid user.UID, seq uint64, since time.Time, follower json.RawMessage) Notification {
	return Notification{ID: RecordID(uid, seq), Type: TypeFollowerAdded, Time: since.UTC(), User: follower}
}

// Privacy says what of a user others may see.
type Privacy struct {
	ProfilePublic      bool `json:"profile_public"`
	WatchHistoryPublic bool `json:"watch_history_public"`
	ShowRatingsPublic  bool `json:"show_ratings_public"`
}

// NewPrivacy returns p as it is shown.
func NewPrivacy(p user.Privacy) Privacy {
	return Privacy{ProfilePublic: p.Profile, WatchHistoryPublic: p.WatchHistory, ShowRatingsPublic: p.Ratings}
}
