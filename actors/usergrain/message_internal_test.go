package usergrain

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"kith/actors/user"
	kithv1 "kith/proto/kith/v1"
)

var (
	sentAt  = time.Date(2024, 1, 15, 10, 30, 0, 123456000, time.UTC)
	sentUID = user.UID{1, 15: 7}
)

// sent is one of each command that goes over the wire, empty and full, without a
// time.
func sent() []user.Command {
	activity := user.Activity{EventID: "e", Type: user.ActivityReview, MovieID: 1, HasRating: true, Review: "good", Details: []byte(`{}`), SessionID: "s", SourcePage: "p", SourceSection: "x", OccurredAt: sentAt}
	return []user.Command{
		user.UpdateProfile{},
		user.UpdateProfile{Name: new("n"), Picture: new(""), Role: new(user.RoleCreator), Bio: new(""), Email: new("")},
		user.SetPreferences{},
		user.SetPreferences{ResetNotifications: true},
		user.SetPreferences{FavGenres: &[]int64{}},
		user.SetPreferences{
			FavGenres: &[]int64{3, 1}, AdultContent: new(false), Language: new("de"),
			Notifications: map[string]*bool{"on": new(true), "off": new(false), "gone": nil},
		},
		user.SetPrivacy{},
		user.SetPrivacy{Profile: new(false), WatchHistory: new(true), Ratings: new(false)},
		user.Follow{Target: 9},
		user.Unfollow{Target: 9},
		user.FollowCrew{Crew: 9},
		user.UnfollowCrew{Crew: 9},
		user.FollowStudio{Studio: 9},
		user.UnfollowStudio{Studio: 9},
		user.RecordActivity{Activity: activity},
		user.DeleteActivity{EventID: "e"},
		user.Delete{},
		user.Sever{Gone: 9},
		user.CountContent{ID: "c", Streams: -1, Videos: 2},
	}
}

func TestCommandsCrossAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, c := range sent() {
		m, err := commandToProto(c)
		if err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		got, err := commandsFromProto(7, wire(t, m, &kithv1.Command{}), time.Time{})
		if diff := cmp.Diff([]user.Command{c}, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%T: %v (-sent +received):\n%s", c, err, diff)
		}
	}
}

// wire sends m the way a message goes.
func wire[M proto.Message](t *testing.T, m, empty M) M {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(b, empty); err != nil {
		t.Fatal(err)
	}
	return empty
}

func TestTheTimeOfACommandIsTheGrains(t *testing.T) {
	t.Parallel()
	m, err := commandToProto(user.Follow{Target: 9, At: sentAt.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := commandsFromProto(7, m, sentAt)
	if diff := cmp.Diff([]user.Command{user.Follow{Target: 9, At: sentAt}}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestRegistrationTakesTheIDOfItsGrain(t *testing.T) {
	t.Parallel()
	m := &kithv1.Command{Command: &kithv1.Command_Register{Register: &kithv1.Register{Uid: sentUID[:], Username: "ada", Name: "Ada", Email: "a@b"}}}
	got, err := commandsFromProto(7, wire(t, m, &kithv1.Command{}), sentAt)
	want := []user.Command{user.Register{ID: 7, UID: sentUID, Username: "ada", Name: "Ada", Email: "a@b", At: sentAt}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	m.GetRegister().Uid = sentUID[:8]
	if _, err := commandsFromProto(7, m, sentAt); err == nil {
		t.Error("half a uid was taken")
	}
}

func TestManyActivitiesAreManyCommands(t *testing.T) {
	t.Parallel()
	m := &kithv1.Command{Command: &kithv1.Command_RecordActivities{RecordActivities: &kithv1.RecordActivities{Activities: []*kithv1.Activity{
		{EventId: "a", MovieId: 1}, {EventId: "b", MovieId: 2},
	}}}}
	got, err := commandsFromProto(7, m, sentAt)
	want := []user.Command{
		user.RecordActivity{Activity: user.Activity{EventID: "a", MovieID: 1}, At: sentAt},
		user.RecordActivity{Activity: user.Activity{EventID: "b", MovieID: 2}, At: sentAt},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestWhatIsNoCommandIsAnError(t *testing.T) {
	t.Parallel()
	for _, c := range []user.Command{user.Register{}, user.AddFollower{}, user.RemoveFollower{}} {
		if m, err := commandToProto(c); err == nil {
			t.Errorf("%T is sent as %v", c, m)
		}
	}
	if got, err := commandsFromProto(7, &kithv1.Command{}, sentAt); err == nil {
		t.Errorf("nothing was taken for %v", got)
	}
}

func TestEffectsKeepOrderAndTime(t *testing.T) {
	t.Parallel()
	m := &kithv1.Effects{Effects: []*kithv1.Effect{
		{Source: 9, Lane: 9, Pos: 10, AtUs: sentAt.UnixMicro()},
		{Source: 9, Lane: 9, Pos: 11, AtUs: sentAt.UnixMicro(), Removed: true},
		{Source: 127, Lane: 63, Pos: 1, AtUs: sentAt.UnixMicro()},
	}}
	want := []user.Command{
		user.AddFollower{Source: 9, Lane: 9, Pos: 10, At: sentAt},
		user.RemoveFollower{Source: 9, Lane: 9, Pos: 11, At: sentAt},
		user.AddFollower{Source: 127, Lane: 63, Pos: 1, At: sentAt},
	}
	got, err := effectsFromProto(wire(t, m, &kithv1.Effects{}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAccountsCrossAsTheyAre(t *testing.T) {
	t.Parallel()
	want := user.Account{
		Card: user.Card{
			ID: 7, UID: sentUID, Username: "ada", Name: "Ada", Role: user.RoleAdmin, Picture: "p", Followers: 1, Following: 2, Streams: 3, Videos: 4,
			Privacy: user.Privacy{Profile: true, WatchHistory: true}, CreatedAt: sentAt, UpdatedAt: sentAt.Add(time.Second), Version: 5,
		},
		Email: "a@b", Bio: "b", Preferences: user.DefaultPreferences(), CrewMembers: 6, Studios: 7,
	}
	got, err := accountFromProto(wire(t, accountToProto(&want), &kithv1.Account{}))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := accountFromProto(nil); err != nil || got.ID != 0 {
		t.Errorf("no account became %+v, %v", got, err)
	}
}
