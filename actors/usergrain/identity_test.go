package usergrain_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/test/world"
)

// Of many that register one outside identity one gets it, and keeps it as long as
// the user.
func TestAnIdentityHasOneUser(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	const identity = "https://id.example.com/\nuser-1"
	claim := persistence.Claim{Kind: persistence.ClaimIdentity, Value: identity}
	var (
		wg     sync.WaitGroup
		winner atomic.Uint64
	)
	for i := range 16 {
		wg.Go(func() {
			r, err := w.Client.Register(context.WithoutCancel(t.Context()), usergrain.Registration{Username: fmt.Sprintf("ada%d", i), Name: "Ada", Identity: identity})
			var taken *persistence.TakenError
			switch {
			case err == nil && !winner.CompareAndSwap(0, uint64(r.Account.ID)):
				t.Error("two users of one identity")
			case err != nil && (!errors.As(err, &taken) || taken.Claim != claim):
				t.Errorf("error %v", err)
			}
		})
	}
	wg.Wait()
	id := user.ID(winner.Load())
	holds := func(want user.ID) {
		t.Helper()
		if got, err := w.DB.ClaimHolder(t.Context(), claim); got != want || (err == nil) != (want != 0) {
			t.Fatalf("user %d holds the identity, want %d: %v", got, want, err)
		}
	}
	holds(id)
	// The name of whoever lost is free again.
	for i := range 16 {
		if _, err := w.Client.Register(t.Context(), usergrain.Registration{Username: fmt.Sprintf("ada%d", i), Name: "Ada"}); err != nil && !errors.Is(err, persistence.ErrTaken) {
			t.Error(err)
		}
	}
	// Neither a sweep nor a change of names takes the identity away.
	if _, err := w.DB.SweepClaims(t.Context(), time.Now().Add(time.Hour), 1000); err != nil {
		t.Fatal(err)
	}
	email := "ada@example.com"
	if _, err := w.Client.Do(t.Context(), id, user.UpdateProfile{Email: &email}); err != nil {
		t.Fatal(err)
	}
	holds(id)
	if _, err := w.Client.Do(t.Context(), id, user.Delete{}); err != nil {
		t.Fatal(err)
	}
	holds(0)
	again, err := w.Client.Register(t.Context(), usergrain.Registration{Username: "ada_again", Name: "Ada", Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	holds(again.Account.ID)
}
