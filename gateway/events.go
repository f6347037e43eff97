package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/wire"
)

const (
	tagEvents  = "events"
	listEvents = "events"
)

func (s *Server) addEvents() {
	handleBody(s, route{
		method: http.MethodPost, path: "/users/self/events", id: "record-events", tag: tagEvents, maxBody: maxBatchBody,
		summary: "Record behaviour events",
		description: "One event: 201, or 200 with the same event when its id was recorded before. " +
			"A batch of 1 to 500: 200 with what became of each, in order; the valid ones are recorded. " +
			"An event id makes sending it again safe, for ever. A body of one event may have 64 KiB, a batch 1 MiB.",
		status: http.StatusOK, also: []int{http.StatusCreated},
		errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.recordEvents)
	handle(s, route{
		method: http.MethodGet, path: "/users/{username}/events", id: "list-events", tag: tagEvents,
		summary: "List the events of a user",
		description: "Newest recorded first. Of others, only what their privacy shows. " +
			"A page of what is rare may hold fewer events than asked for, even none: go on while next_cursor is not null.",
		also:   []int{http.StatusNotModified},
		errors: []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound},
	}, s.listEvents)
	handle(s, route{
		method: http.MethodDelete, path: "/users/self/events/{event_id}", id: "delete-event", tag: tagEvents,
		summary: "Delete an event", description: "Its content is erased. Its id stays taken.",
		errors: []int{http.StatusBadRequest, http.StatusNotFound},
	}, s.deleteEvent)
}

// event is a behaviour event in an answer.
type event struct{ wire.Event }

// Schema implements huma.SchemaProvider.
func (event) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[eventObject](), true, "Event")
}

// eventObject describes the JSON of a wire.Event.
type eventObject struct {
	EventID    string       `json:"event_id" pattern:"^[A-Za-z0-9_-]{1,64}$"`
	Type       string       `json:"type" enum:"view,rating,watchlist_add,watchlist_remove,review"`
	MovieID    int64        `json:"movie_id" minimum:"1"`
	Rating     float64      `json:"rating,omitempty" minimum:"0" maximum:"10"`
	Review     string       `json:"review,omitempty" maxLength:"10000"`
	Details    object       `json:"event_details,omitempty"`
	SessionID  string       `json:"session_id,omitempty" maxLength:"128"`
	Context    eventContext `json:"context,omitzero"`
	OccurredAt time.Time    `json:"occurred_at"`
	RecordedAt time.Time    `json:"recorded_at"`
}

type eventContext struct {
	SourcePage    string `json:"source_page,omitempty" nullable:"true" maxLength:"256"`
	SourceSection string `json:"source_section,omitempty" nullable:"true" maxLength:"256"`
}

// eventsInput is the path and the query of a list of events.
type eventsInput struct {
	Username string     `path:"username" doc:"A username, compared without case, or self" example:"johndoe"`
	Type     string     `query:"type" doc:"Only events of this type" enum:"view,rating,watchlist_add,watchlist_remove,review"`
	MovieID  idParam    `query:"movie_id" doc:"Only events about this movie"`
	Limit    limitParam `query:"limit" doc:"Rows in a page"`
	Cursor   string     `query:"cursor" minLength:"1" doc:"next_cursor of the page before"`
}

// eventsAnswer is {status,events,count,next_cursor}.
type eventsAnswer struct {
	Status success `json:"status"`
	Events []event `json:"events" nullable:"false"`
	Count  int     `json:"count" doc:"Rows in this page"`
	Next   *string `json:"next_cursor" nullable:"true" doc:"null at the end"`
}

func (s *Server) listEvents(ctx context.Context, in *eventsInput) (*pageOutput[eventsAnswer], error) {
	caller, target, err := s.pair(ctx, in.Username, false)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(ctx)
	if err != nil {
		return nil, err
	}
	filter, err := parseFilter(page)
	if err != nil {
		return nil, err
	}
	viewer, err := s.viewer(ctx, caller, target)
	if err != nil {
		return nil, err
	}
	if !user.Visible(user.SectionProfile, viewer, target.Card.Privacy) {
		return nil, errPrivate
	}
	before, err := s.cursors.openSeq(listEvents, target.Card.ID, page.cursor)
	if err != nil {
		return nil, err
	}
	filter.see(viewer, target.Card.Privacy)
	answer := &eventsAnswer{Events: []event{}}
	next := ""
	if !filter.nothing() {
		if next, err = s.readEvents(ctx, answer, target.Card.ID, filter, before, page.limit); err != nil {
			return nil, err
		}
	}
	answer.Count, answer.Next = len(answer.Events), nextCursor(next)
	return answerPage(ctx, answer, page.link(ctx, next))
}

