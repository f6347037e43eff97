package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/wire"
)

const (
	maxBatchBody = 1 << 20 // bytes
	maxBatch     = 500     // events
)

// object is a JSON object of the client's own, as it was written; nil when it was
// not given.
type object json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (o *object) UnmarshalJSON(raw []byte) error {
	switch {
	case isNull(raw):
		*o = nil
	case raw[0] != '{':
		return wantError("an object")
	default:
		*o = bytes.Clone(raw)
	}
	return nil
}

// Schema implements huma.SchemaProvider.
func (object) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "Your own, at most 4 KiB"}
}

// number is a JSON number as it was written; "" when it was not given.
type number string

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(raw []byte) error {
	switch c := raw[0]; {
	case isNull(raw):
		*n = ""
	case c != '-' && (c < '0' || c > '9'):
		return wantError("a number")
	default:
		*n = number(raw)
	}
	return nil
}

// Schema implements huma.SchemaProvider.
func (number) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeNumber} }

// instant is a time of RFC 3339; nil when it was not given.
type instant struct{ *time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (i *instant) UnmarshalJSON(raw []byte) error {
	i.Time = nil
	if isNull(raw) {
		return nil
	}
	var t time.Time
	if err := t.UnmarshalJSON(raw); err != nil {
		return wantError("a time of RFC 3339")
	}
	i.Time = &t
	return nil
}

// Schema implements huma.SchemaProvider.
func (instant) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time"}
}

// eventBody is an event as a client sends it.
type eventBody struct {
	EventID    *string      `json:"event_id,omitempty" nullable:"true" doc:"Yours; else the server makes one" pattern:"^[A-Za-z0-9_-]{1,64}$"`
	Type       string       `json:"type" enum:"view,rating,watchlist_add,watchlist_remove,review"`
	MovieID    int64        `json:"movie_id" minimum:"1"`
	Rating     number       `json:"rating,omitempty" nullable:"true" doc:"At most one decimal. Required for a rating, allowed for a review" minimum:"0" maximum:"10"`
	Review     string       `json:"review,omitempty" nullable:"true" text:"lines" doc:"Required for a review" maxLength:"10000"`
	Details    object       `json:"event_details,omitempty" nullable:"true"`
	SessionID  string       `json:"session_id,omitempty" nullable:"true" maxLength:"128"`
	Context    eventContext `json:"context,omitzero"`
	OccurredAt instant      `json:"occurred_at,omitzero" nullable:"true" doc:"Default now; at most 1 minute ahead and 30 days back"`
}

// batchBody is a batch of events as a client sends it.
type batchBody struct {
	Events []eventBody `json:"events" nullable:"false" minItems:"1" maxItems:"500"`
}

// recordBody is one event or a batch, not yet read: each event of a batch is
// refused for itself.
type recordBody struct{ raw []byte }

// UnmarshalJSON implements json.Unmarshaler.
func (b *recordBody) UnmarshalJSON(raw []byte) error {
	b.raw = bytes.Clone(raw)
	return nil
}

func (recordBody) unread() {}

// Schema implements huma.SchemaProvider.
func (recordBody) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[eventBody](), true, ""), r.Schema(reflect.TypeFor[batchBody](), true, ""),
	}}
}

// parseRecord tells one event from a batch, whose events it leaves as they are.
func parseRecord(raw []byte) (single *eventBody, batch []json.RawMessage, err error) {
	var which struct {
		Events list `json:"events"`
	}
	err = parseBody(raw, &which)
	if which.Events.given {
		switch n := len(which.Events.items); {
		case err != nil:
			return nil, nil, err
		case n < 1 || n > maxBatch:
			return nil, nil, errBatchSize
		}
		return nil, which.Events.items, nil
	}
	// What is wrong with one event is told when it is read as one.
	if len(raw) > maxBody {
		return nil, nil, errBodyTooLarge
	}
	single = &eventBody{}
	if err := parseBody(raw, single); err != nil {
		return nil, nil, err
	}
	return single, nil, nil
}

// list is a JSON list, its items as they were written.
type list struct {
	given bool
	items []json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *list) UnmarshalJSON(raw []byte) error {
	*l = list{given: !isNull(raw)}
	if !l.given {
		return nil
	}
	if raw[0] != '[' {
		return wantError("a list")
	}
	return json.Unmarshal(raw, &l.items)
}

func (list) unread() {}

// maxEcho is how many characters of an event id are repeated.
const maxEcho = 64

// echo is an event id as far as an answer can repeat it: text that is not too
// long, though it need not be valid.
type echo string

// UnmarshalJSON implements json.Unmarshaler.
func (e *echo) UnmarshalJSON(raw []byte) error {
	*e = ""
	if checkText(raw) != nil || raw[0] != '"' {
		return nil //nolint:nilerr // what is no text is not repeated
	}
	var id string
	if err := json.Unmarshal(raw, &id); err != nil {
		return err //nolint:wrapcheck // the caller knows the field
	}
	if utf8.RuneCountInString(id) <= maxEcho {
		*e = echo(id)
	}
	return nil
}

func (echo) unread() {}

// recordOutput is the answer to one event or to a batch.
type recordOutput struct {
	Status int
	Body   *recordAnswer
}

// recordAnswer is {status,event} or {status,results}.
type recordAnswer struct {
	Status  success       `json:"status"`
	Event   *event        `json:"event,omitempty"`
	Results []eventResult `json:"results,omitempty"`
}

// eventResult is what became of an event of a batch.
type eventResult struct {
	EventID string `json:"event_id" doc:"As it was sent; empty when an event that is not valid had none, or none that is text of at most 64 characters"`
	Status  string `json:"status" enum:"created,duplicate,invalid"`
	Message string `json:"message,omitempty" doc:"Why it is not valid"`
}

