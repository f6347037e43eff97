package user_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kith/actors/user"
)

// The domains are small, so that things collide, and hold what no shell sends.

func anyID(t *rapid.T) user.ID {
	return user.ID(rapid.SampledFrom([]uint64{0, 1, 2, 3, 7, 66, 1<<63 - 1, 1 << 63}).Draw(t, "id"))
}

func anyNumber(t *rapid.T) int64 {
	return rapid.SampledFrom([]int64{-1, 0, 1, 2, 3, 1<<63 - 1}).Draw(t, "number")
}

func anyEventID(t *rapid.T) string {
	return string(rapid.ByteRange('a', 'z').Draw(t, "event id")) + string(rapid.ByteRange('a', 'c').Draw(t, "event id"))
}

func maybe[T any](t *rapid.T, values ...T) *T {
	if rapid.Bool().Draw(t, "absent") {
		return nil
	}
	return new(rapid.SampledFrom(values).Draw(t, "value"))
}

func anyCommand(t *rapid.T) user.Command {
	// Mostly forward, sometimes back, and often the same instant.
	when := at(rapid.IntRange(0, 20).Draw(t, "at"))
	lane, pos := rapid.Uint8Range(0, 2).Draw(t, "lane"), rapid.Uint64Range(0, 30).Draw(t, "pos")
	switch rapid.IntRange(0, 23).Draw(t, "command") {
	case 0:
		return user.Register{ID: 7, UID: adaUID, Username: rapid.SampledFrom([]string{"ada", "eve"}).Draw(t, "username"), At: when}
	case 1:
		return user.UpdateProfile{Name: maybe(t, "A", "B"), Picture: maybe(t, "", "p"), Role: maybe(t, user.RoleUser, user.RoleCreator), Bio: maybe(t, "", "b"), Email: maybe(t, "", "a@b"), At: when}
	case 2:
		return user.SetPreferences{
			FavGenres: maybe(t, nil, []int64{}, []int64{1}), AdultContent: maybe(t, true, false), Language: maybe(t, "en", "de"),
			Notifications:      rapid.SampledFrom([]map[string]*bool{nil, {"email": nil, "push": nil}, {"push": new(true)}, {"sms": new(false)}}).Draw(t, "notifications"),
			ResetNotifications: rapid.Bool().Draw(t, "reset"), At: when,
		}
	case 3:
		return user.SetPrivacy{Profile: maybe(t, true, false), WatchHistory: maybe(t, true, false), Ratings: maybe(t, true, false), At: when}
	case 4, 5:
		return user.Follow{Target: anyID(t), At: when}
	case 6, 7:
		return user.Unfollow{Target: anyID(t), At: when}
	case 8:
		return user.FollowCrew{Crew: anyNumber(t), At: when}
	case 9:
		return user.UnfollowCrew{Crew: anyNumber(t), At: when}
	case 10:
		return user.FollowStudio{Studio: anyNumber(t), At: when}
	case 11:
		return user.UnfollowStudio{Studio: anyNumber(t), At: when}
	case 12, 13:
		return user.RecordActivity{Activity: user.Activity{EventID: anyEventID(t), Type: user.ActivityView, MovieID: 1, OccurredAt: when}, At: when}
	case 14:
		return user.DeleteActivity{EventID: anyEventID(t), At: when}
	case 15, 16, 17:
		return user.AddFollower{Source: anyID(t), Lane: lane, Pos: pos, At: when}
	case 18, 19:
		return user.RemoveFollower{Source: anyID(t), Lane: lane, Pos: pos, At: when}
	case 20, 21:
		return user.Sever{Gone: anyID(t), At: when}
	case 22:
		return user.CountContent{ID: anyEventID(t), Streams: rapid.Int64().Draw(t, "streams"), Videos: rapid.Int64().Draw(t, "videos"), At: when}
	}
	// Rarely the end, so that most histories are long.
	if rapid.IntRange(0, 9).Draw(t, "end") > 0 {
		return user.Follow{Target: anyID(t), At: when}
	}
	return user.Delete{At: when}
}

