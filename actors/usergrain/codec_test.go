package usergrain_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	kithv1 "kith/proto/kith/v1"
)

var update = flag.Bool("update", false, "rewrite the golden bytes in testdata; for new kinds only, since what is stored must decode for ever")

var (
	goldenTime = time.Date(2024, 1, 15, 10, 30, 0, 123456000, time.UTC)
	goldenUID  = user.UID{0x01, 0x90, 0xa1, 0xb2, 0xc3, 0xd4, 0x7e, 0x5f, 0x80, 1, 2, 3, 4, 5, 6, 7}
)

// goldenEvents has one event of each kind, with every field set.
func goldenEvents() map[persistence.Kind]user.Event {
	at := goldenTime
	return map[persistence.Kind]user.Event{
		persistence.KindRegistered:       user.Registered{ID: 7, UID: goldenUID, Username: "ada", Name: "Ada", Email: "ada@example.com", At: at},
		persistence.KindProfileUpdated:   user.ProfileUpdated{Name: "Ada", Picture: "https://example.com/a.jpg", Role: user.RoleCreator, Bio: "engines\n", Email: "ada@example.com", At: at},
		persistence.KindPreferencesSet:   user.PreferencesSet{Preferences: user.Preferences{FavGenres: []int64{300, 1}, AdultContent: true, Notifications: map[string]bool{"email": false, "push": true}, Language: "pt-BR"}, At: at},
		persistence.KindPrivacySet:       user.PrivacySet{Privacy: user.Privacy{Profile: true, WatchHistory: true, Ratings: true}, At: at},
		persistence.KindFollowed:         user.Followed{Target: math.MaxInt64, At: at},
		persistence.KindUnfollowed:       user.Unfollowed{Target: 300, At: at},
		persistence.KindCrewFollowed:     user.CrewFollowed{Crew: math.MaxInt64, At: at},
		persistence.KindCrewUnfollowed:   user.CrewUnfollowed{Crew: 300, At: at},
		persistence.KindStudioFollowed:   user.StudioFollowed{Studio: math.MaxInt64, At: at},
		persistence.KindStudioUnfollowed: user.StudioUnfollowed{Studio: 300, At: at},
		persistence.KindActivityRecorded: user.ActivityRecorded{Activity: user.Activity{
			EventID: "e-1", Type: user.ActivityReview, MovieID: 300, Rating: 95, HasRating: true, Review: "good\n", Details: []byte(`{"a":1}`),
			SessionID: "s", SourcePage: "p", SourceSection: "x", OccurredAt: at.Add(-time.Hour),
		}, At: at},
		persistence.KindActivityErased:  user.ActivityErased{EventID: "e-1", At: at},
		persistence.KindActivityDeleted: user.ActivityDeleted{EventID: "e-1", At: at},
		persistence.KindFollowerAdded:   user.FollowerAdded{Source: 300, Lane: 63, Pos: 1 << 40, FollowedAt: at.Add(-time.Second), At: at},
		persistence.KindFollowerRemoved: user.FollowerRemoved{Source: 300, Lane: 63, Pos: 1 << 40, At: at},
		persistence.KindSevered:         user.Severed{Gone: 300, At: at},
		persistence.KindDeleted:         user.Deleted{At: at},
		persistence.KindContentCounted:  user.ContentCounted{ID: "stream/1", Streams: -300, Videos: 1 << 40, At: at},
	}
}

// lastKind is the highest kind that is stored.
const lastKind = persistence.KindContentCounted

