package user_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kith/actors/user"
)

// story is one rule: given what happened, when a command comes, then these
// events, or this refusal.
type story struct {
	rule    string
	given   []user.Event
	when    user.Command
	then    []user.Event
	refused error
}

func (st story) tell(t *testing.T) {
	t.Helper()
	s := stateOf(st.given...)
	before := cloneState(s)
	events, err := user.Decide(s, st.when)
	if !errors.Is(err, st.refused) {
		t.Fatalf("refused with %v, want %v", err, st.refused)
	}
	if diff := cmp.Diff(st.then, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := sameState(before, s); diff != "" {
		t.Errorf("Decide changed the state (-before +after):\n%s", diff)
	}
}

func tellAll(t *testing.T, stories []story) {
	t.Helper()
	for _, st := range stories {
		t.Run(st.rule, func(t *testing.T) {
			t.Parallel()
			st.tell(t)
		})
	}
}

func events(e ...user.Event) []user.Event { return e }

func TestRegister(t *testing.T) {
	t.Parallel()
	register := user.Register{ID: 7, UID: adaUID, Username: "ada", Name: "Ada", Email: "ada@example.com", At: t0}
	tellAll(t, []story{
		{rule: "the first one registers", when: register, then: events(ada)},
		{rule: "twice is satisfied", given: events(ada), when: register},
		{
			rule: "sent again later it is satisfied whatever changed since", given: events(ada, user.ProfileUpdated{Name: "Ada L.", Role: user.RoleUser, At: at(1)}),
			when: register,
		},
		{
			rule: "another user at the same id is refused", given: events(ada),
			when:    user.Register{ID: 7, UID: user.UID{1}, Username: "ada", At: t0},
			refused: user.ErrAlreadyRegistered,
		},
		{
			rule: "another name of the same user is refused", given: events(ada),
			when:    user.Register{ID: 7, UID: adaUID, Username: "eve", At: t0},
			refused: user.ErrAlreadyRegistered,
		},
		{rule: "nobody registers at a tombstone", given: events(ada, user.Deleted{At: at(1)}), when: register, refused: user.ErrDeleted},
	})
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	for _, c := range allCommands() {
		if _, ok := c.(user.Register); ok {
			continue
		}
		story{when: c, refused: user.ErrNotRegistered}.tell(t)
	}
}

func TestTombstone(t *testing.T) {
	t.Parallel()
	given := events(ada, user.Followed{Target: 9, At: at(1)}, user.FollowerAdded{Source: 9, Lane: 9, Pos: 1, At: at(2)}, user.Deleted{At: at(3)})
	for _, c := range allCommands() {
		st := story{given: given, when: c, refused: user.ErrDeleted}
		if takesAway(c) {
			st.refused = nil
		}
		st.tell(t)
	}
	want := &user.State{ID: 7, UID: adaUID, Version: 4, LastAt: at(3), Deleted: true}
	if diff := sameState(want, stateOf(given...)); diff != "" {
		t.Errorf("a tombstone keeps more than its ids (-want +got):\n%s", diff)
	}
}

// takesAway reports whether a tombstone is all that c could wish for.
func takesAway(c user.Command) bool {
	_, remove := c.(user.RemoveFollower)
	_, sever := c.(user.Sever)
	_, end := c.(user.Delete)
	return remove || sever || end
}

// allCommands returns one of each command, each of which Ada's new account would
// grant or be satisfied with.
func allCommands() []user.Command {
	return []user.Command{
		user.Register{ID: 7, UID: adaUID, Username: "ada", At: at(9)},
		user.UpdateProfile{Name: new("Ada"), At: at(9)},
		user.SetPreferences{AdultContent: new(true), At: at(9)},
		user.SetPrivacy{Profile: new(false), At: at(9)},
		user.Follow{Target: 9, At: at(9)},
		user.Unfollow{Target: 9, At: at(9)},
		user.FollowCrew{Crew: 9, At: at(9)},
		user.UnfollowCrew{Crew: 9, At: at(9)},
		user.FollowStudio{Studio: 9, At: at(9)},
		user.UnfollowStudio{Studio: 9, At: at(9)},
		user.RecordActivity{Activity: user.Activity{EventID: "e"}, At: at(9)},
		user.DeleteActivity{EventID: "e", At: at(9)},
		user.Delete{At: at(9)},
		user.AddFollower{Source: 9, Lane: 9, Pos: 9, At: at(9)},
		user.RemoveFollower{Source: 9, Lane: 9, Pos: 9, At: at(9)},
		user.Sever{Gone: 9, At: at(9)},
		user.CountContent{ID: "c", Streams: 1, At: at(9)},
	}
}

func TestUpdateProfile(t *testing.T) {
	t.Parallel()
	whole := user.ProfileUpdated{Name: "Ada", Role: user.RoleUser, Email: "ada@example.com", At: at(1)}
	with := func(change func(*user.ProfileUpdated)) []user.Event {
		e := whole
		change(&e)
		return events(e)
	}
	tellAll(t, []story{
		{rule: "nothing given is satisfied", given: events(ada), when: user.UpdateProfile{At: at(1)}},
		{rule: "the same value again still counts as a change", given: events(ada), when: user.UpdateProfile{Name: new("Ada"), At: at(1)}, then: events(whole)},
		{
			rule: "name alone", given: events(ada), when: user.UpdateProfile{Name: new("Countess"), At: at(1)},
			then: with(func(e *user.ProfileUpdated) { e.Name = "Countess" }),
		},
		{
			rule: "picture alone", given: events(ada), when: user.UpdateProfile{Picture: new("https://x/y"), At: at(1)},
			then: with(func(e *user.ProfileUpdated) { e.Picture = "https://x/y" }),
		},
		{
			rule: "role alone", given: events(ada), when: user.UpdateProfile{Role: new(user.RoleCreator), At: at(1)},
			then: with(func(e *user.ProfileUpdated) { e.Role = user.RoleCreator }),
		},
		{
			rule: "bio alone", given: events(ada), when: user.UpdateProfile{Bio: new("engines"), At: at(1)},
			then: with(func(e *user.ProfileUpdated) { e.Bio = "engines" }),
		},
		{
			rule: "an empty email removes it", given: events(ada), when: user.UpdateProfile{Email: new(""), At: at(1)},
			then: with(func(e *user.ProfileUpdated) { e.Email = "" }),
		},
		{
			rule: "in the same microsecond updated_at still moves", given: events(ada), when: user.UpdateProfile{Name: new("B"), At: t0},
			then: with(func(e *user.ProfileUpdated) { e.Name, e.At = "B", t0.Add(1000) }),
		},
	})
}

func TestSetPreferences(t *testing.T) {
	t.Parallel()
	set := func(change func(*user.Preferences)) []user.Event {
		p := user.DefaultPreferences()
		change(&p)
		return events(user.PreferencesSet{Preferences: p, At: at(1)})
	}
	many := map[string]*bool{}
	for i := range 49 {
		many[fmt.Sprint(i)] = new(true)
	}
	tellAll(t, []story{
		{rule: "nothing given is satisfied", given: events(ada), when: user.SetPreferences{At: at(1)}},
		{
			rule: "what is so already is satisfied", given: events(ada),
			when: user.SetPreferences{
				FavGenres: &[]int64{}, AdultContent: new(false), Language: new("en"),
				Notifications: map[string]*bool{"email": new(true), "unknown": nil}, ResetNotifications: true, At: at(1),
			},
		},
		{
			rule: "genres replace genres", given: events(ada), when: user.SetPreferences{FavGenres: &[]int64{3, 1}, At: at(1)},
			then: set(func(p *user.Preferences) { p.FavGenres = []int64{3, 1} }),
		},
		{
			rule: "genres go back to none", given: events(ada, user.PreferencesSet{Preferences: user.Preferences{FavGenres: []int64{1}, Language: "en"}, At: t0}),
			when: user.SetPreferences{FavGenres: new([]int64), ResetNotifications: true, At: at(1)},
			then: set(func(*user.Preferences) {}),
		},
		{
			rule: "notifications merge key by key, nil removes", given: events(ada),
			when: user.SetPreferences{Notifications: map[string]*bool{"sms": new(true), "email": nil}, At: at(1)},
			then: set(func(p *user.Preferences) { p.Notifications = map[string]bool{"push": false, "sms": true} }),
		},
		{
			rule: "a reset comes before the merge", given: events(ada, user.PreferencesSet{Preferences: user.Preferences{Language: "en", Notifications: map[string]bool{"sms": true}}, At: t0}),
			when: user.SetPreferences{Notifications: map[string]*bool{"push": new(true)}, ResetNotifications: true, At: at(1)},
			then: set(func(p *user.Preferences) { p.Notifications["push"] = true }),
		},
		{
			rule: "a key is added where there were none at all", given: events(ada, user.PreferencesSet{Preferences: user.Preferences{Language: "en"}, At: t0}),
			when: user.SetPreferences{Notifications: map[string]*bool{"sms": new(true)}, At: at(1)},
			then: set(func(p *user.Preferences) { p.FavGenres, p.Notifications = nil, map[string]bool{"sms": true} }),
		},
		{
			rule: "language and adult content", given: events(ada), when: user.SetPreferences{Language: new("de"), AdultContent: new(true), At: at(1)},
			then: set(func(p *user.Preferences) { p.Language, p.AdultContent = "de", true }),
		},
	})

	t.Run("more than 50 notification settings after the merge are refused", func(t *testing.T) {
		t.Parallel()
		_, err := user.Decide(registered(), user.SetPreferences{Notifications: many, At: at(1)})
		var invalid *user.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != "notification_settings" {
			t.Errorf("err = %v, want an InvalidError of notification_settings", err)
		}
	})
	t.Run("the default is held as nothing, and comes back as itself", func(t *testing.T) {
		t.Parallel()
		custom := user.Preferences{FavGenres: []int64{1}, Language: "de", Notifications: map[string]bool{}}
		s := registered(user.PreferencesSet{Preferences: custom, At: at(1)})
		if s.Preferences == nil || !s.Account().Preferences.Equal(custom) {
			t.Errorf("preferences = %+v, want %+v", s.Account().Preferences, custom)
		}
		s.Apply(user.PreferencesSet{Preferences: user.DefaultPreferences(), At: at(2)})
		if s.Preferences != nil || !s.Account().Preferences.Equal(user.DefaultPreferences()) {
			t.Errorf("held %+v, told %+v; want nothing and the default", s.Preferences, s.Account().Preferences)
		}
	})
}

func TestSetPrivacy(t *testing.T) {
	t.Parallel()
	tellAll(t, []story{
		{rule: "nothing given is satisfied", given: events(ada), when: user.SetPrivacy{At: at(1)}},
		{rule: "what is so already is satisfied", given: events(ada), when: user.SetPrivacy{Profile: new(true), WatchHistory: new(false), Ratings: new(true), At: at(1)}},
		{
			rule: "one flag leaves the others", given: events(ada), when: user.SetPrivacy{WatchHistory: new(true), At: at(1)},
			then: events(user.PrivacySet{Privacy: user.Privacy{Profile: true, WatchHistory: true, Ratings: true}, At: at(1)}),
		},
		{
			rule: "all flags", given: events(ada), when: user.SetPrivacy{Profile: new(false), WatchHistory: new(true), Ratings: new(false), At: at(1)},
			then: events(user.PrivacySet{Privacy: user.Privacy{WatchHistory: true}, At: at(1)}),
		},
	})
}

func TestFollow(t *testing.T) {
	t.Parallel()
	followed := user.Followed{Target: 9, At: at(1)}
	tellAll(t, []story{
		{rule: "follow", given: events(ada), when: user.Follow{Target: 9, At: at(1)}, then: events(followed)},
		{rule: "follow twice is satisfied", given: events(ada, followed), when: user.Follow{Target: 9, At: at(2)}},
		{rule: "nobody follows themselves", given: events(ada), when: user.Follow{Target: 7, At: at(1)}, refused: user.ErrSelfFollow},
		{rule: "nobody has the id 0", given: events(ada), when: user.Follow{At: at(1)}, refused: user.ErrNotRegistered},
		{rule: "unfollow", given: events(ada, followed), when: user.Unfollow{Target: 9, At: at(2)}, then: events(user.Unfollowed{Target: 9, At: at(2)})},
		{rule: "unfollow twice is satisfied", given: events(ada, followed, user.Unfollowed{Target: 9, At: at(2)}), when: user.Unfollow{Target: 9, At: at(3)}},
		{rule: "unfollowing oneself is satisfied", given: events(ada), when: user.Unfollow{Target: 7, At: at(3)}},
		{
			rule: "follow again after unfollow", given: events(ada, followed, user.Unfollowed{Target: 9, At: at(2)}), when: user.Follow{Target: 9, At: at(3)},
			then: events(user.Followed{Target: 9, At: at(3)}),
		},
		{
			rule: "a clock that went back is held at the newest record", given: events(ada, user.Followed{Target: 8, At: at(5)}), when: user.Follow{Target: 9, At: at(1)},
			then: events(user.Followed{Target: 9, At: at(5)}),
		},
		{
			rule: "times are kept to the microsecond", given: events(ada), when: user.Follow{Target: 9, At: at(1).Add(1999)},
			then: events(user.Followed{Target: 9, At: at(1).Add(1000)}),
		},
	})
}

func TestFollowCrewAndStudios(t *testing.T) {
	t.Parallel()
	crew, studio := user.CrewFollowed{Crew: 9, At: at(1)}, user.StudioFollowed{Studio: 9, At: at(1)}
	full := events(ada)
	for id := int64(1); id <= user.MaxFollowed; id++ {
		full = append(full, user.CrewFollowed{Crew: id, At: at(1)}, user.StudioFollowed{Studio: id, At: at(1)})
	}
	const beyond = user.MaxFollowed + 1
	tellAll(t, []story{
		{rule: "follow a crew member", given: events(ada), when: user.FollowCrew{Crew: 9, At: at(1)}, then: events(crew)},
		{rule: "a crew member twice is satisfied", given: events(ada, crew), when: user.FollowCrew{Crew: 9, At: at(1)}},
		{rule: "the 10,001st crew member is refused", given: full, when: user.FollowCrew{Crew: beyond, At: at(2)}, refused: user.ErrTooManyFollowed},
		{rule: "one of 10,000 crew members again is satisfied", given: full, when: user.FollowCrew{Crew: 5, At: at(2)}},
		{rule: "unfollow a crew member", given: full, when: user.UnfollowCrew{Crew: 9, At: at(2)}, then: events(user.CrewUnfollowed{Crew: 9, At: at(2)})},
		{rule: "unfollow an unknown crew member is satisfied", given: events(ada), when: user.UnfollowCrew{Crew: 9, At: at(2)}},
		{rule: "a crew member leaves room for another", given: append(slices.Clip(full), user.CrewUnfollowed{Crew: 9, At: at(2)}), when: user.FollowCrew{Crew: beyond, At: at(3)}, then: events(user.CrewFollowed{Crew: beyond, At: at(3)})},

		{rule: "follow a studio", given: events(ada), when: user.FollowStudio{Studio: 9, At: at(1)}, then: events(studio)},
		{rule: "a studio twice is satisfied", given: events(ada, studio), when: user.FollowStudio{Studio: 9, At: at(1)}},
		{rule: "the 10,001st studio is refused", given: full, when: user.FollowStudio{Studio: beyond, At: at(2)}, refused: user.ErrTooManyFollowed},
		{rule: "one of 10,000 studios again is satisfied", given: full, when: user.FollowStudio{Studio: 5, At: at(2)}},
		{rule: "unfollow a studio", given: full, when: user.UnfollowStudio{Studio: 9, At: at(2)}, then: events(user.StudioUnfollowed{Studio: 9, At: at(2)})},
		{rule: "unfollow an unknown studio is satisfied", given: events(ada), when: user.UnfollowStudio{Studio: 9, At: at(2)}},
	})
	t.Run("ids are positive", func(t *testing.T) {
		t.Parallel()
		for _, c := range []user.Command{user.FollowCrew{Crew: 0}, user.FollowCrew{Crew: -1}, user.FollowStudio{Studio: 0}, user.FollowStudio{Studio: -1}} {
			var invalid *user.InvalidError
			if _, err := user.Decide(registered(), c); !errors.As(err, &invalid) {
				t.Errorf("%+v: err = %v, want an InvalidError", c, err)
			}
		}
	})
}

func TestActivity(t *testing.T) {
	t.Parallel()
	view := user.Activity{EventID: "e1", Type: user.ActivityView, MovieID: 1, OccurredAt: t0}
	recorded := user.ActivityRecorded{Activity: view, At: at(1)}
	erased, deleted := user.ActivityErased{EventID: "e1", At: at(1)}, user.ActivityDeleted{EventID: "e1", At: at(2)}
	tellAll(t, []story{
		{rule: "record", given: events(ada), when: user.RecordActivity{Activity: view, At: at(1)}, then: events(recorded)},
		{rule: "an id recorded before is refused as such", given: events(ada, recorded), when: user.RecordActivity{Activity: view, At: at(2)}, refused: user.ErrAlreadyRecorded},
		{rule: "an id deleted before is refused as such", given: events(ada, recorded, deleted), when: user.RecordActivity{Activity: view, At: at(3)}, refused: user.ErrEventDeleted},
		{rule: "an erased record keeps its id", given: events(ada, erased), when: user.RecordActivity{Activity: view, At: at(3)}, refused: user.ErrEventDeleted},
		{rule: "delete", given: events(ada, recorded), when: user.DeleteActivity{EventID: "e1", At: at(2)}, then: events(deleted)},
		{rule: "delete twice finds nothing", given: events(ada, recorded, deleted), when: user.DeleteActivity{EventID: "e1", At: at(3)}, refused: user.ErrEventNotFound},
		{rule: "delete of what memory does not know is left to the database", given: events(ada), when: user.DeleteActivity{EventID: "e1", At: at(2)}, then: events(deleted)},
	})
}

func TestLearnedEventIDs(t *testing.T) {
	t.Parallel()
	record := user.RecordActivity{Activity: user.Activity{EventID: "old"}, At: at(9)}
	remove := user.DeleteActivity{EventID: "old", At: at(9)}
	for _, c := range []struct {
		status          user.EventStatus
		record, removal error
	}{
		{user.EventMissing, nil, user.ErrEventNotFound},
		{user.EventRecorded, user.ErrAlreadyRecorded, nil},
		{user.EventErased, user.ErrEventDeleted, user.ErrEventNotFound},
	} {
		s := registered()
		s.Learn("old", c.status)
		if _, err := user.Decide(s, record); !errors.Is(err, c.record) {
			t.Errorf("status %d: record: %v, want %v", c.status, err, c.record)
		}
		if _, err := user.Decide(s, remove); !errors.Is(err, c.removal) {
			t.Errorf("status %d: delete: %v, want %v", c.status, err, c.removal)
		}
		s.Forget()
		if _, err := user.Decide(s, record); err != nil {
			t.Errorf("status %d: still known after Forget: %v", c.status, err)
		}
	}

	t.Run("what happened since beats what was learned", func(t *testing.T) {
		t.Parallel()
		s := registered()
		s.Learn("old", user.EventRecorded)
		s.Apply(user.ActivityDeleted{EventID: "old", At: at(1)})
		for i := range user.MaxRecent { // push it out of the recent ids
			s.Apply(user.ActivityRecorded{Activity: user.Activity{EventID: fmt.Sprint(i)}, At: at(2)})
		}
		if _, err := user.Decide(s, remove); !errors.Is(err, user.ErrEventNotFound) {
			t.Errorf("delete: %v, want %v", err, user.ErrEventNotFound)
		}
		if _, err := user.Decide(s, record); !errors.Is(err, user.ErrEventDeleted) {
			t.Errorf("record: %v, want %v", err, user.ErrEventDeleted)
		}
	})
}

func TestRecentEventsAreBounded(t *testing.T) {
	t.Parallel()
	s := registered()
	for i := range 3 * user.MaxRecent {
		id := fmt.Sprint(i)
		s.Apply(user.ActivityRecorded{Activity: user.Activity{EventID: id}, At: at(1)})
		if i%2 == 0 {
			s.Apply(user.ActivityDeleted{EventID: id, At: at(1)})
		}
		if want := min(i+1, user.MaxRecent); len(s.Recent) != want {
			t.Fatalf("%d recent ids after %d events, want %d", len(s.Recent), i+1, want)
		}
	}
	for i, r := range s.Recent {
		n := 2*user.MaxRecent + i
		if want := (user.RecentEvent{ID: fmt.Sprint(n), Erased: n%2 == 0}); r != want {
			t.Errorf("recent %d = %+v, want %+v", i, r, want)
		}
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	deleted := user.Deleted{At: at(1)}
	tellAll(t, []story{
		{rule: "delete", given: events(ada), when: user.Delete{At: at(1)}, then: events(deleted)},
		{rule: "twice is satisfied", given: events(ada, deleted), when: user.Delete{At: at(2)}},
	})
	if s := registered(deleted); s.Registered() {
		t.Error("a tombstone says that it is registered")
	}
}

func TestRefusalsAreStableCodes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range []user.Refusal{
		user.ErrNotRegistered, user.ErrDeleted, user.ErrAlreadyRegistered, user.ErrSelfFollow,
		user.ErrTooManyFollowed, user.ErrEventNotFound, user.ErrEventDeleted, user.ErrAlreadyRecorded,
	} {
		if code := r.Error(); seen[code] || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("%q is used twice or no code", code)
		} else {
			seen[code] = true
		}
	}
}
