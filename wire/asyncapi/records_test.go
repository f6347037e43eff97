package asyncapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/streams"
	"kith/wire/asyncapi"
	"kith/wire/payload"
)

// moment is when everything here happens.
var moment = time.Date(2024, 1, 20, 14, 22, 0, 5000, time.UTC)

// Of the two users, ada does everything.
var (
	ada = user.Account{Card: user.Card{
		ID: 7, UID: user.UID{1, 15: 7}, Username: "ada", Name: "Ada <3", Role: user.RoleCreator, Picture: "https://example.com/ada.png",
		Followers: 1, Following: 2, Streams: 3, Videos: 4, Privacy: user.DefaultPrivacy(), CreatedAt: moment.Add(-time.Hour), UpdatedAt: moment, Version: 12,
	}, Email: "ada@example.com", Bio: "secret"}
	bob = user.UID{1, 15: 9}
)

// directory knows the two; gone says that ada is no more.
type directory struct{ gone bool }

func (d directory) Identity(id user.ID) *persistence.Identity {
	if id == ada.ID {
		return &persistence.Identity{UID: ada.UID, Username: ada.Username, CreatedAt: ada.CreatedAt, Gone: d.gone}
	}
	return &persistence.Identity{UID: bob, Username: "bob"}
}

func (d directory) Account(user.ID) *user.Account {
	if d.gone {
		return nil
	}
	return &ada
}

// published returns the records of an event of ada's.
func published(t *testing.T, e user.Event, d directory) []*kgo.Record {
	t.Helper()
	kind, eventID, stored, err := usergrain.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	f, err := streams.NewFact(&persistence.Record{User: ada.ID, Seq: 12, Kind: kind, At: e.RecordedAt(), EventID: eventID, Payload: stored})
	if err != nil {
		t.Fatal(err)
	}
	records, err := f.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// everything is an activity with all that one can have.
var everything = user.Activity{
	EventID: "evt-1", Type: user.ActivityReview, MovieID: 603, Rating: 95, HasRating: true, Review: "Whoa & <again>", Details: []byte(`{"device":"tv"}`),
	SessionID: "s-1", SourcePage: "home", SourceSection: "top", OccurredAt: moment.Add(-time.Minute),
}

// samples are the records of every type, by the key of the message and a variant. What
// others write, and dead letters, are written by hand.
func samples(t *testing.T) map[string]*kgo.Record {
	t.Helper()
	least := user.Activity{EventID: "evt-2", Type: user.ActivityView, MovieID: 603, OccurredAt: moment}
	one := func(e user.Event) *kgo.Record { return published(t, e, directory{})[0] }
	latest := func(e user.Event) *kgo.Record { return published(t, e, directory{})[1] }
	refilled, err := streams.EncodeLatest(&ada)
	if err != nil {
		t.Fatal(err)
	}
	registered := user.Registered{ID: ada.ID, UID: ada.UID, Username: "ada", At: moment}
	return map[string]*kgo.Record{
		"activityRecorded":           one(user.ActivityRecorded{Activity: everything, At: moment}),
		"activityRecorded.least":     one(user.ActivityRecorded{Activity: least, At: moment}),
		"activityRecorded.erased":    one(user.ActivityErased{EventID: "evt-1", At: moment}),
		"activityDeleted":            one(user.ActivityDeleted{EventID: "evt-1", At: moment}),
		"followed":                   one(user.Followed{Target: 9, At: moment}),
		"unfollowed":                 one(user.Unfollowed{Target: 9, At: moment}),
		"crewFollowed":               one(user.CrewFollowed{Crew: 5, At: moment}),
		"crewUnfollowed":             one(user.CrewUnfollowed{Crew: 5, At: moment}),
		"studioFollowed":             one(user.StudioFollowed{Studio: 6, At: moment}),
		"studioUnfollowed":           one(user.StudioUnfollowed{Studio: 6, At: moment}),
		"userRegistered":             one(registered),
		"userRegistered.gone":        published(t, registered, directory{gone: true})[0],
		"userRegistered.latest":      latest(registered),
		"userUpdated":                one(user.ProfileUpdated{Name: "Ada", At: moment}),
		"userUpdated.latest":         latest(user.PrivacySet{At: moment}),
		"userUpdated.refilled":       refilled,
		"userDeleted":                one(user.Deleted{At: moment}),
		"userTombstone":              latest(user.Deleted{At: moment}),
		"userTombstone.gone":         published(t, registered, directory{gone: true})[1],
		"contentChanged":             {Topic: streams.TopicContent, Key: []byte(bob.String()), Value: []byte(`{"id":"stream/1","uid":"` + bob.String() + `","streams":1,"videos":-2}`)},
		"contentChanged.streamsOnly": {Topic: streams.TopicContent, Key: []byte(bob.String()), Value: []byte(`{"id":"stream/2","uid":"` + bob.String() + `","streams":1}`)},
		"deadLetter": {Topic: streams.TopicDeadLetter, Key: []byte("any key"), Value: []byte("any value"), Headers: []kgo.RecordHeader{
			{Key: "kith_reason", Value: []byte("bad")},
			{Key: "kith_error", Value: []byte("content: not UTF-8")},
			{Key: "kith_topic", Value: []byte(streams.TopicContent)},
			{Key: "kith_partition", Value: []byte("0")},
			{Key: "kith_offset", Value: []byte("7")},
			{Key: "kith_value_bytes", Value: []byte("100000")},
		}},
	}
}

// valueTypes are what the values of records are made of, by the key of the message.
func valueTypes() map[string]encoder {
	return map[string]encoder{
		"activityRecorded": through[payload.ActivityRecorded](),
		"activityDeleted":  through[payload.ActivityDeleted](),
		"followed":         through[payload.UserEdge](),
		"unfollowed":       through[payload.UserEdge](),
		"crewFollowed":     through[payload.CrewEdge](),
		"crewUnfollowed":   through[payload.CrewEdge](),
		"studioFollowed":   through[payload.StudioEdge](),
		"studioUnfollowed": through[payload.StudioEdge](),
		"userRegistered":   through[payload.UserState](),
		"userUpdated":      through[payload.UserState](),
		"userDeleted":      through[payload.UserDeleted](),
		"contentChanged":   through[payload.ContentChanged](),
	}
}

// written shows a record: topic and key, headers, and behind an empty line the value.
func written(r *kgo.Record) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "topic: %s\nkey: %s\n", r.Topic, r.Key)
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Key, h.Value)
	}
	if r.Value != nil {
		fmt.Fprintf(&b, "\n%s\n", r.Value)
	}
	return b.Bytes()
}