func anyEvent(t *rapid.T) user.Event {
	when := at(rapid.IntRange(-5, 20).Draw(t, "at"))
	lane, pos := rapid.SampledFrom([]uint8{0, 1, 63, 255}).Draw(t, "lane"), rapid.Uint64().Draw(t, "pos")
	switch rapid.IntRange(0, 17).Draw(t, "event") {
	case 0:
		return user.Registered{ID: anyID(t), Username: "x", At: when}
	case 1:
		return user.ProfileUpdated{Name: "n", At: when}
	case 2:
		return user.PreferencesSet{Preferences: user.Preferences{Language: rapid.SampledFrom([]string{"", "en"}).Draw(t, "language")}, At: when}
	case 3:
		return user.PrivacySet{Privacy: user.Privacy{WatchHistory: true}, At: when}
	case 4:
		return user.Followed{Target: anyID(t), At: when}
	case 5:
		return user.Unfollowed{Target: anyID(t), At: when}
	case 6:
		return user.CrewFollowed{Crew: anyNumber(t), At: when}
	case 7:
		return user.CrewUnfollowed{Crew: anyNumber(t), At: when}
	case 8:
		return user.StudioFollowed{Studio: anyNumber(t), At: when}
	case 9:
		return user.StudioUnfollowed{Studio: anyNumber(t), At: when}
	case 10:
		return user.ActivityRecorded{Activity: user.Activity{EventID: anyEventID(t)}, At: when}
	case 11:
		return user.ActivityErased{EventID: anyEventID(t), At: when}
	case 12:
		return user.ActivityDeleted{EventID: anyEventID(t), At: when}
	case 13:
		return user.FollowerAdded{Source: anyID(t), Lane: lane, Pos: pos, FollowedAt: when, At: when}
	case 14:
		return user.FollowerRemoved{Source: anyID(t), Lane: lane, Pos: pos, At: when}
	case 15:
		return user.Severed{Gone: anyID(t), At: when}
	case 16:
		return user.ContentCounted{ID: anyEventID(t), Streams: rapid.Int64().Draw(t, "streams"), Videos: rapid.Int64().Draw(t, "videos"), At: when}
	}
	return user.Deleted{At: when}
}

// history decides random commands on Ada's account and returns its journal.
func history(t *rapid.T) []user.Event {
	journal := events(ada)
	s := stateOf(journal...)
	for range rapid.IntRange(0, 80).Draw(t, "length") {
		decided, _ := user.Decide(s, anyCommand(t))
		for _, e := range decided {
			s.Apply(e)
		}
		journal = append(journal, decided...)
	}
	return journal
}

func TestReplayFromAnySnapshotEqualsReplayFromZero(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		journal := history(t)
		whole := stateOf(journal...)
		taken := rapid.IntRange(0, len(journal)).Draw(t, "snapshot at")
		first := stateOf(journal[:taken]...)
		resumed := cloneState(first)
		for _, e := range journal[taken:] {
			resumed.Apply(e)
		}
		if diff := sameState(whole, resumed); diff != "" {
			t.Fatalf("resumed at %d of %d (-whole +resumed):\n%s", taken, len(journal), diff)
		}
		if diff := sameState(stateOf(journal[:taken]...), first); diff != "" {
			t.Fatalf("the snapshot changed after it was copied:\n%s", diff)
		}
	})
}

// TestErasingReplaysAlike replays a journal in which the content of deleted
// behaviour events was blanked, as the store does it.
func TestErasingReplaysAlike(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		journal := history(t)
		blanked := slices.Clone(journal)
		for _, e := range journal {
			deleted, ok := e.(user.ActivityDeleted)
			if !ok {
				continue
			}
			for i, old := range blanked {
				if r, ok := old.(user.ActivityRecorded); ok && r.Activity.EventID == deleted.EventID {
					blanked[i] = user.ActivityErased{EventID: deleted.EventID, At: r.At}
				}
			}
		}
		if diff := sameState(stateOf(journal...), stateOf(blanked...)); diff != "" {
			t.Fatalf("(-as written +blanked):\n%s", diff)
		}
	})
}

func TestApplyIsTotal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		journal := rapid.SliceOfN(rapid.Custom(anyEvent), 0, 80).Draw(t, "events")
		var s user.State
		for i, e := range journal {
			before, passed := s.LastAt, slices.Clone(s.Applied)
			s.Apply(e)
			switch {
			case s.Version != uint64(i+1):
				t.Fatalf("version %d after %d events", s.Version, i+1)
			case s.LastAt.Before(before), s.UpdatedAt.After(s.LastAt):
				t.Fatalf("newest time went from %v to %v, updated at %v", before, s.LastAt, s.UpdatedAt)
			case len(s.Recent) > user.MaxRecent:
				t.Fatalf("%d recent ids", len(s.Recent))
			case !slices.IsSortedFunc(s.Applied, func(a, b user.LaneMark) int { return int(a.Lane()) - int(b.Lane()) }):
				t.Fatalf("lanes out of order: %v", s.Applied)
			case !s.Deleted && slices.ContainsFunc(passed, func(m user.LaneMark) bool { return position(&s, m.Lane()) < m.Pos() }):
				t.Fatalf("a position went back: from %v to %v", passed, s.Applied)
			}
		}
		if diff := sameState(&s, stateOf(journal...)); diff != "" {
			t.Fatalf("the same events gave another state:\n%s", diff)
		}
		// Nor does Decide panic on any such state.
		if _, err := user.Decide(&s, anyCommand(t)); err != nil {
			var refusal user.Refusal
			var invalid *user.InvalidError
			if !errors.As(err, &refusal) && !errors.As(err, &invalid) {
				t.Fatalf("Decide failed instead of refusing: %v", err)
			}
		}
	})
}

