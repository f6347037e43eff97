package usergrain_test

import (
	"bytes"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/actors/usergrain"
	kithv1 "kith/proto/kith/v1"
)

// sameState compares everything that a state says.
func sameState(want, got *user.State) string {
	return cmp.Diff(want, got,
		cmpopts.IgnoreUnexported(user.State{}),
		cmpopts.EquateEmpty(),
		cmp.Comparer(func(a, b user.Set[user.ID]) bool { return a.Equal(&b) }),
		cmp.Comparer(func(a, b user.Set[int64]) bool { return a.Equal(&b) }),
	)
}

// goldenState has every field set, one set a bitmap.
func goldenState() *user.State {
	s := &user.State{
		ID: 7, UID: goldenUID, Version: 300, Username: "ada", Name: "Ada", Email: "ada@example.com", Bio: "engines", Picture: "https://example.com/a.jpg",
		Role: user.RoleCreator, Privacy: user.Privacy{Profile: true, WatchHistory: true, Ratings: true}, Deleted: true,
		Preferences: &user.Preferences{FavGenres: []int64{3, 1}, AdultContent: true, Notifications: map[string]bool{"email": false, "push": true}, Language: "pt-BR"},
		Streams:     5, Videos: 6,
		CreatedAt: goldenTime, UpdatedAt: goldenTime.Add(time.Second), LastAt: goldenTime.Add(time.Minute),
		Applied: []user.LaneMark{user.NewLaneMark(0, 1), user.NewLaneMark(63, 1<<40)},
		Recent:  []user.RecentEvent{{ID: "e-1"}, {ID: "e-2", Erased: true}},
	}
	for _, id := range []user.ID{1, 2, 300, math.MaxInt64} {
		s.Following.Add(id)
	}
	for id := range user.ID(1100) {
		s.Followers.Add(id * 3)
	}
	s.Crew.Add(4)
	s.Studios.Add(5)
	return s
}

func TestStoredSnapshotsKeepTheirBytes(t *testing.T) {
	t.Parallel()
	b, err := usergrain.EncodeSnapshot(goldenState())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "snapshot", b)
	got, err := usergrain.DecodeSnapshot(readGolden(t, "snapshot"))
	if diff := sameState(goldenState(), &got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestReplayFromAStoredSnapshotEqualsReplayFromZero goes through the stored form
// of both records and snapshot.
func TestReplayFromAStoredSnapshotEqualsReplayFromZero(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		journal := append([]user.Event{user.Registered{ID: 7, UID: goldenUID, Username: "ada", At: goldenTime}}, rapid.SliceOfN(rapid.Custom(anyEvent), 0, 40).Draw(t, "events")...)
		taken := rapid.IntRange(1, len(journal)).Draw(t, "snapshot at")
		var whole, resumed user.State
		for i, e := range journal {
			r, err := record(e)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := usergrain.DecodeRecord(&r)
			if err != nil {
				t.Fatal(err)
			}
			whole.Apply(e)
			resumed.Apply(decoded)
			if i+1 != taken {
				continue
			}
			b, err := usergrain.EncodeSnapshot(&resumed)
			if err != nil {
				t.Fatal(err)
			}
			if resumed, err = usergrain.DecodeSnapshot(b); err != nil {
				t.Fatal(err)
			}
			if again, err := usergrain.EncodeSnapshot(&resumed); err != nil || !bytes.Equal(b, again) {
				t.Fatalf("the snapshot encodes differently: %v", err)
			}
		}
		if diff := sameState(&whole, &resumed); diff != "" {
			t.Fatalf("resumed at %d of %d (-whole +resumed):\n%s", taken, len(journal), diff)
		}
	})
}