func TestStoredRecordsKeepTheirBytes(t *testing.T) {
	t.Parallel()
	events := goldenEvents()
	for kind := persistence.Kind(1); kind <= lastKind; kind++ {
		t.Run(fmt.Sprintf("%T", events[kind]), func(t *testing.T) {
			t.Parallel()
			r, err := record(events[kind])
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind != kind {
				t.Errorf("kind %d, want %d", r.Kind, kind)
			}
			name := fmt.Sprintf("record-%02d", kind)
			golden(t, name, r.Payload)
			r.Payload = readGolden(t, name)
			got, err := usergrain.DecodeRecord(&r)
			if diff := cmp.Diff(events[kind], got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// golden compares b with the hex digits in testdata, or writes them.
func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(goldenPath(name), []byte(hex.Dump(b)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(hex.Dump(readGolden(t, name)), hex.Dump(b)); diff != "" {
		t.Errorf("%s changed (-stored +now):\n%s", name, diff)
	}
}

func goldenPath(name string) string { return filepath.Join("testdata", name+".hex") }

// readGolden undoes hex.Dump.
func readGolden(t *testing.T, name string) []byte {
	t.Helper()
	dump, err := os.ReadFile(goldenPath(name))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(dump)) {
		line, _, _ = strings.Cut(line, "|")
		_, line, _ = strings.Cut(line, "  ") // the offset
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// record returns what user 7 stores of e.
func record(e user.Event) (persistence.Record, error) {
	kind, eventID, payload, err := usergrain.EncodeEvent(e)
	return persistence.Record{User: 7, Seq: 1, Kind: kind, EventID: eventID, Payload: payload, At: e.RecordedAt()}, err
}

func TestEncodingIsTheIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent(t)
		r, err := record(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := usergrain.DecodeRecord(&r)
		if diff := cmp.Diff(e, got); err != nil || diff != "" {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		if !r.At.Equal(got.RecordedAt()) {
			t.Fatalf("recorded at %v, want %v", got.RecordedAt(), r.At)
		}
		if (r.EventID != "") != (r.Kind == persistence.KindActivityRecorded || r.Kind == persistence.KindActivityErased || r.Kind == persistence.KindContentCounted) {
			t.Fatalf("a record of kind %d has the event id %q in its column", r.Kind, r.EventID)
		}
	})
}

func anyEvent(t *rapid.T) user.Event {
	at := anyTime(t)
	id := user.ID(rapid.Uint64Range(1, math.MaxInt64).Draw(t, "id"))
	number := rapid.Int64Range(1, math.MaxInt64).Draw(t, "number")
	text := rapid.StringN(0, 20, -1)
	eventID := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)
	lane, pos := rapid.Uint8Range(0, persistence.LaneCount-1).Draw(t, "lane"), rapid.Uint64Range(1, math.MaxInt64).Draw(t, "pos")
	switch kind := persistence.Kind(rapid.Uint8Range(1, uint8(lastKind)).Draw(t, "kind")); kind {
	case persistence.KindRegistered:
		return user.Registered{ID: 7, UID: anyUID(t), Username: text.Draw(t, "username"), Name: text.Draw(t, "name"), Email: text.Draw(t, "email"), At: at}
	case persistence.KindProfileUpdated:
		return user.ProfileUpdated{
			Name: text.Draw(t, "name"), Picture: text.Draw(t, "picture"), Role: rapid.SampledFrom([]user.Role{user.RoleUser, user.RoleCreator, user.RoleAdmin}).Draw(t, "role"),
			Bio: text.Draw(t, "bio"), Email: text.Draw(t, "email"), At: at,
		}
	case persistence.KindPreferencesSet:
		return user.PreferencesSet{Preferences: anyPreferences(t), At: at}
	case persistence.KindPrivacySet:
		return user.PrivacySet{Privacy: anyPrivacy(t), At: at}
	case persistence.KindFollowed:
		return user.Followed{Target: id, At: at}
	case persistence.KindUnfollowed:
		return user.Unfollowed{Target: id, At: at}
	case persistence.KindCrewFollowed:
		return user.CrewFollowed{Crew: number, At: at}
	case persistence.KindCrewUnfollowed:
		return user.CrewUnfollowed{Crew: number, At: at}
	case persistence.KindStudioFollowed:
		return user.StudioFollowed{Studio: number, At: at}
	case persistence.KindStudioUnfollowed:
		return user.StudioUnfollowed{Studio: number, At: at}
	case persistence.KindActivityRecorded:
		return user.ActivityRecorded{Activity: anyActivity(t), At: at}
	case persistence.KindActivityErased:
		return user.ActivityErased{EventID: eventID.Draw(t, "event id"), At: at}
	case persistence.KindActivityDeleted:
		return user.ActivityDeleted{EventID: eventID.Draw(t, "event id"), At: at}
	case persistence.KindFollowerAdded:
		return user.FollowerAdded{Source: id, Lane: lane, Pos: pos, FollowedAt: anyTime(t), At: at}
	case persistence.KindFollowerRemoved:
		return user.FollowerRemoved{Source: id, Lane: lane, Pos: pos, At: at}
	case persistence.KindSevered:
		return user.Severed{Gone: id, At: at}
	case persistence.KindDeleted:
		return user.Deleted{At: at}
	case persistence.KindContentCounted:
		return user.ContentCounted{ID: eventID.Draw(t, "content id"), Streams: number, Videos: -number, At: at}
	default:
		t.Fatalf("no event of kind %d", kind)
		return nil
	}
}

// anyTime is any but the first microsecond of 1970, which stands for no time.
func anyTime(t *rapid.T) time.Time {
	end := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMicro()
	return time.UnixMicro(rapid.Int64Range(1, end).Draw(t, "time")).UTC()
}

func anyUID(t *rapid.T) user.UID {
	return user.UID(append([]byte{1}, rapid.SliceOfN(rapid.Byte(), 15, 15).Draw(t, "uid")...))
}

func anyPrivacy(t *rapid.T) user.Privacy {
	return user.Privacy{Profile: rapid.Bool().Draw(t, "profile"), WatchHistory: rapid.Bool().Draw(t, "watch history"), Ratings: rapid.Bool().Draw(t, "ratings")}
}

func anyPreferences(t *rapid.T) user.Preferences {
	return user.Preferences{
		FavGenres:     rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64), 0, 5).Draw(t, "genres"),
		AdultContent:  rapid.Bool().Draw(t, "adult content"),
		Notifications: rapid.MapOfN(rapid.StringN(1, 10, -1), rapid.Bool(), 0, 4).Draw(t, "notifications"),
		Language:      rapid.SampledFrom([]string{"en", "pt-BR"}).Draw(t, "language"),
	}
}

func anyActivity(t *rapid.T) user.Activity {
	text := rapid.StringN(0, 20, -1)
	a := user.Activity{
		EventID: rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`).Draw(t, "event id"),
		Type:    rapid.SampledFrom([]user.ActivityType{user.ActivityView, user.ActivityRating, user.ActivityReview}).Draw(t, "type"),
		MovieID: rapid.Int64Range(1, math.MaxInt64).Draw(t, "movie"), HasRating: rapid.Bool().Draw(t, "rated"), Review: text.Draw(t, "review"),
		SessionID: text.Draw(t, "session"), SourcePage: text.Draw(t, "page"), SourceSection: text.Draw(t, "section"), OccurredAt: anyTime(t),
	}
	if a.HasRating {
		a.Rating = rapid.Int32Range(0, 100).Draw(t, "rating")
	}
	if rapid.Bool().Draw(t, "detailed") {
		a.Details = []byte(`{"a":1}`)
	}
	return a
}

func TestDecodeRecordRefuses(t *testing.T) {
	t.Parallel()
	uid := goldenUID[:]
	for name, c := range map[string]struct {
		kind    persistence.Kind
		eventID string
		message proto.Message
	}{
		"an unknown kind":                   {lastKind + 1, "", &kithv1.Deleted{}},
		"the kind 0":                        {0, "", &kithv1.Deleted{}},
		"a uid that is too short":           {persistence.KindRegistered, "", &kithv1.Registered{Uid: uid[:15]}},
		"a uid of zeros":                    {persistence.KindRegistered, "", &kithv1.Registered{Uid: make([]byte, 16)}},
		"following nobody":                  {persistence.KindFollowed, "", &kithv1.Followed{}},
		"following above 63 bits":           {persistence.KindFollowed, "", &kithv1.Followed{Target: 1 << 63}},
		"unfollowing nobody":                {persistence.KindUnfollowed, "", &kithv1.Unfollowed{}},
		"no crew member":                    {persistence.KindCrewFollowed, "", &kithv1.CrewFollowed{}},
		"a negative crew member":            {persistence.KindCrewUnfollowed, "", &kithv1.CrewUnfollowed{Crew: -1}},
		"no studio":                         {persistence.KindStudioFollowed, "", &kithv1.StudioFollowed{}},
		"a negative studio":                 {persistence.KindStudioUnfollowed, "", &kithv1.StudioUnfollowed{Studio: -1}},
		"an activity without id":            {persistence.KindActivityRecorded, "", &kithv1.ActivityRecorded{Activity: &kithv1.Activity{MovieId: 1}}},
		"an activity of no movie":           {persistence.KindActivityRecorded, "e", &kithv1.ActivityRecorded{}},
		"an activity after the year 9999":   {persistence.KindActivityRecorded, "e", &kithv1.ActivityRecorded{Activity: &kithv1.Activity{MovieId: 1, OccurredAtUs: math.MaxInt64}}},
		"an erased activity without id":     {persistence.KindActivityErased, "", &kithv1.ActivityErased{}},
		"a deletion without id":             {persistence.KindActivityDeleted, "e", &kithv1.ActivityDeleted{}},
		"no follower":                       {persistence.KindFollowerAdded, "", &kithv1.FollowerAdded{Pos: 1}},
		"a follower from an unknown lane":   {persistence.KindFollowerAdded, "", &kithv1.FollowerAdded{Source: 1, Pos: 1, Lane: persistence.LaneCount}},
		"a follower from no position":       {persistence.KindFollowerAdded, "", &kithv1.FollowerAdded{Source: 1}},
		"a follower before the year 1":      {persistence.KindFollowerAdded, "", &kithv1.FollowerAdded{Source: 1, Pos: 1, FollowedAtUs: math.MinInt64}},
		"no follower to remove":             {persistence.KindFollowerRemoved, "", &kithv1.FollowerRemoved{Pos: 1}},
		"a removal from an unknown lane":    {persistence.KindFollowerRemoved, "", &kithv1.FollowerRemoved{Source: 1, Pos: 1, Lane: 256}},
		"a removal from no position":        {persistence.KindFollowerRemoved, "", &kithv1.FollowerRemoved{Source: 1}},
		"severing nobody":                   {persistence.KindSevered, "", &kithv1.Severed{}},
		"severing someone above 63 bits":    {persistence.KindSevered, "", &kithv1.Severed{Gone: 1 << 63}},
		"an event id in the activity alone": {persistence.KindActivityRecorded, "", &kithv1.ActivityRecorded{Activity: &kithv1.Activity{EventId: "e", MovieId: 1}}},
	} {
		payload, err := proto.Marshal(c.message)
		if err != nil {
			t.Fatal(err)
		}
		e, err := usergrain.DecodeRecord(&persistence.Record{User: 7, Seq: 1, Kind: c.kind, EventID: c.eventID, Payload: payload, At: goldenTime})
		if err == nil || e != nil {
			t.Errorf("%s: decoded to %+v, %v", name, e, err)
		}
	}
	for _, id := range []user.ID{0, 1 << 63} {
		payload, err := proto.Marshal(&kithv1.Registered{Uid: uid})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := usergrain.DecodeRecord(&persistence.Record{User: id, Kind: persistence.KindRegistered, Payload: payload}); err == nil {
			t.Errorf("somebody registered as %d", id)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for kind, e := range goldenEvents() {
		r, err := record(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(kind), r.EventID, r.Payload)
	}
	f.Add(uint8(0), "", []byte{0xff})
	f.Fuzz(func(t *testing.T, kind uint8, eventID string, payload []byte) {
		r := &persistence.Record{User: 7, Seq: 1, Kind: persistence.Kind(kind), EventID: eventID, Payload: payload, At: goldenTime}
		e, err := usergrain.DecodeRecord(r)
		if err != nil {
			if e != nil {
				t.Fatalf("an error comes with %+v", e)
			}
			return
		}
		again, err := record(e)
		if err != nil || again.Kind != r.Kind {
			t.Fatalf("%+v does not encode: %v", e, err)
		}
		if got, err := usergrain.DecodeRecord(&again); err != nil || !cmp.Equal(e, got) {
			t.Fatalf("%+v became %+v, %v", e, got, err)
		}
		// A state that took the event can be stored.
		s := user.State{ID: 7, UID: goldenUID}
		s.Apply(e)
		b, err := usergrain.EncodeSnapshot(&s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := usergrain.DecodeSnapshot(b); err != nil {
			t.Fatalf("the snapshot after %+v: %v", e, err)
		}
	})
}