func TestRecordsAreAsDescribed(t *testing.T) {
	t.Parallel()
	d, document := asyncapi.New("dev"), described(t)
	fields := seen{}
	for name, r := range samples(t) {
		golden(t, "testdata/records/"+name+".txt", written(r), true)
		key, _, _ := strings.Cut(name, ".")
		m := d.Components.Messages[key]
		if m == nil || !onChannel(d, r.Topic, key) {
			t.Errorf("%s is not described on %s", key, r.Topic)
			continue
		}
		if m.Headers != nil {
			headers := encode(t, headersOf(r))
			valid(t, name+", its headers,", d, m.Headers, headers)
			fields.note(key+" headers", headersOf(r))
		}
		switch tombstone := r.Value == nil; {
		case tombstone != (m.Payload.Type == "null"):
			t.Errorf("%s: it is a tombstone: %v", name, tombstone)
		case !tombstone && m.ContentType == "":
			valid(t, name, d, m.Payload, r.Value)
			same(t, name, valueTypes()[key], r.Value)
			value := decode(t, r.Value)
			fields.note(key, value)
			sameUser(t, name, r.Value)
		}
	}
	for _, key := range keys(at(document, "components", "messages")) {
		if strings.HasSuffix(key, "Frame") {
			continue
		}
		fields.whole(t, document, key, at(document, "components", "messages", key, "payload"))
		if headers := at(document, "components", "messages", key, "headers"); headers != nil {
			fields.whole(t, document, key+" headers", headers)
		}
	}
}

// sameUser wants that the user object of a value or of a frame, if it has one, is the
// described one.
func sameUser(t *testing.T, what string, b []byte) {
	t.Helper()
	var value struct {
		User json.RawMessage `json:"user"`
		Data struct {
			User json.RawMessage `json:"user"`
		} `json:"data"`
	}
	if err := json.Unmarshal(b, &value); err != nil {
		t.Fatal(err)
	}
	if shown := append(value.User, value.Data.User...); len(shown) > 0 {
		same(t, what+", its user", through[payload.User](), shown)
	}
}

func headersOf(r *kgo.Record) object {
	headers := object{}
	for _, h := range r.Headers {
		headers[h.Key] = string(h.Value)
	}
	return headers
}

// onChannel reports whether a topic is described to have a message.
func onChannel(d *asyncapi.Document, topic, key string) bool {
	for _, c := range d.Channels {
		if _, ok := c.Messages[key]; ok && c.Address == topic {
			return true
		}
	}
	return false
}
