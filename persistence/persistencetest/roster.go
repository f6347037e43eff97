//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"testing"

	"kith/actors/user"
	"kith/persistence"
)

// Roster checks that users are found by id, whether or not they are still there.
func Roster(t *testing.T, open func(*testing.T) Store) {
	rules(t, open, map[string]func(*testing.T, *world){
		"identities come in the order asked, also of who is gone": func(t *testing.T, w *world) {
			grains := w.registered(t, 3)
			w.takes(t, grains[1], grains[1].deletes())
			got := must(w.Identities(t.Context(), []user.ID{grains[2].id, 9999, grains[1].id, grains[0].id, grains[1].id}))(t)
			identity := func(g *grain, gone bool) *persistence.Identity {
				return &persistence.Identity{UID: g.account.UID, Username: g.account.Username, CreatedAt: g.account.CreatedAt, Gone: gone}
			}
			gone := identity(grains[1], true)
			equal(t, "identities", got, []*persistence.Identity{identity(grains[2], false), nil, gone, identity(grains[0], false), gone})
			equal(t, "none", len(must(w.Identities(t.Context(), nil))(t)), 0)
		},
		"accounts after an id come ascending, without who is gone": func(t *testing.T, w *world) {
			grains := w.registered(t, 5)
			w.takes(t, grains[2], grains[2].deletes())
			got := must(w.AccountsAfter(t.Context(), grains[0].id, 2))(t)
			equal(t, "a page", got, []*user.Account{&grains[1].account, &grains[3].account})
			got = must(w.AccountsAfter(t.Context(), grains[3].id, 2))(t)
			equal(t, "the last page", got, []*user.Account{&grains[4].account})
			equal(t, "the end", len(must(w.AccountsAfter(t.Context(), grains[4].id, 2))(t)), 0)
		},
	})
}
