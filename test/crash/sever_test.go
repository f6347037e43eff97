package crash_test

import (
	"fmt"
	"sync"
	"testing"

	"kith/test/kithtest"
)

// neighbours of the account that is deleted: each is followed by it and follows
// it.
const neighbours = 100

// Killed right after the deletion of an account was acknowledged, and again while
// its neighbours are repaired, the server finishes the repair.
func TestKilledWhileSeveringItGoesOn(t *testing.T) {
	t.Parallel()
	s := kith.Start(t, kithtest.Options{})
	star := registered(t, s, "star")
	others := make([]*kithtest.Client, neighbours)
	names := make([]string, neighbours)
	var all sync.WaitGroup
	for i := range others {
		names[i] = fmt.Sprintf("other_%d", i)
	}
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < neighbours; i += 8 {
				others[i] = registered(t, s, names[i])
				want(t, 201)(others[i].Follow(t.Context(), "star"))
				want(t, 201)(star.Follow(t.Context(), names[i]))
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	s.Settle()
	if u := want(t, 200)(star.User(t.Context(), "star")).User; u.Followers != neighbours || u.Following != neighbours {
		t.Fatalf("star has %d followers and follows %d, not %d", u.Followers, u.Following, neighbours)
	}

	// One of the neighbours goes at the same time.
	want(t, 200)(star.Delete(t.Context(), "star"))
	want(t, 200)(others[0].Delete(t.Context(), names[0]))
	s.Restart()
	others, names = others[1:], names[1:]
	want(t, 401)(star.User(t.Context(), names[0]))
	kithtest.Poll(t.Context(), watchTime, func() bool { // until it has begun
		u := want(t, 200)(others[0].User(t.Context(), names[0])).User
		return t.Failed() || u.Following == 0 || u.Followers == 0
	})
	s.Restart()
	s.Settle()

	for i, c := range others {
		u := want(t, 200)(c.User(t.Context(), names[i])).User
		followers, err := c.Followers(t.Context(), names[i])
		if err != nil {
			t.Fatal(err)
		}
		following, err := c.Following(t.Context(), names[i])
		if err != nil {
			t.Fatal(err)
		}
		if u.Followers+u.Following+len(followers)+len(following) != 0 {
			t.Errorf("%s: followers %d, following %d, lists %v and %v", names[i], u.Followers, u.Following, followers, following)
		}
		want(t, 404)(c.User(t.Context(), "star"))
	}
	registered(t, s, "star")
	if u := want(t, 200)(others[0].User(t.Context(), "star")).User; u.Followers != 0 || u.Following != 0 {
		t.Errorf("who took the name has %d followers and follows %d", u.Followers, u.Following)
	}
	s.Settle()
}

// registered makes an account and returns its client, nil when it could not.
func registered(t *testing.T, s *kithtest.Server, username string) *kithtest.Client {
	t.Helper()
	a := want(t, 201)(s.Client().Register(t.Context(), kithtest.Registration{Username: username, Name: username, Password: password}))
	return s.Client().As(a.Token)
}

// want passes an answer with the wanted status on, and any other as an empty one
// that failed the test.
func want(t *testing.T, status int) func(*kithtest.Answer, error) *kithtest.Answer {
	t.Helper()
	return func(a *kithtest.Answer, err error) *kithtest.Answer {
		t.Helper()
		if err != nil || a.Status != status {
			t.Errorf("want %d: %v %s", status, err, a)
			return &kithtest.Answer{Envelope: kithtest.Envelope{User: &kithtest.User{}}}
		}
		return a
	}
}