func TestDefaultPreferencesAreNotStored(t *testing.T) {
	t.Parallel()
	s := goldenState()
	s.Preferences = nil
	b, err := usergrain.EncodeSnapshot(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := usergrain.DecodeSnapshot(b)
	if err != nil || got.Preferences != nil || !got.Account().Preferences.Equal(user.DefaultPreferences()) {
		t.Errorf("preferences %+v, %v", got.Preferences, err)
	}
}

func TestDecodeSnapshotRefuses(t *testing.T) {
	t.Parallel()
	b, err := usergrain.EncodeSnapshot(goldenState())
	if err != nil {
		t.Fatal(err)
	}
	many := make([]*kithv1.RecentEvent, user.MaxRecent+1)
	for i := range many {
		many[i] = &kithv1.RecentEvent{Id: strconv.Itoa(i)}
	}
	for name, change := range map[string]func(*kithv1.Snapshot){
		"another format":                  func(m *kithv1.Snapshot) { m.Format++ },
		"no format":                       func(m *kithv1.Snapshot) { m.Format = 0 },
		"the id 0":                        func(m *kithv1.Snapshot) { m.Id = 0 },
		"an id above 63 bits":             func(m *kithv1.Snapshot) { m.Id = 1 << 63 },
		"a uid that is too long":          func(m *kithv1.Snapshot) { m.Uid = append(m.Uid, 1) },
		"no uid":                          func(m *kithv1.Snapshot) { m.Uid = nil },
		"no records":                      func(m *kithv1.Snapshot) { m.Version = 0 },
		"a creation after the year 9999":  func(m *kithv1.Snapshot) { m.CreatedAtUs = math.MaxInt64 },
		"a newest record before the year": func(m *kithv1.Snapshot) { m.LastAtUs, m.UpdatedAtUs = math.MinInt64, math.MinInt64 },
		"a change after the last record":  func(m *kithv1.Snapshot) { m.UpdatedAtUs = m.GetLastAtUs() + 1 },
		"broken following":                func(m *kithv1.Snapshot) { m.Following = []byte{9} },
		"broken followers":                func(m *kithv1.Snapshot) { m.Followers = m.GetFollowers()[:50] },
		"broken crew":                     func(m *kithv1.Snapshot) { m.Crew = []byte{1, 0} },
		"broken studios":                  func(m *kithv1.Snapshot) { m.Studios = []byte{2} },
		"an unknown lane":                 func(m *kithv1.Snapshot) { m.Applied[1].Lane = 64 },
		"lanes out of order":              func(m *kithv1.Snapshot) { m.Applied[0].Lane, m.Applied[1].Lane = 2, 1 },
		"a lane twice":                    func(m *kithv1.Snapshot) { m.Applied[1].Lane = m.GetApplied()[0].GetLane() },
		"a lane at no position":           func(m *kithv1.Snapshot) { m.Applied[0].Pos = 0 },
		"too many recent ids":             func(m *kithv1.Snapshot) { m.Recent = many },
		"a recent event without id":       func(m *kithv1.Snapshot) { m.Recent[0].Id = "" },
	} {
		var m kithv1.Snapshot
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		broken, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := usergrain.DecodeSnapshot(broken); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
	if _, err := usergrain.DecodeSnapshot(nil); err == nil {
		t.Error("nothing: decoded")
	}
	if _, err := usergrain.DecodeSnapshot(b[:len(b)-1]); err == nil {
		t.Error("cut: decoded")
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	for _, s := range []*user.State{goldenState(), {ID: 7, UID: goldenUID, Version: 1}} {
		b, err := usergrain.EncodeSnapshot(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{8, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := usergrain.DecodeSnapshot(b)
		if err != nil {
			return
		}
		encoded, err := usergrain.EncodeSnapshot(&s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := usergrain.DecodeSnapshot(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if diff := sameState(&s, &again); diff != "" {
			t.Fatalf("(-first +again):\n%s", diff)
		}
		if twice, err := usergrain.EncodeSnapshot(&again); err != nil || !bytes.Equal(encoded, twice) {
			t.Fatalf("encodes differently: %v", err)
		}
		// The state is as good as any other.
		s.Apply(user.FollowerAdded{Source: 1, Lane: 5, Pos: 1, At: goldenTime})
		if _, err := user.Decide(&s, user.AddFollower{Source: 1, Lane: 5, Pos: 1, At: goldenTime}); err != nil && !s.Deleted {
			t.Fatal(err)
		}
	})
}
