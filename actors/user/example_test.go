package user_test

import (
	"errors"
	"fmt"

	"kith/actors/user"
)

// A grain decides one command after another, each on what the ones before left.
func Example() {
	var s user.State
	for _, c := range []user.Command{
		user.Register{ID: 7, UID: user.UID{15: 7}, Username: "ada", Name: "Ada", At: t0},
		user.Follow{Target: 9, At: t0},
		user.Follow{Target: 9, At: t0}, // satisfied: sending again is safe
		user.Follow{Target: 7, At: t0},
	} {
		events, err := user.Decide(&s, c)
		switch {
		case errors.Is(err, user.ErrSelfFollow):
			fmt.Printf("%T: refused, %v\n", c, err)
		case err != nil:
			fmt.Println(err)
		case len(events) == 0:
			fmt.Printf("%T: satisfied\n", c)
		}
		for _, e := range events {
			s.Apply(e)
			fmt.Printf("%T: %T\n", c, e)
		}
	}
	fmt.Printf("%s follows %d, after %d records\n", s.Username, s.Account().Following, s.Version)
	// Output:
	// user.Register: user.Registered
	// user.Follow: user.Followed
	// user.Follow: satisfied
	// user.Follow: refused, self_follow
	// ada follows 1, after 2 records
}

// A replay cannot refuse a fact: Apply takes whatever the journal holds.
func ExampleState_Apply() {
	journal := []user.Event{
		user.Registered{ID: 7, Username: "ada", Name: "Ada", At: t0},
		user.FollowerAdded{Source: 9, Lane: 9, Pos: 1, FollowedAt: t0, At: t0},
		user.ProfileUpdated{Name: "Countess", Role: user.RoleCreator, At: t0},
	}
	var s user.State
	for _, e := range journal {
		s.Apply(e)
	}
	a := s.Account()
	fmt.Println(a.Name, a.Role, a.Followers, a.Version)
	// Output: Countess creator 1 3
}
