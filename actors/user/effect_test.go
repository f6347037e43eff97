package user_test

import (
	"errors"
	"testing"

	"kith/actors/user"
)

func TestEffects(t *testing.T) {
	t.Parallel()
	add := user.AddFollower{Source: 9, Lane: 9, Pos: 10, At: at(1)}
	added := user.FollowerAdded{Source: 9, Lane: 9, Pos: 10, FollowedAt: at(1), At: at(1)}
	tellAll(t, []story{
		{rule: "a follower is added", given: events(ada), when: add, then: events(added)},
		{rule: "redelivery is satisfied", given: events(ada, added), when: add},
		{rule: "a follower who is there already is satisfied", given: events(ada, added), when: user.AddFollower{Source: 9, Lane: 9, Pos: 11, At: at(2)}},
		{
			rule: "the recorded time is the target's own", given: events(ada, user.Followed{Target: 3, At: at(5)}), when: add,
			then: events(user.FollowerAdded{Source: 9, Lane: 9, Pos: 10, FollowedAt: at(1), At: at(5)}),
		},
		{
			rule: "a follower is removed", given: events(ada, added), when: user.RemoveFollower{Source: 9, Lane: 9, Pos: 12, At: at(2)},
			then: events(user.FollowerRemoved{Source: 9, Lane: 9, Pos: 12, At: at(2)}),
		},
		{rule: "a removal that is not above the position is ignored", given: events(ada, added), when: user.RemoveFollower{Source: 9, Lane: 9, Pos: 10, At: at(2)}},
		{rule: "removing who does not follow is satisfied", given: events(ada), when: user.RemoveFollower{Source: 9, Lane: 9, Pos: 12, At: at(2)}},
		{
			rule: "lanes are independent", given: events(ada, added), when: user.AddFollower{Source: 8, Lane: 8, Pos: 1, At: at(2)},
			then: events(user.FollowerAdded{Source: 8, Lane: 8, Pos: 1, FollowedAt: at(2), At: at(2)}),
		},
		{rule: "a lower position of the lane is ignored, whoever it is of", given: events(ada, added), when: user.AddFollower{Source: 73, Lane: 9, Pos: 9, At: at(2)}},
		{rule: "nobody with id 0 follows", given: events(ada), when: user.AddFollower{Lane: 0, Pos: 1, At: at(2)}},

		{
			rule: "both sides of an edge are severed at once", given: events(ada, added, user.Followed{Target: 9, At: at(2)}), when: user.Sever{Gone: 9, At: at(3)},
			then: events(user.Severed{Gone: 9, At: at(3)}),
		},
		{rule: "who follows is severed", given: events(ada, added), when: user.Sever{Gone: 9, At: at(3)}, then: events(user.Severed{Gone: 9, At: at(3)})},
		{rule: "who is followed is severed", given: events(ada, user.Followed{Target: 9, At: at(2)}), when: user.Sever{Gone: 9, At: at(3)}, then: events(user.Severed{Gone: 9, At: at(3)})},
		{rule: "severed twice is satisfied", given: events(ada, added, user.Severed{Gone: 9, At: at(3)}), when: user.Sever{Gone: 9, At: at(4)}},
	})
}

// TestRedeliveryIsExact delivers a history of follow, unfollow, follow with every
// earlier stretch of it again after each step, as a tail that crashed would.
func TestRedeliveryIsExact(t *testing.T) {
	t.Parallel()
	history := []user.Command{
		user.AddFollower{Source: 9, Lane: 9, Pos: 10, At: at(1)},
		user.AddFollower{Source: 73, Lane: 9, Pos: 11, At: at(1)},
		user.RemoveFollower{Source: 9, Lane: 9, Pos: 20, At: at(2)},
		user.AddFollower{Source: 9, Lane: 9, Pos: 30, At: at(3)},
		user.RemoveFollower{Source: 73, Lane: 9, Pos: 31, At: at(3)},
	}
	after := [][]user.ID{{9}, {9, 73}, {73}, {9, 73}, {9}} // followers after each step
	for from := range history {
		s := registered()
		for step, c := range history {
			deliver(t, s, c)
			version := s.Version
			for _, again := range history[min(from, step) : step+1] {
				deliver(t, s, again)
			}
			if s.Version != version {
				t.Fatalf("redelivery from %d after step %d recorded something", from, step)
			}
			var want user.Set[user.ID]
			for _, id := range after[step] {
				want.Add(id)
			}
			if !s.Followers.Equal(&want) {
				t.Fatalf("redelivery from %d after step %d: %d followers, want %v", from, step, s.Followers.Len(), after[step])
			}
		}
	}
}

func TestAFollowerOfATombstoneIsRefused(t *testing.T) {
	t.Parallel()
	s := registered(user.FollowerAdded{Source: 9, Lane: 9, Pos: 10, At: at(1)}, user.Deleted{At: at(2)})
	// Refused even when it was applied before: the source must hear of it.
	if _, err := user.Decide(s, user.AddFollower{Source: 9, Lane: 9, Pos: 10, At: at(3)}); !errors.Is(err, user.ErrDeleted) {
		t.Errorf("err = %v, want %v", err, user.ErrDeleted)
	}
}

func deliver(t *testing.T, s *user.State, c user.Command) {
	t.Helper()
	events, err := user.Decide(s, c)
	if err != nil {
		t.Fatalf("decide %+v: %v", c, err)
	}
	for _, e := range events {
		s.Apply(e)
	}
}
