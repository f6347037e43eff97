package wire_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/wire"
)

func TestAnEventIsWritten(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 20, 14, 22, 0, 5000, time.UTC)
	for name, test := range map[string]struct {
		activity user.Activity
		want     string
	}{
		"with everything": {
			user.Activity{
				EventID: "e-1", Type: user.ActivityReview, MovieID: 9_007_199_254_740_993, Rating: 75, HasRating: true, Review: "fine", Details: []byte(`{"n":[1]}`),
				SessionID: "s", SourcePage: "home", SourceSection: "top", OccurredAt: at.Add(-time.Hour),
			},
			`{"event_id":"e-1","type":"review","movie_id":9007199254740993,"rating":7.5,"review":"fine","event_details":{"n":[1]},"session_id":"s",` +
				`"context":{"source_page":"home","source_section":"top"},"occurred_at":"2024-01-20T13:22:00.000005Z","recorded_at":"2024-01-20T14:22:00.000005Z"}`,
		},
		"with what must be there": {
			user.Activity{EventID: "e", Type: user.ActivityView, MovieID: 1, OccurredAt: at},
			`{"event_id":"e","type":"view","movie_id":1,"occurred_at":"2024-01-20T14:22:00.000005Z","recorded_at":"2024-01-20T14:22:00.000005Z"}`,
		},
		"rated zero": {
			user.Activity{EventID: "e", Type: user.ActivityRating, MovieID: 1, HasRating: true, SourceSection: "top", OccurredAt: at},
			`{"event_id":"e","type":"rating","movie_id":1,"rating":0,"context":{"source_section":"top"},"occurred_at":"2024-01-20T14:22:00.000005Z","recorded_at":"2024-01-20T14:22:00.000005Z"}`,
		},
	} {
		got, err := json.Marshal(wire.NewEvent(&test.activity, at))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, test.want)
		}
	}
}

func TestARatingIsWrittenInTenths(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tenths := rapid.Int32Range(0, 100).Draw(t, "tenths")
		e := wire.NewEvent(&user.Activity{Rating: tenths, HasRating: true}, time.Time{})
		b, err := json.Marshal(*e.Rating)
		if err != nil || len(b) > len("9.9") {
			t.Fatalf("%d tenths are written as %s (%v)", tenths, b, err)
		}
	})
}

func TestPrivacyIsWritten(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(wire.NewPrivacy(user.DefaultPrivacy()))
	if want := `{"profile_public":true,"watch_history_public":false,"show_ratings_public":true}`; err != nil || string(b) != want {
		t.Errorf("%s (%v), want %s", b, err, want)
	}
}

func TestAnActivityAndANotificationAreWritten(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 20, 14, 22, 0, 5000, time.UTC)
	uid := user.UID{1, 0xff, 15: 9}
	who := json.RawMessage(`{"username":"ada"}`)
	event := wire.NewEvent(&user.Activity{EventID: "e", Type: user.ActivityView, MovieID: 1, OccurredAt: at}, at)
	for want, v := range map[string]any{
		`{"id":"01ff0000000000000000000000000009/7","user":{"username":"ada"},"event":{"event_id":"e","type":"view","movie_id":1,` +
			`"occurred_at":"2024-01-20T14:22:00.000005Z","recorded_at":"2024-01-20T14:22:00.000005Z"}}`: wire.FeedActivity{ID: wire.RecordID(uid, 7), Activity: wire.Activity{User: who, Event: event}},
		`{"user":{"username":"ada"},"event":{"event_id":"e","type":"view","movie_id":1,` +
			`"occurred_at":"2024-01-20T14:22:00.000005Z","recorded_at":"2024-01-20T14:22:00.000005Z"}}`: wire.Activity{User: who, Event: event},
		`{"id":"01ff0000000000000000000000000009/18446744073709551615","type":"follower.added","time":"2024-01-20T14:22:00.000005Z","user":{"username":"ada"}}`: wire.NewFollower(uid, 1<<64-1, at.In(time.FixedZone("", 3600)), who),
	} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s (%v), want %s", got, err, want)
		}
	}
}

func TestARecordIDIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		uid := user.UID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uid"))
		seq := rapid.Uint64Range(1, 1<<63-1).Draw(t, "seq")
		if u, s, ok := wire.ParseRecordID(wire.RecordID(uid, seq)); !ok || u != uid || s != seq {
			t.Fatalf("%v, %d, %v", u, s, ok)
		}
	})
	id := wire.RecordID(user.UID{0xab}, 12)
	for _, bad := range []string{"", "/", id[:33], id[1:], "AB" + id[2:], "x" + id[1:], id + " ", id[:33] + "0", id[:33] + "012", id[:33] + "-1", id[:33] + "+1", id[:33] + "9223372036854775808", id + "/1", id[:33] + "1e3"} {
		if _, _, ok := wire.ParseRecordID(bad); ok {
			t.Errorf("%q is read", bad)
		}
	}
}

func FuzzParseRecordID(f *testing.F) {
	f.Add(wire.RecordID(user.UID{1}, 1))
	f.Add("01/1")
	f.Fuzz(func(t *testing.T, id string) {
		if uid, seq, ok := wire.ParseRecordID(id); ok && wire.RecordID(uid, seq) != id {
			t.Errorf("%q is read, and was never written", id)
		}
	})
}
