package user_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"kith/actors/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// t0 is when every story begins.
var t0 = time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)

// at returns a time some seconds into the story.
func at(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

// ada registered at t0 with id 7.
var (
	adaUID = user.UID{0: 1, 15: 7}
	ada    = user.Registered{ID: 7, UID: adaUID, Username: "ada", Name: "Ada", Email: "ada@example.com", At: t0}
)

func stateOf(events ...user.Event) *user.State {
	var s user.State
	for _, e := range events {
		s.Apply(e)
	}
	return &s
}

// registered returns Ada's state after what followed her registration.
func registered(events ...user.Event) *user.State {
	return stateOf(append([]user.Event{ada}, events...)...)
}

// cloneState returns a copy that shares nothing with s which Apply changes.
func cloneState(s *user.State) *user.State {
	c := *s
	c.Following, c.Followers, c.Crew, c.Studios = s.Following.Clone(), s.Followers.Clone(), s.Crew.Clone(), s.Studios.Clone()
	c.Applied, c.Recent = slices.Clone(s.Applied), slices.Clone(s.Recent)
	if s.Preferences != nil {
		p := *s.Preferences
		p.FavGenres, p.Notifications = slices.Clone(p.FavGenres), maps.Clone(p.Notifications)
		c.Preferences = &p
	}
	return &c
}

// sameState compares everything that a state says.
func sameState(want, got *user.State) string {
	return cmp.Diff(want, got,
		cmpopts.IgnoreUnexported(user.State{}),
		cmpopts.EquateEmpty(),
		cmp.Comparer(func(a, b user.Set[user.ID]) bool { return a.Equal(&b) }),
		cmp.Comparer(func(a, b user.Set[int64]) bool { return a.Equal(&b) }),
	)
}
