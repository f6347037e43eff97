//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"fmt"
	"testing"

	"kith/persistence"
)

// Activities checks how behaviour events are read.
func Activities(t *testing.T, open func(*testing.T) Store) {
	// events makes a user with other records before, between and after n events.
	events := func(t *testing.T, w *world, n int) *grain {
		t.Helper()
		grains := w.registered(t, 2)
		g, other := grains[0], grains[1]
		w.takes(t, other, other.does("e0", "e1", "z"))
		for i := 0; i < n; i += 7 {
			var ids []string
			for j := i; j < min(i+7, n); j++ {
				ids = append(ids, fmt.Sprintf("e%d", j))
			}
			w.takes(t, g, g.does(ids...))
			w.takes(t, g, g.records(persistence.KindProfileUpdated, persistence.KindPrivacySet))
		}
		return g
	}
	all := func(t *testing.T, w *world, g *grain, limit int, match func(*persistence.Record) bool) (ids []string, pages int) {
		t.Helper()
		for before := uint64(0); ; pages++ {
			page := must(w.Events(t.Context(), g.id, before, limit, match))(t)
			if len(page.Records) > limit {
				t.Fatalf("%d events in a page of %d", len(page.Records), limit)
			}
			for _, r := range page.Records {
				if r.User != g.id || r.Kind != persistence.KindActivityRecorded || before != 0 && r.Seq >= before {
					t.Fatalf("record %+v after %d", r, before)
				}
				ids = append(ids, r.EventID)
			}
			if page.Next == 0 {
				return ids, pages + 1
			}
			if before != 0 && page.Next >= before {
				t.Fatalf("a page before %d goes on before %d", before, page.Next)
			}
			before = page.Next
		}
	}
	descending := func(n, step int) (ids []string) {
		for i := n - 1; i >= 0; i-- {
			if i%step == 0 {
				ids = append(ids, fmt.Sprintf("e%d", i))
			}
		}
		return ids
	}

	rules(t, open, map[string]func(*testing.T, *world){
		"newest first, each once, whatever lies between": func(t *testing.T, w *world) {
			g := events(t, w, 30)
			for _, limit := range []int{1, 2, 7, 29, 30, 31, 100} {
				got, pages := all(t, w, g, limit, nil)
				equal(t, "events", got, descending(30, 1))
				equal(t, "pages", pages, (30+limit-1)/limit)
			}
		},
		"a page is as it was written": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			turn := g.does("a", "b")
			w.takes(t, g, turn)
			page := must(w.Events(t.Context(), g.id, 0, 1, nil))(t)
			equal(t, "records", page.Records, turn.Records[1:])
			equal(t, "next", page.Next, turn.Records[1].Seq)
			page = must(w.Events(t.Context(), g.id, page.Next, 1, nil))(t)
			equal(t, "records", page.Records, turn.Records[:1])
			equal(t, "next", page.Next, 0)
		},
		"only what matches is shown, and counts": func(t *testing.T, w *world) {
			g := events(t, w, 50)
			match := func(r *persistence.Record) bool {
				var n int
				_, err := fmt.Sscanf(r.EventID, "e%d", &n)
				return err == nil && n%9 == 0
			}
			for _, limit := range []int{1, 2, 5, 6, 7, 100} {
				got, _ := all(t, w, g, limit, match)
				equal(t, "events", got, descending(50, 9))
			}
			got, pages := all(t, w, g, 10, func(*persistence.Record) bool { return false })
			equal(t, "nothing", len(got), 0)
			equal(t, "pages of nothing", pages, 1)
		},
		"a page of what is rare ends, and goes on": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			const n = persistence.MaxActivityScan + 1500
			for i := 0; i < n; i += 500 {
				var ids []string
				for j := range 500 {
					ids = append(ids, fmt.Sprintf("e%d", i+j))
				}
				w.takes(t, g, g.does(ids...))
			}
			seen := 0
			got, pages := all(t, w, g, 10, func(r *persistence.Record) bool { seen++; return r.EventID == "e3" })
			equal(t, "events", got, []string{"e3"})
			equal(t, "looked at", seen, n)
			if pages < 2 {
				t.Errorf("%d records were looked at for one page", n)
			}
		},
		"erased events are not shown, and known by their id": func(t *testing.T, w *world) {
			g := events(t, w, 3)
			recorded := must(w.Event(t.Context(), g.id, "e1"))(t)
			equal(t, "kind", recorded.Kind, persistence.KindActivityRecorded)
			w.takes(t, g, g.erases("e1"))
			got, _ := all(t, w, g, 2, nil)
			equal(t, "events", got, []string{"e2", "e0"})
			erased := must(w.Event(t.Context(), g.id, "e1"))(t)
			want := recorded
			want.Kind, want.Payload = persistence.KindActivityErased, nil
			equal(t, "erased", erased, want)
			w.takes(t, g, g.does("late"))
			got, _ = all(t, w, g, 2, nil)
			equal(t, "events", got, []string{"late", "e2", "e0"})
		},
		"an id that was never recorded is not found": func(t *testing.T, w *world) {
			g := events(t, w, 1)
			for _, id := range []string{"z", "", "E0"} { // z is another's
				_, err := w.Event(t.Context(), g.id, id)
				wantError(t, err, persistence.ErrNotFound)
			}
			_, err := w.Event(t.Context(), g.id+100, "e0")
			wantError(t, err, persistence.ErrNotFound)
			got, _ := all(t, w, &grain{id: g.id + 100}, 5, nil)
			equal(t, "nobody's events", len(got), 0)
		},
		"events recorded meanwhile move nothing": func(t *testing.T, w *world) {
			g := events(t, w, 10)
			page := must(w.Events(t.Context(), g.id, 0, 4, nil))(t)
			w.takes(t, g, g.does("late"))
			w.takes(t, g, g.erases("e8", "e3"))
			var got []string
			for page.Next != 0 {
				page = must(w.Events(t.Context(), g.id, page.Next, 4, nil))(t)
				for _, r := range page.Records {
					got = append(got, r.EventID)
				}
			}
			equal(t, "the rest", got, []string{"e5", "e4", "e2", "e1", "e0"})
		},
	})
}
