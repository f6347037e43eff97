// Package wire holds the JSON objects of the outside contract that more than one
// door hands out, so that REST, the sockets and the topics never differ: the
// behaviour event and the privacy. The user object is made by
// persistence.NewCard, since cards are cached with it.
package wire

import (
	"encoding/json"
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
