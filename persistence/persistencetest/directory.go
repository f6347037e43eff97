//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// Directory checks ids, rows and unique claims.
func Directory(t *testing.T, open func(*testing.T) Store) {
	name := func(value string) persistence.Claim {
		return persistence.Claim{Kind: persistence.ClaimUsername, Value: value}
	}
	email := func(value string) persistence.Claim {
		return persistence.Claim{Kind: persistence.ClaimEmail, Value: value}
	}
	holder := func(t *testing.T, w *world, c persistence.Claim) user.ID {
		t.Helper()
		id, err := w.ClaimHolder(t.Context(), c)
		if errors.Is(err, persistence.ErrNotFound) {
			return 0
		}
		noError(t, err)
		return id
	}
	// bearer registers a user with a claimed name and email.
	bearer := func(t *testing.T, w *world) *grain {
		t.Helper()
		g := newGrain(must(w.NextIDs(t.Context(), 1))(t))
		g.account.Email = "Some.One@Example.com"
		turn := g.registers()
		turn.Claims = []persistence.Claim{name(g.account.Username), email("some.one@example.com")}
		noError(t, w.Claim(t.Context(), g.id, turn.Claims))
		w.takes(t, g, turn)
		return g
	}
	soon := func() time.Time { return time.Now().Add(time.Hour) }

	rules(t, open, map[string]func(*testing.T, *world){
		"ids begin at 1 and are handed out once": func(t *testing.T, w *world) {
			equal(t, "first", must(w.NextIDs(t.Context(), 1))(t), 1)
			var mu sync.Mutex
			var running sync.WaitGroup
			var got []user.ID
			for range 16 {
				running.Go(func() {
					first, err := w.NextIDs(t.Context(), 5)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					for i := range user.ID(5) {
						got = append(got, first+i)
					}
				})
			}
			running.Wait()
			slices.Sort(got)
			for i, id := range got {
				if id != user.ID(i)+2 {
					t.Fatalf("id %d of the sorted ones is %d, want %d", i, id, i+2)
				}
			}
			if _, err := w.NextIDs(t.Context(), 0); err == nil {
				t.Fatal("no error for none")
			}
		},
		"rows come in the order asked, nil where there is none": func(t *testing.T, w *world) {
			grains := w.registered(t, 3)
			rows := must(w.Accounts(t.Context(), []user.ID{grains[2].id, 9999, grains[0].id, grains[2].id}))(t)
			equal(t, "rows", rows, []*user.Account{&grains[2].account, nil, &grains[0].account, &grains[2].account})
			equal(t, "none", len(must(w.Accounts(t.Context(), nil))(t)), 0)
		},
		"what nobody bears is not found": func(t *testing.T, w *world) {
			_, err := w.ByUsername(t.Context(), "nobody")
			wantError(t, err, persistence.ErrNotFound)
			_, err = w.ByUID(t.Context(), user.UID{9})
			wantError(t, err, persistence.ErrNotFound)
			_, err = w.ClaimHolder(t.Context(), name("nobody"))
			wantError(t, err, persistence.ErrNotFound)
		},
		"claims are taken all or none": func(t *testing.T, w *world) {
			noError(t, w.Claim(t.Context(), 1, []persistence.Claim{name("x"), email("x")}))
			noError(t, w.Claim(t.Context(), 1, []persistence.Claim{email("x"), name("x")})) // again: satisfied
			err := w.Claim(t.Context(), 2, []persistence.Claim{name("y"), email("x"), email("y")})
			wantError(t, err, persistence.ErrTaken)
			var taken *persistence.TakenError
			if !errors.As(err, &taken) || taken.Claim != email("x") {
				t.Fatalf("error %v says %+v is taken, want the email", err, taken)
			}
			for _, c := range []persistence.Claim{name("y"), email("y")} {
				equal(t, "holder", holder(t, w, c), 0)
			}
			equal(t, "holder", holder(t, w, name("x")), 1)
		},
		"of many that claim one value one gets it": func(t *testing.T, w *world) {
			var running sync.WaitGroup
			results := make([]error, 12)
			for i := range results {
				running.Go(func() {
					results[i] = w.Claim(t.Context(), user.ID(i)+1, []persistence.Claim{name("star")}) //nolint:gosec // small
				})
			}
			running.Wait()
			won := user.ID(0)
			for i, err := range results {
				switch {
				case err == nil && won == 0:
					won = user.ID(i) + 1
				case err == nil:
					t.Fatalf("users %d and %d both have it", won, i+1)
				default:
					wantError(t, err, persistence.ErrTaken)
				}
			}
			equal(t, "holder", holder(t, w, name("star")), won)
		},
		"a release gives up only what the row does not bear": func(t *testing.T, w *world) {
			g := bearer(t, w)
			noError(t, w.Claim(t.Context(), g.id, []persistence.Claim{email("new@example.com"), name("newname")}))
			noError(t, w.Release(t.Context(), g.id, []persistence.Claim{name(g.account.Username), email("some.one@example.com"), email("new@example.com")}))
			equal(t, "borne name", holder(t, w, name(g.account.Username)), g.id)
			equal(t, "borne email, compared without case", holder(t, w, email("some.one@example.com")), g.id)
			equal(t, "email not borne", holder(t, w, email("new@example.com")), 0)
			equal(t, "one not asked for", holder(t, w, name("newname")), g.id)
			noError(t, w.Release(t.Context(), g.id, nil))
			equal(t, "all asked for", holder(t, w, name("newname")), 0)
			equal(t, "borne name", holder(t, w, name(g.account.Username)), g.id)
		},
		"a release touches nobody else's": func(t *testing.T, w *world) {
			noError(t, w.Claim(t.Context(), 1, []persistence.Claim{name("x")}))
			noError(t, w.Release(t.Context(), 2, []persistence.Claim{name("x")}))
			noError(t, w.Release(t.Context(), 2, nil))
			equal(t, "holder", holder(t, w, name("x")), 1)
		},
		"the claims of a deleted user can be released": func(t *testing.T, w *world) {
			g := bearer(t, w)
			w.takes(t, g, g.deletes())
			equal(t, "until then they hold", holder(t, w, name(g.account.Username)), g.id)
			noError(t, w.Release(t.Context(), g.id, nil))
			equal(t, "name", holder(t, w, name(g.account.Username)), 0)
			equal(t, "email", holder(t, w, email("some.one@example.com")), 0)
		},
		"the sweep takes old claims that no row bears": func(t *testing.T, w *world) {
			g := bearer(t, w)
			noError(t, w.Claim(t.Context(), 900, []persistence.Claim{name("a"), name("b"), name("c")}))
			equal(t, "young ones stay", must(w.SweepClaims(t.Context(), time.Now().Add(-time.Hour), 10))(t), 0)
			equal(t, "at most the limit", must(w.SweepClaims(t.Context(), soon(), 2))(t), 2)
			equal(t, "the rest", must(w.SweepClaims(t.Context(), soon(), 2))(t), 1)
			equal(t, "no more", must(w.SweepClaims(t.Context(), soon(), 2))(t), 0)
			equal(t, "borne", holder(t, w, name(g.account.Username)), g.id)
			equal(t, "borne", holder(t, w, email("some.one@example.com")), g.id)
		},
		"the sweep takes what a row has ceased to bear": func(t *testing.T, w *world) {
			g := bearer(t, w)
			turn := g.records(persistence.KindProfileUpdated)
			turn.Account.Email = "new@example.com"
			turn.Claims = []persistence.Claim{email("new@example.com")}
			noError(t, w.Claim(t.Context(), g.id, turn.Claims))
			w.takes(t, g, turn)
			equal(t, "the old email", must(w.SweepClaims(t.Context(), soon(), 10))(t), 1)
			equal(t, "old", holder(t, w, email("some.one@example.com")), 0)
			equal(t, "new", holder(t, w, email("new@example.com")), g.id)
			w.takes(t, g, g.deletes())
			equal(t, "name and email of a deleted user", must(w.SweepClaims(t.Context(), soon(), 10))(t), 2)
		},
		"an outside identity is borne as long as the user": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			identity := persistence.Claim{Kind: persistence.ClaimIdentity, Value: "issuer\nsubject"}
			noError(t, w.Claim(t.Context(), g.id, []persistence.Claim{identity}))
			noError(t, w.Release(t.Context(), g.id, nil))
			equal(t, "swept", must(w.SweepClaims(t.Context(), soon(), 10))(t), 0)
			equal(t, "holder", holder(t, w, identity), g.id)
			w.takes(t, g, g.deletes())
			equal(t, "swept", must(w.SweepClaims(t.Context(), soon(), 10))(t), 1)
		},
	})
}