func position(s *user.State, lane uint8) uint64 {
	for _, m := range s.Applied {
		if m.Lane() == lane {
			return m.Pos()
		}
	}
	return 0
}

func TestDecideOnlyReadsAndIsDeterministic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := stateOf(history(t)...)
		before := cloneState(s)
		c := anyCommand(t)
		events, err := user.Decide(s, c)
		if diff := sameState(before, s); diff != "" {
			t.Fatalf("Decide changed the state:\n%s", diff)
		}
		again, errAgain := user.Decide(s, c)
		if diff := cmp.Diff(events, again); diff != "" || !errors.Is(errAgain, err) {
			// An InvalidError is a new value each time.
			var invalid *user.InvalidError
			if diff != "" || !errors.As(err, &invalid) {
				t.Fatalf("decided differently: %v, %v\n%s", err, errAgain, diff)
			}
		}
	})
}

func TestDecidingAgainGivesNoEvents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := stateOf(history(t)...)
		c := anyCommand(t)
		if _, ok := c.(user.UpdateProfile); ok {
			return // moves updated_at each time it is asked for
		}
		deliverEvents(t, s, c)
		if events, _ := user.Decide(s, c); len(events) > 0 {
			t.Fatalf("%+v again gave %+v", c, events)
		}
	})
}

func deliverEvents(t *rapid.T, s *user.State, c user.Command) {
	events, err := user.Decide(s, c)
	if err != nil && len(events) > 0 {
		t.Fatalf("%+v was refused and gave events", c)
	}
	for _, e := range events {
		if e.RecordedAt().Before(s.LastAt) {
			t.Fatalf("%+v is recorded before %v", e, s.LastAt)
		}
		s.Apply(e)
	}
}

// oracle says with maps what the relations of an account should be. It knows
// nothing of events.
type oracle struct {
	following, followers map[user.ID]bool
	crew, studios        map[int64]bool
	passed               map[uint8]uint64
	gone                 bool
}

func (o *oracle) hear(c user.Command) {
	if o.gone {
		return
	}
	real := func(id user.ID) bool { return id >= 1 && id < 1<<63 }
	effect := func(source user.ID, lane uint8, pos uint64, follows bool) {
		if mark, known := o.passed[lane]; known && pos <= mark || !real(source) || o.followers[source] == follows {
			return
		}
		o.passed[lane] = pos
		if follows {
			o.followers[source] = true
		} else {
			delete(o.followers, source)
		}
	}
	switch c := c.(type) {
	case user.Follow:
		if c.Target != 7 && real(c.Target) {
			o.following[c.Target] = true
		}
	case user.Unfollow:
		delete(o.following, c.Target)
	case user.FollowCrew:
		if c.Crew > 0 {
			o.crew[c.Crew] = true
		}
	case user.UnfollowCrew:
		delete(o.crew, c.Crew)
	case user.FollowStudio:
		if c.Studio > 0 {
			o.studios[c.Studio] = true
		}
	case user.UnfollowStudio:
		delete(o.studios, c.Studio)
	case user.AddFollower:
		effect(c.Source, c.Lane, c.Pos, true)
	case user.RemoveFollower:
		effect(c.Source, c.Lane, c.Pos, false)
	case user.Sever:
		delete(o.following, c.Gone)
		delete(o.followers, c.Gone)
	case user.Delete:
		*o = oracle{gone: true}
	case user.Register, user.UpdateProfile, user.SetPreferences, user.SetPrivacy, user.RecordActivity, user.DeleteActivity, user.CountContent:
	}
}

func TestCountersEqualSets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := registered()
		o := oracle{map[user.ID]bool{}, map[user.ID]bool{}, map[int64]bool{}, map[int64]bool{}, map[uint8]uint64{}, false}
		for range rapid.IntRange(1, 80).Draw(t, "length") {
			c := anyCommand(t)
			deliverEvents(t, s, c)
			o.hear(c)

			a := s.Account()
			if a.Following != int64(len(o.following)) || a.Followers != int64(len(o.followers)) ||
				a.CrewMembers != int64(len(o.crew)) || a.Studios != int64(len(o.studios)) {
				t.Fatalf("after %+v: counters %d, %d, %d, %d; want %d, %d, %d, %d", c,
					a.Following, a.Followers, a.CrewMembers, a.Studios, len(o.following), len(o.followers), len(o.crew), len(o.studios))
			}
			sameSet(t, "following", o.following, &s.Following)
			sameSet(t, "followers", o.followers, &s.Followers)
			sameSet(t, "crew members", o.crew, &s.Crew)
			sameSet(t, "studios", o.studios, &s.Studios)
		}
	})
}

func sameSet[T ~uint64 | ~int64](t *rapid.T, name string, want map[T]bool, got *user.Set[T]) {
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Collect(got.All())); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", name, diff)
	}
}
