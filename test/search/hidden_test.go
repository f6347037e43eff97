package search_test

import (
	"fmt"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// hides is about who is gone while the engine still has the document.
func hides(t *testing.T, at string, o kithtest.Options) { //nolint:thelper // a test
	x := newIndex(t, at)
	w := begin(t, x, at, o)
	var people []person
	for i := range 4 {
		people = append(people, w.join(fmt.Sprintf("hidden_%d", i), "Somebody"))
	}
	for i := range 4 {
		people = append(people, w.join(fmt.Sprintf("other_%d", i), "Hidden Somebody"))
	}
	w.caughtUp()

	gone := []person{people[1], people[2], people[3], people[5]}
	for _, p := range gone {
		p.leaves()
		w.hasNot(p)
		// As if the engine had not been told.
		x.plant(p.ID, document{1 << 40, source{p.UID, p.Username, p.Name, p.Picture}}, "hidden")
		w.shows("hidden_", 100, p)
	}
	taken := w.join(people[5].Username, "Somebody") // the name is free
	w.has(taken)
	// Pages are as long as they are without those who left, and go on.
	w.byEngine(func() {
		var shape []string
		for _, a := range w.pages("hidden", 2) {
			shape = append(shape, strings.Join(namesOf([]*kithtest.Answer{a}), "+"))
		}
		if got := strings.Join(shape, " "); got != "hidden_0  other_0 other_2+other_3" {
			t.Errorf("pages: %s", got)
		}
	})
	for _, p := range gone {
		if _, ok := x.document(p.ID); !ok {
			t.Errorf("the document of %s is gone, so nothing was tested", p.Username)
		}
	}
	w.reindex() // nothing else removes what we have planted
	for _, p := range gone {
		w.hasNot(p)
	}
	w.finds("other_1", taken.Username)

	// Documents that nobody wrote but us, above any version that there will be.
	stale := func(p kithtest.User) document {
		return document{1 << 40, source{p.UID, p.Username, "Planted", p.Picture}}
	}
	x.plant(people[1].ID, stale(people[1].User), "planted")
	x.plant(1<<40, document{1 << 40, source{people[0].UID, "hidden_00", "Planted", ""}}, "planted")
	x.plant(people[0].ID, stale(people[0].User), "planted")
	w.shows("planted", 100, people[1])
	w.byEngine(func() {
		// What is shown of those who are there is the truth.
		if found := w.page("planted", 100, "").Users; len(found) != 1 || found[0] != people[0].User {
			t.Errorf("found %+v, want %+v", found, people[0].User)
		}
	})
	w.reindex()
	w.same()
	w.finds("planted")
}

// shows wants a search by the engine to show others than a person alone.
func (w *world) shows(q string, limit int, but person) {
	w.t.Helper()
	w.byEngine(func() {
		for _, a := range w.pages(q, limit) {
			for _, u := range a.Users {
				if u.ID == but.ID || u.UID == but.UID {
					w.t.Errorf("%s is gone and shown", u.Username)
				}
			}
		}
	})
}
