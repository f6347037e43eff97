//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"sync"
	"testing"

	"kith/actors/user"
	"kith/persistence"
)

// RunCards runs the suite of caches of cards. The caches must have room for a
// thousand cards. The tests run in parallel.
func RunCards(t *testing.T, open func(t *testing.T) persistence.Cards) {
	t.Helper()
	card := func(id user.ID, version uint64, username string) *persistence.CachedCard {
		return persistence.NewCard(user.Card{ID: id, Version: version, Username: username, Name: "Name", Role: user.RoleUser, CreatedAt: start(), UpdatedAt: at(version)})
	}
	put := func(t *testing.T, c persistence.Cards, cards ...*persistence.CachedCard) {
		t.Helper()
		noError(t, c.Put(t.Context(), cards))
	}
	get := func(t *testing.T, c persistence.Cards, id user.ID) *persistence.CachedCard {
		t.Helper()
		return must(c.Get(t.Context(), []user.ID{id}))(t)[0]
	}
	for name, test := range map[string]func(*testing.T, persistence.Cards){
		"cards come in the order asked, nil where there is none": func(t *testing.T, c persistence.Cards) {
			one, two := card(1, 1, "one"), card(2, 1, "two")
			put(t, c, one, two)
			equal(t, "cards", must(c.Get(t.Context(), []user.ID{2, 3, 1, 2}))(t), []*persistence.CachedCard{two, nil, one, two})
			equal(t, "none asked for", len(must(c.Get(t.Context(), nil))(t)), 0)
		},
		"the newer version wins, whichever comes first": func(t *testing.T, c persistence.Cards) {
			put(t, c, card(1, 2, "one"))
			put(t, c, card(1, 1, "one"))
			equal(t, "version", get(t, c, 1).Card.Version, 2)
			put(t, c, card(1, 3, "one"))
			equal(t, "version", get(t, c, 1).Card.Version, 3)
			put(t, c, card(1, 5, "one"), card(1, 4, "one"))
			equal(t, "version", get(t, c, 1).Card.Version, 5)
		},
		"a tombstone beats every card of its user": func(t *testing.T, c persistence.Cards) {
			put(t, c, card(1, 2, "one"))
			put(t, c, persistence.NewTombstone(1, 3))
			put(t, c, card(1, 2, "one"))
			put(t, c, card(1, 9, "one"))
			dead := get(t, c, 1)
			if !dead.Deleted || dead.Card.ID != 1 || dead.Card.Version != 3 {
				t.Fatalf("found %+v, want the tombstone", dead)
			}
			put(t, c, card(2, 9, "two"))
			put(t, c, persistence.NewTombstone(2, 1)) // however old
			equal(t, "deleted", get(t, c, 2).Deleted, true)
		},
		"a name leads to the id that last bore it": func(t *testing.T, c persistence.Cards) {
			byName := func(name string) user.ID {
				t.Helper()
				id, found, err := c.IDByUsername(t.Context(), name)
				noError(t, err)
				equal(t, "found", found, id != 0)
				return id
			}
			equal(t, "unknown", byName("one"), 0)
			put(t, c, card(1, 1, "one"))
			equal(t, "known", byName("one"), 1)
			put(t, c, persistence.NewTombstone(1, 2))
			put(t, c, card(2, 1, "one"))
			equal(t, "taken over", byName("one"), 2)
			put(t, c, persistence.NewTombstone(1, 2))
			put(t, c, card(1, 1, "one")) // not newer: no hint
			equal(t, "taken over", byName("one"), 2)
		},
		"concurrent puts leave the newest": func(t *testing.T, c persistence.Cards) {
			const writers, versions = 8, 200
			var running sync.WaitGroup
			for n := range uint64(writers) {
				running.Go(func() {
					for v := range uint64(versions) {
						for id := range user.ID(4) {
							if err := c.Put(t.Context(), []*persistence.CachedCard{card(id+1, v*writers+n+1, "name")}); err != nil {
								t.Error(err)
								return
							}
						}
					}
				})
			}
			running.Wait()
			for id := range user.ID(4) {
				equal(t, "version", get(t, c, id+1).Card.Version, writers*versions)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}
