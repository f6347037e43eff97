package streams

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/wire"
	"kith/wire/payload"
)

// The types of public records.
const (
	typeActivityRecorded = "activity.recorded"
	typeActivityDeleted  = "activity.deleted"
	typeFollowed         = "followed"
	typeUnfollowed       = "unfollowed"
	typeCrewFollowed     = "crew_followed"
	typeCrewUnfollowed   = "crew_unfollowed"
	typeStudioFollowed   = "studio_followed"
	typeStudioUnfollowed = "studio_unfollowed"
	typeUserRegistered   = "user.registered"
	typeUserUpdated      = "user.updated"
	typeUserDeleted      = "user.deleted"
)

// ErrUnknownUser is matched when a record names a user who never registered.
var ErrUnknownUser = errors.New("streams: the record names a user who never registered")

// Published reports whether records of a kind are published.
func Published(kind persistence.Kind) bool {
	switch kind {
	case persistence.KindRegistered, persistence.KindProfileUpdated, persistence.KindPreferencesSet, persistence.KindPrivacySet, persistence.KindDeleted,
		persistence.KindFollowed, persistence.KindUnfollowed,
		persistence.KindCrewFollowed, persistence.KindCrewUnfollowed, persistence.KindStudioFollowed, persistence.KindStudioUnfollowed,
		persistence.KindActivityRecorded, persistence.KindActivityErased, persistence.KindActivityDeleted:
		return true
	case persistence.KindFollowerAdded, persistence.KindFollowerRemoved, persistence.KindSevered, persistence.KindContentCounted:
	}
	return false
}

// Fact is a journal record of a published kind, read. It names users by numbers
// that mean nothing outside, so it says whom it needs to know before it can be
// encoded.
type Fact struct {
	user  user.ID
	seq   uint64
	event user.Event
}

// NewFact reads a record of a published kind.
func NewFact(r *persistence.Record) (Fact, error) {
	event, err := usergrain.DecodeRecord(r)
	if err != nil {
		return Fact{}, fmt.Errorf("read a record to publish: %w", err)
	}
	return Fact{user: r.User, seq: r.Seq, event: event}, nil
}

// Users returns whom f names: the user whose journal it is in, and the other one
// or 0.
func (f Fact) Users() (self, other user.ID) {
	if e, ok := f.event.(user.Followed); ok {
		return f.user, e.Target
	}
	if e, ok := f.event.(user.Unfollowed); ok {
		return f.user, e.Target
	}
	return f.user, 0
}

// NeedsAccount reports whether f shows the whole user.
func (f Fact) NeedsAccount() bool {
	switch f.event.(type) {
	case user.Registered, user.ProfileUpdated, user.PreferencesSet, user.PrivacySet:
		return true
	case user.Deleted, user.Followed, user.Unfollowed, user.CrewFollowed, user.CrewUnfollowed, user.StudioFollowed, user.StudioUnfollowed,
		user.ActivityRecorded, user.ActivityErased, user.ActivityDeleted, user.FollowerAdded, user.FollowerRemoved, user.Severed, user.ContentCounted:
	}
	return false
}

// Directory is what facts are told of users.
type Directory interface {
	// Identity returns who bore an id, nil when nobody ever did.
	Identity(id user.ID) *persistence.Identity
	// Account returns the row of a user whom a fact shows, nil when it is gone.
	Account(id user.ID) *user.Account
}

