//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"kith/actors/user"
	"kith/persistence"
)

// LiveUsers checks that all who exist are read, with the heads that belong to them.
func LiveUsers(t *testing.T, open func(*testing.T) Store) {
	live := func(t *testing.T, w *world) ([]user.ID, [persistence.LaneCount]uint64) {
		t.Helper()
		var all []user.ID
		heads, err := w.LiveIDs(t.Context(), func(ids []user.ID) error {
			all = append(all, ids...)
			return nil
		})
		noError(t, err)
		slices.Sort(all)
		return all, heads
	}
	rules(t, open, map[string]func(*testing.T, *world){
		"all who exist, and nobody else": func(t *testing.T, w *world) {
			ids, heads := live(t, w)
			equal(t, "at first", len(ids), 0)
			equal(t, "heads at first", heads, [persistence.LaneCount]uint64{})
			var want []user.ID
			for _, g := range w.registered(t, 1200) {
				if g.id%97 == 0 {
					w.takes(t, g, g.deletes())
					continue
				}
				want = append(want, g.id)
			}
			ids, heads = live(t, w)
			equal(t, "ids", ids, want)
			equal(t, "heads", heads, must(w.Heads(t.Context()))(t))
		},
		"ids and heads are of one moment": func(t *testing.T, w *world) {
			first := must(w.NextIDs(t.Context(), 64*40))(t)
			ctx, cancel := context.WithCancel(background(t))
			var running sync.WaitGroup
			defer running.Wait()
			defer cancel()
			running.Go(func() {
				for i := range user.ID(40) { // one a lane, so a lane's head is how many it has
					var turns []*persistence.Turn
					for lane := range user.ID(64) {
						turns = append(turns, newGrain(first+64*i+lane).registers())
					}
					if _, err := w.Commit(ctx, persistence.Batch{Node: w.node, Turns: turns}); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
			for range 20 {
				ids, heads := live(t, w)
				var counts [persistence.LaneCount]uint64
				for _, id := range ids {
					counts[persistence.LaneOf(id)]++
				}
				equal(t, "users of each lane", counts, heads)
			}
		},
		"an error ends the reading": func(t *testing.T, w *world) {
			w.registered(t, 3)
			boom := errors.New("boom")
			_, err := w.LiveIDs(t.Context(), func([]user.ID) error { return boom })
			wantError(t, err, boom)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := w.LiveIDs(ctx, func([]user.ID) error { return nil }); err == nil {
				t.Fatal("no error though the context has ended")
			}
			if ids, _ := live(t, w); len(ids) != 3 {
				t.Fatalf("%d users afterwards", len(ids))
			}
		},
	})
}
