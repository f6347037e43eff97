package search_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"kith/test/kithtest"
	"kith/test/services"
)

// has waits until the document of a user is what the user was last told to be.
func (w *world) has(p person) {
	w.t.Helper()
	wanted := source{p.UID, p.Username, p.Name, p.Picture}
	var d document
	soon(w.t, fmt.Sprintf("the document is %+v", wanted), func() bool {
		d, _ = w.index.document(p.ID)
		return d.source == wanted
	})
}

// hasNot waits until there is no document of a user.
func (w *world) hasNot(p person) {
	w.t.Helper()
	soon(w.t, "the document of "+p.Username+" is gone", func() bool {
		_, ok := w.index.document(p.ID)
		return !ok
	})
}

// follows is one life with the index beside it.
func follows(t *testing.T, at string, o kithtest.Options) { //nolint:thelper // a test
	w := begin(t, newIndex(t, at), at, o)
	a := want(t, http.StatusCreated)(w.Client().Register(t.Context(), kithtest.Registration{Username: "Ada_1815", Name: "Ada", Password: password}))
	ada := person{w, *a.User, a.Token}
	w.has(ada)
	w.finds("ada", "ada_1815")
	ada.becomes("name", "Countess Ada O'Lovelace")
	ada.becomes("profile_picture", "https://example.com/ada.jpg")
	w.has(ada)
	ada.becomes("profile_picture", "")
	w.has(ada)
	for _, q := range []string{"count", "ADA", "o'l", "love", " lovelace "} {
		w.finds(q, "ada_1815")
	}
	ada.becomes("name", "Ada King-Noël")
	w.has(ada)
	w.finds("noË", "ada_1815")
	w.finds("love")

	for _, p := range [][2]string{
		{"zed", "Love"},
		{"lovely", "Nobody"},
		{"lov", "Love Love"},
		{"love_2", "Love"},
		{"and", "Tough Love"},
		{"love", "Nobody"},
		{"glove", "Glove"},
		{"moo", "No-Love"},
		{"love0", "Somebody"},
	} {
		w.join(p[0], p[1])
	}
	order := []string{"love", "love0", "love_2", "lovely", "and", "lov", "moo", "zed"}
	w.finds("love", order...)
	w.finds("LOVE", order...)
	w.finds("love_", "love_2")
	w.byEngine(func() {
		if pages := w.pages("love", 3); len(pages) != 3 || !slices.Equal(namesOf(pages), order) {
			t.Errorf("%d pages: %v", len(pages), namesOf(pages))
		}
	})

	ada.leaves()
	w.hasNot(ada)
	w.finds("ada")
	w.finds("king")
	heir := w.join(ada.Username, "Byron King")
	w.has(heir)
	w.finds("king", ada.Username)
	w.finds("noël")
	w.byEngine(func() {
		if found := w.page("ada_1815", 10, "").Users; len(found) != 1 || found[0].UID != heir.UID || found[0].ID != heir.ID || found[0].ID == ada.ID {
			t.Errorf("found %+v, want %+v", found, heir.User)
		}
	})
	w.caughtUp()
	w.index.only()
}

func followsElastic(t *testing.T, _ string, o kithtest.Options) { //nolint:thelper // a test
	follows(t, services.Elastic(t), o)
}