// Schema implements huma.SchemaProvider.
func (recordAnswer) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[eventAnswer](), true, ""), r.Schema(reflect.TypeFor[resultsAnswer](), true, ""),
	}}
}

// eventAnswer and resultsAnswer describe the two forms of a recordAnswer.
type (
	eventAnswer struct {
		Status success `json:"status"`
		Event  event   `json:"event"`
	}
	resultsAnswer struct {
		Status  success       `json:"status"`
		Results []eventResult `json:"results" nullable:"false" doc:"In the order of the batch"`
	}
)

func (s *Server) recordEvents(ctx context.Context, _ *struct{}, in *recordBody) (*recordOutput, error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	single, batch, err := parseRecord(in.raw)
	if err != nil {
		return nil, err
	}
	if err := s.takeEvents(ctx, len(batch)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if single != nil {
		return s.recordOne(ctx, caller.Card.ID, single)
	}
	return s.recordBatch(ctx, caller.Card.ID, batch)
}

// recordOne answers with the event as it is stored; whoever sends it again is
// answered the same.
func (s *Server) recordOne(ctx context.Context, id user.ID, body *eventBody) (*recordOutput, error) {
	activity, err := s.parseEvent(body, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	results, err := s.record(ctx, id, []user.Activity{activity})
	if err != nil {
		return nil, err
	}
	switch err := results[0].Err; {
	case err == nil:
		return &recordOutput{Status: http.StatusCreated, Body: &recordAnswer{Event: &event{wire.NewEvent(&activity, results[0].At)}}}, nil
	case !errors.Is(err, user.ErrAlreadyRecorded):
		return nil, err
	}
	stored, err := s.cfg.Activities.Event(ctx, id, activity.EventID)
	if err != nil {
		return nil, fmt.Errorf("read what was recorded of user %d: %w", id, err)
	}
	if stored.Kind == persistence.KindActivityErased {
		return nil, user.ErrEventDeleted // meanwhile
	}
	e, err := decodeEvent(&stored)
	if err != nil {
		return nil, fmt.Errorf("read record %d of user %d: %w", stored.Seq, id, err)
	}
	return &recordOutput{Status: http.StatusOK, Body: &recordAnswer{Event: &event{e}}}, nil
}

func (s *Server) record(ctx context.Context, id user.ID, activities []user.Activity) ([]usergrain.ActivityResult, error) {
	results, err := s.cfg.Grains.RecordActivities(ctx, id, activities)
	switch {
	case err != nil:
		return nil, fmt.Errorf("record events of user %d: %w", id, err)
	case len(results) != len(activities):
		return nil, fmt.Errorf("record events of user %d: %d answers to %d events", id, len(results), len(activities))
	}
	return results, nil
}

// recordBatch records what is valid and says what became of each.
func (s *Server) recordBatch(ctx context.Context, id user.ID, batch []json.RawMessage) (*recordOutput, error) {
	var (
		results    = make([]eventResult, len(batch))
		activities = make([]user.Activity, 0, len(batch))
		places     = make([]int, 0, len(batch)) // in results, of activities
		now        = s.cfg.Now()
	)
	for i, raw := range batch {
		activity, err := s.parseRaw(raw, now)
		if err != nil {
			results[i] = eventResult{EventID: activity.EventID, Status: "invalid", Message: judge(ctx, err).whole()}
			continue
		}
		activities, places = append(activities, activity), append(places, i)
	}
	if len(activities) > 0 {
		recorded, err := s.record(ctx, id, activities)
		if err != nil {
			return nil, err
		}
		for i, r := range recorded {
			results[places[i]] = resultOf(ctx, activities[i].EventID, r.Err)
		}
	}
	return &recordOutput{Status: http.StatusOK, Body: &recordAnswer{Results: results}}, nil
}

func resultOf(ctx context.Context, id string, err error) eventResult {
	switch {
	case err == nil:
		return eventResult{EventID: id, Status: "created"}
	case errors.Is(err, user.ErrAlreadyRecorded):
		return eventResult{EventID: id, Status: "duplicate"}
	}
	return eventResult{EventID: id, Status: "invalid", Message: judge(ctx, err).whole()}
}

// parseRaw reads an event of a batch. With an error it returns the id alone, as
// far as it can be repeated, wherever it stands.
func (s *Server) parseRaw(raw []byte, now time.Time) (user.Activity, error) {
	var body eventBody
	err := assign("", raw, reflect.ValueOf(&body).Elem(), false) // the batch was valid JSON
	if err == nil {
		var activity user.Activity
		if activity, err = s.parseEvent(&body, now); err == nil {
			return activity, nil
		}
	}
	var named struct {
		EventID echo `json:"event_id"`
	}
	_ = assign("", raw, reflect.ValueOf(&named).Elem(), false) // what is wrong is known
	return user.Activity{EventID: string(named.EventID)}, err
}

func (s *Server) parseEvent(b *eventBody, now time.Time) (user.Activity, error) {
	in := user.ActivityInput{
		Type: b.Type, MovieID: b.MovieID, Rating: string(b.Rating), Review: b.Review, Details: b.Details,
		SessionID: b.SessionID, SourcePage: b.Context.SourcePage, SourceSection: b.Context.SourceSection, OccurredAt: b.OccurredAt.Time,
	}
	if b.EventID != nil {
		in.EventID = *b.EventID
	} else {
		id, err := uuid.NewV7FromReader(s.cfg.Rand)
		if err != nil {
			return user.Activity{}, fmt.Errorf("make an event id: %w", err)
		}
		in.EventID = id.String()
	}
	activity, err := user.ParseActivity(in, now)
	if err != nil {
		return user.Activity{}, err //nolint:wrapcheck // a refusal
	}
	return activity, nil
}