// Encode returns the public records of f: one, or for a change of a user two,
// the second for the compacted topic.
//
// Of a registration or an update the journal knows only what changed, and a
// topic shows the whole user: the row as it is when the record is published,
// which is never older than the record. Of a user who is gone by then it shows
// only what a deletion shows, and in the compacted topic nothing.
func (f Fact) Encode(d Directory) ([]*kgo.Record, error) {
	who := d.Identity(f.user)
	if who == nil {
		return nil, fmt.Errorf("user %d: %w", f.user, ErrUnknownUser)
	}
	uid := who.UID.String()
	m := message{uid: uid, seq: f.seq, at: f.event.RecordedAt()}
	switch e := f.event.(type) {
	case user.Registered:
		return f.encodeUser(&m, typeUserRegistered, who, d.Account(f.user))
	case user.ProfileUpdated, user.PreferencesSet, user.PrivacySet:
		return f.encodeUser(&m, typeUserUpdated, who, d.Account(f.user))
	case user.Deleted:
		deleted, err := m.record(TopicUsers, typeUserDeleted, payload.UserDeleted{UID: uid, Username: who.Username})
		if err != nil {
			return nil, err
		}
		return []*kgo.Record{deleted, m.tombstone(typeUserDeleted)}, nil

	case user.Followed:
		return f.encodeEdge(&m, typeFollowed, d.Identity(e.Target))
	case user.Unfollowed:
		return f.encodeEdge(&m, typeUnfollowed, d.Identity(e.Target))
	case user.CrewFollowed:
		return m.one(TopicGraph, typeCrewFollowed, payload.CrewEdge{UID: uid, Crew: e.Crew})
	case user.CrewUnfollowed:
		return m.one(TopicGraph, typeCrewUnfollowed, payload.CrewEdge{UID: uid, Crew: e.Crew})
	case user.StudioFollowed:
		return m.one(TopicGraph, typeStudioFollowed, payload.StudioEdge{UID: uid, Studio: e.Studio})
	case user.StudioUnfollowed:
		return m.one(TopicGraph, typeStudioUnfollowed, payload.StudioEdge{UID: uid, Studio: e.Studio})

	case user.ActivityRecorded:
		event := wire.NewEvent(&e.Activity, e.At)
		return m.one(TopicActivity, typeActivityRecorded, payload.ActivityRecorded{UID: uid, Event: &event})
	case user.ActivityErased:
		return m.one(TopicActivity, typeActivityRecorded, payload.ActivityRecorded{UID: uid, EventID: e.EventID})
	case user.ActivityDeleted:
		return m.one(TopicActivity, typeActivityDeleted, payload.ActivityDeleted{UID: uid, EventID: e.EventID})

	case user.FollowerAdded, user.FollowerRemoved, user.Severed, user.ContentCounted:
	}
	return nil, fmt.Errorf("a %T is not published", f.event)
}

// EncodeLatest returns the record of the compacted topic for a row as it is.
func EncodeLatest(a *user.Account) (*kgo.Record, error) {
	m := message{uid: a.UID.String(), seq: a.Version, at: a.UpdatedAt}
	return m.record(TopicLatestUsers, typeUserUpdated, shown(a))
}

func shown(a *user.Account) payload.UserState {
	return payload.UserState{User: persistence.NewCard(a.Card).JSON, Privacy: wire.NewPrivacy(a.Privacy)}
}

func (f Fact) encodeUser(m *message, kind string, who *persistence.Identity, a *user.Account) ([]*kgo.Record, error) {
	if a == nil {
		gone := &user.Account{Card: user.Card{ID: f.user, UID: who.UID, Username: who.Username, Role: user.RoleUser, CreatedAt: who.CreatedAt, UpdatedAt: m.at}}
		record, err := m.record(TopicUsers, kind, shown(gone))
		if err != nil {
			return nil, err
		}
		return []*kgo.Record{record, m.tombstone(kind)}, nil
	}
	record, err := m.record(TopicUsers, kind, shown(a))
	if err != nil {
		return nil, err
	}
	latest := *record // the fields are never changed
	latest.Topic = TopicLatestUsers
	return []*kgo.Record{record, &latest}, nil
}

func (f Fact) encodeEdge(m *message, kind string, target *persistence.Identity) ([]*kgo.Record, error) {
	if target == nil {
		return nil, fmt.Errorf("target of user %d: %w", f.user, ErrUnknownUser)
	}
	return m.one(TopicGraph, kind, payload.UserEdge{UID: m.uid, Target: target.UID.String()})
}

// message is what the records made of one journal record have in common.
type message struct {
	uid string
	seq uint64
	at  time.Time
}

func (m *message) one(topic, kind string, value any) ([]*kgo.Record, error) {
	r, err := m.record(topic, kind, value)
	if err != nil {
		return nil, err
	}
	return []*kgo.Record{r}, nil
}

func (m *message) record(topic, kind string, value any) (*kgo.Record, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode a %s: %w", kind, err)
	}
	return &kgo.Record{Topic: topic, Key: []byte(m.uid), Value: b, Headers: m.headers(kind)}, nil
}

// tombstone makes the compacted topic forget the user.
func (m *message) tombstone(kind string) *kgo.Record {
	return &kgo.Record{Topic: TopicLatestUsers, Key: []byte(m.uid), Headers: m.headers(kind)}
}

// headers are the attributes of CloudEvents 1.0 in binary mode. The time of the
// Kafka record itself is left to the producer: retention counts from there.
func (m *message) headers(kind string) []kgo.RecordHeader {
	return []kgo.RecordHeader{
		{Key: "ce_specversion", Value: []byte("1.0")},
		{Key: "ce_id", Value: []byte(m.uid + "/" + strconv.FormatUint(m.seq, 10))},
		{Key: "ce_type", Value: []byte(kind)},
		{Key: "ce_time", Value: []byte(m.at.UTC().Format(time.RFC3339Nano))},
		{Key: "ce_source", Value: []byte("kith")},
		{Key: "ce_subject", Value: []byte(m.uid)},
		{Key: "content-type", Value: []byte("application/json")},
	}
}
