package streams_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/streams"
)

// known is a directory of users.
type known struct {
	identities map[user.ID]*persistence.Identity
	accounts   map[user.ID]*user.Account
}

func (k known) Identity(id user.ID) *persistence.Identity { return k.identities[id] }
func (k known) Account(id user.ID) *user.Account          { return k.accounts[id] }

// encode returns the public records of an event of user 7.
func encode(t *testing.T, e user.Event, d streams.Directory) ([]*kgo.Record, error) {
	t.Helper()
	kind, eventID, payload, err := usergrain.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	f, err := streams.NewFact(&persistence.Record{User: 7, Seq: 12, Kind: kind, At: e.RecordedAt(), EventID: eventID, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	return f.Encode(d)
}

func TestEncodedRecordsKeepTheirBytes(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 20, 14, 22, 0, 5000, time.UTC)
	ada, bob := user.UID{0: 7}, user.UID{0: 9}
	d := known{
		map[user.ID]*persistence.Identity{7: {UID: ada, Username: "ada", CreatedAt: at}, 9: {UID: bob, Username: "bob", Gone: true}},
		map[user.ID]*user.Account{7: {Card: user.Card{
			ID: 7, UID: ada, Username: "ada", Name: "Ada <3", Role: user.RoleCreator, Picture: "https://x/y", Followers: 1, Following: 2, Streams: 3, Videos: 4,
			Privacy: user.DefaultPrivacy(), CreatedAt: at, UpdatedAt: at, Version: 40,
		}, Email: "ada@example.com", Bio: "secret"}},
	}
	shown := `{"user":{"id":7,"uid":"07000000000000000000000000000000","username":"ada","name":"Ada \u003c3","role":"creator","profile_picture":"https://x/y",` +
		`"followers":1,"following":2,"total_streams":3,"total_videos":4,"created_at":"2024-01-20T14:22:00.000005Z","updated_at":"2024-01-20T14:22:00.000005Z"},` +
		`"privacy":{"profile_public":true,"watch_history_public":false,"show_ratings_public":true}}`
	for _, test := range []struct {
		event  user.Event
		kind   string
		values []string // of the topic, and of the compacted one
		topic  string
	}{
		{user.Registered{ID: 7, UID: ada, Username: "ada", Email: "ada@example.com", At: at}, "user.registered", []string{shown, shown}, streams.TopicUsers},
		{user.ProfileUpdated{Name: "older", Bio: "secret", At: at}, "user.updated", []string{shown, shown}, streams.TopicUsers},
		{user.PreferencesSet{At: at}, "user.updated", []string{shown, shown}, streams.TopicUsers},
		{user.PrivacySet{At: at}, "user.updated", []string{shown, shown}, streams.TopicUsers},
		{user.Deleted{At: at}, "user.deleted", []string{`{"uid":"07000000000000000000000000000000","username":"ada"}`, ""}, streams.TopicUsers},
		{user.Followed{Target: 9, At: at}, "followed", []string{`{"uid":"07000000000000000000000000000000","target_uid":"09000000000000000000000000000000"}`}, streams.TopicGraph},
		{user.Unfollowed{Target: 9, At: at}, "unfollowed", []string{`{"uid":"07000000000000000000000000000000","target_uid":"09000000000000000000000000000000"}`}, streams.TopicGraph},
		{user.CrewFollowed{Crew: 5, At: at}, "crew_followed", []string{`{"uid":"07000000000000000000000000000000","crew_member_id":5}`}, streams.TopicGraph},
		{user.CrewUnfollowed{Crew: 5, At: at}, "crew_unfollowed", []string{`{"uid":"07000000000000000000000000000000","crew_member_id":5}`}, streams.TopicGraph},
		{user.StudioFollowed{Studio: 5, At: at}, "studio_followed", []string{`{"uid":"07000000000000000000000000000000","studio_id":5}`}, streams.TopicGraph},
		{user.StudioUnfollowed{Studio: 5, At: at}, "studio_unfollowed", []string{`{"uid":"07000000000000000000000000000000","studio_id":5}`}, streams.TopicGraph},
		{
			user.ActivityRecorded{Activity: user.Activity{EventID: "e", Type: user.ActivityRating, MovieID: 5, Rating: 95, HasRating: true, OccurredAt: at}, At: at},
			"activity.recorded",
			[]string{`{"uid":"07000000000000000000000000000000","event":{"event_id":"e","type":"rating","movie_id":5,"rating":9.5,"occurred_at":"2024-01-20T14:22:00.000005Z","recorded_at":"2024-01-20T14:22:00.000005Z"}}`},
			streams.TopicActivity,
		},
		{user.ActivityErased{EventID: "e", At: at}, "activity.recorded", []string{`{"uid":"07000000000000000000000000000000","event_id":"e"}`}, streams.TopicActivity},
		{user.ActivityDeleted{EventID: "e", At: at}, "activity.deleted", []string{`{"uid":"07000000000000000000000000000000","event_id":"e"}`}, streams.TopicActivity},
	} {
		records, err := encode(t, test.event, d)
		if err != nil {
			t.Errorf("%T: %v", test.event, err)
			continue
		}
		topics := []string{test.topic, streams.TopicLatestUsers}
		var values []string
		for i, r := range records {
			values = append(values, string(r.Value))
			if r.Topic != topics[i] || string(r.Key) != ada.String() || (r.Value == nil) != (test.values[i] == "") {
				t.Errorf("%T: record %d has topic %s and key %s", test.event, i, r.Topic, r.Key)
			}
			var headers []string
			for _, h := range r.Headers {
				headers = append(headers, h.Key+"="+string(h.Value))
			}
			want := []string{
				"ce_specversion=1.0", "ce_id=" + ada.String() + "/12", "ce_type=" + test.kind, "ce_time=2024-01-20T14:22:00.000005Z",
				"ce_source=kith", "ce_subject=" + ada.String(), "content-type=application/json",
			}
			if !slices.Equal(headers, want) {
				t.Errorf("%T: headers %v, want %v", test.event, headers, want)
			}
		}
		if !slices.Equal(values, test.values) {
			t.Errorf("%T:\n%s\nwant\n%s", test.event, values, test.values)
		}
	}
}

func TestAUserWhoNeverRegisteredIsNotPublished(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0)
	for _, d := range []known{{}, {identities: map[user.ID]*persistence.Identity{7: {Username: "ada"}}}} {
		if _, err := encode(t, user.Followed{Target: 9, At: at}, d); !errors.Is(err, streams.ErrUnknownUser) {
			t.Errorf("error %v, want an unknown user", err)
		}
	}
}

func TestWhatOthersDidIsPublishedFromTheirJournal(t *testing.T) {
	t.Parallel()
	for kind := persistence.KindRegistered; kind <= persistence.KindContentCounted; kind++ {
		silent := kind == persistence.KindFollowerAdded || kind == persistence.KindFollowerRemoved || kind == persistence.KindSevered || kind == persistence.KindContentCounted
		if streams.Published(kind) == silent {
			t.Errorf("kind %d is published: %v", kind, !silent)
		}
	}
}