// readEvents fills a page and returns the cursor of the next one.
func (s *Server) readEvents(ctx context.Context, answer *eventsAnswer, id user.ID, filter *eventFilter, before uint64, limit int) (next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	var undecoded error
	page, err := s.cfg.Activities.Events(ctx, id, before, limit, func(r *persistence.Record) bool {
		e, err := decodeEvent(r)
		if err != nil {
			undecoded = errors.Join(undecoded, fmt.Errorf("record %d: %w", r.Seq, err))
			return false
		}
		if !filter.matches(&e) {
			return false
		}
		answer.Events = append(answer.Events, event{e})
		return true
	})
	if err = errors.Join(err, undecoded); err != nil {
		return "", fmt.Errorf("list the events of user %d: %w", id, err)
	}
	if page.Next != 0 {
		next = s.cursors.sealSeq(listEvents, id, page.Next)
	}
	return next, nil
}

// decodeEvent reads a record of a behaviour event.
func decodeEvent(r *persistence.Record) (wire.Event, error) {
	e, err := usergrain.DecodeRecord(r)
	if err != nil {
		return wire.Event{}, err //nolint:wrapcheck // wrapped by the caller, who knows the user
	}
	recorded, ok := e.(user.ActivityRecorded)
	if !ok {
		return wire.Event{}, fmt.Errorf("a %T is no behaviour event", e)
	}
	return wire.NewEvent(&recorded.Activity, recorded.At), nil
}

// eventFilter says which events are asked for, and of them, which may be seen.
type eventFilter struct {
	types map[string]bool // by type: asked for and visible
	movie int64           // 0: any
}

func activityTypes() []user.ActivityType {
	return []user.ActivityType{user.ActivityView, user.ActivityRating, user.ActivityWatchlistAdd, user.ActivityWatchlistRemove, user.ActivityReview}
}

// allEvents asks for everything.
func allEvents() *eventFilter {
	f := &eventFilter{types: make(map[string]bool, len(activityTypes()))}
	for _, t := range activityTypes() {
		f.types[string(t)] = true
	}
	return f
}

// parseFilter reads the parameters type and movie_id.
func parseFilter(p page) (*eventFilter, error) {
	f := allEvents()
	asked := p.query.Get("type")
	for _, t := range activityTypes() {
		f.types[string(t)] = !p.query.Has("type") || string(t) == asked
	}
	if p.query.Has("type") && !f.types[asked] || len(p.query["type"]) > 1 {
		return nil, errEventType
	}
	if p.query.Has("movie_id") {
		id, err := user.ParseStudioID(p.query.Get("movie_id")) // any positive 64-bit integer
		if err != nil || len(p.query["movie_id"]) > 1 {
			return nil, errMovieID
		}
		f.movie = id
	}
	return f, nil
}

// see leaves out what a viewer may not see.
func (f *eventFilter) see(v user.Viewer, p user.Privacy) {
	for _, t := range activityTypes() {
		f.types[string(t)] = f.types[string(t)] && user.Visible(t.Section(), v, p)
	}
}

func (f *eventFilter) nothing() bool {
	for _, wanted := range f.types {
		if wanted {
			return false
		}
	}
	return true
}

func (f *eventFilter) matches(e *wire.Event) bool {
	return f.types[e.Type] && (f.movie == 0 || f.movie == e.MovieID)
}

// eventInput is the path of one of the caller's events.
type eventInput struct {
	EventID string `path:"event_id" pattern:"^[A-Za-z0-9_-]{1,64}$" doc:"1 to 64 of A to Z, a to z, 0 to 9, _ and -" example:"evt_01"`
}

// deleteEvent is not found the second time, as what is deleted is.
func (s *Server) deleteEvent(ctx context.Context, in *eventInput) (*messageOutput, error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseEventID(in.EventID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if _, err := s.cfg.Grains.Do(ctx, caller.Card.ID, user.DeleteActivity{EventID: id, At: s.cfg.Now()}); err != nil {
		return nil, fmt.Errorf("delete an event of user %d: %w", caller.Card.ID, err)
	}
	return &messageOutput{Body: &messageAnswer{Message: "Event deleted successfully"}}, nil
}
