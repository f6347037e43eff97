//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// Lanes checks ownership, parked effects and severings.
func Lanes(t *testing.T, open func(*testing.T) Store) {
	rules(t, open, map[string]func(*testing.T, *world){
		"a restart raises its own epoch at once": func(t *testing.T, w *world) {
			again := must(w.Acquire(t.Context(), w.node.ID, time.Hour))(t)
			if again.ID != w.node.ID || again.Epoch <= w.node.Epoch {
				t.Fatalf("acquired as %+v after %+v", again, w.node)
			}
			wantError(t, w.Renew(t.Context(), w.node, time.Hour), persistence.ErrFenced)
			noError(t, w.Renew(t.Context(), again, time.Hour))
		},
		"the live lease of another node is refused and named": func(t *testing.T, w *world) {
			_, err := w.Acquire(t.Context(), "node-b", time.Hour)
			wantError(t, err, persistence.ErrLeased)
			var leased *persistence.LeasedError
			if !errors.As(err, &leased) || leased.Node != w.node.ID || time.Until(leased.Until) < 50*time.Minute {
				t.Fatalf("error %v tells %+v", err, leased)
			}
			noError(t, w.Renew(t.Context(), w.node, time.Hour)) // nothing changed
		},
		"a lease that ran out is taken over, and its node fenced": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			noError(t, w.Renew(t.Context(), w.node, 0))
			next := must(w.Acquire(t.Context(), "node-b", time.Hour))(t)
			_, err := w.Commit(t.Context(), persistence.Batch{Node: w.node, Turns: []*persistence.Turn{g.follows(9)}})
			wantError(t, err, persistence.ErrFenced)
			wantError(t, w.Renew(t.Context(), w.node, time.Hour), persistence.ErrFenced)
			_, err = w.Acquire(t.Context(), w.node.ID, time.Hour)
			wantError(t, err, persistence.ErrLeased)
			w.node = next
			w.takes(t, g, g.follows(9))
		},
		"a raise goes one up and settles what was before": func(t *testing.T, w *world) {
			next := must(w.Raise(t.Context(), w.node))(t)
			equal(t, "node", next, persistence.Node{ID: w.node.ID, Epoch: w.node.Epoch + 1})
			noError(t, w.Renew(t.Context(), next, time.Hour))
		},
		"marks that were never saved are 0": func(t *testing.T, w *world) {
			equal(t, "marks", must(w.Marks(t.Context(), persistence.TailEffects))(t), [persistence.LaneCount]uint64{})
		},
		"parked effects come in order of lane and position, whatever the clock said": func(t *testing.T, w *world) {
			parked := []persistence.Parked{
				{Lane: 1, Pos: 1, Target: 7, Reason: "a", At: at(3)},
				{Lane: 2, Pos: 5, Target: 7, Reason: "b", At: at(2)},
				{Lane: 2, Pos: 6, Target: 7, Reason: "c", At: at(1)},
				{Lane: 3, Pos: 9, Target: 7, Reason: "d", At: at(1)},
				{Lane: 4, Pos: 1, Target: 7, Reason: "e", At: at(2)},
			}
			unreadable := persistence.Parked{Lane: 1, Pos: 2, Reason: "unreadable", At: at(1)}
			shuffled := slices.Concat([]persistence.Parked{unreadable}, parked)
			slices.Reverse(shuffled)
			noError(t, w.Park(t.Context(), w.node, shuffled))
			equal(t, "parked", must(w.ParkedEffects(t.Context(), 7, 100))(t), parked)
			equal(t, "limit", must(w.ParkedEffects(t.Context(), 7, 2))(t), parked[:2])
			equal(t, "unreadable", must(w.ParkedEffects(t.Context(), 0, 100))(t), []persistence.Parked{unreadable})
			equal(t, "targets", must(w.ParkedTargets(t.Context()))(t), map[user.ID]int{0: 1, 7: 5})

			again := parked[0]
			again.Reason, again.At = "later", at(9)
			noError(t, w.Park(t.Context(), w.node, []persistence.Parked{again}))
			equal(t, "one parked before stays as it is", must(w.ParkedEffects(t.Context(), 7, 1))(t), parked[:1])

			noError(t, w.Unpark(t.Context(), w.node, []persistence.Parked{parked[1], {Lane: 60, Pos: 1, Target: 7}, unreadable}))
			equal(t, "the others stay", must(w.ParkedEffects(t.Context(), 7, 100))(t), slices.Delete(slices.Clone(parked), 1, 2))
			equal(t, "targets", must(w.ParkedTargets(t.Context()))(t), map[user.ID]int{7: 4})
		},
		"the cursor of a severing moves forward alone": func(t *testing.T, w *world) {
			put := func(s ...persistence.Severing) {
				t.Helper()
				noError(t, w.PutSeverings(t.Context(), w.node, s))
			}
			put(persistence.Severing{User: 5, Pos: 11}, persistence.Severing{User: 6, Pos: 12, Cursor: 3})
			put(persistence.Severing{User: 5, Pos: 11, Cursor: 70}, persistence.Severing{User: 6, Pos: 12, Cursor: 2})
			equal(t, "severings", must(w.Severings(t.Context()))(t), []persistence.Severing{{User: 5, Pos: 11, Cursor: 70}, {User: 6, Pos: 12, Cursor: 3}})
		},
		"neighbours are both lists, ascending, each once": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			w.takes(t, g, g.follows(40, 10, 30))
			w.takes(t, g, g.followedBy(30, 20, 50))
			w.takes(t, g, g.deletes())
			equal(t, "all", must(w.Neighbours(t.Context(), g.id, 0, 100))(t), []user.ID{10, 20, 30, 40, 50})
			equal(t, "a page", must(w.Neighbours(t.Context(), g.id, 10, 2))(t), []user.ID{20, 30})
			equal(t, "after all", len(must(w.Neighbours(t.Context(), g.id, 50, 100))(t)), 0)
		},
		"closing a severing removes the job and the user's own edges": func(t *testing.T, w *world) {
			grains := w.registered(t, 2)
			g, other := grains[0], grains[1]
			// More than any engine does in one step.
			many := make([]user.ID, 2500)
			for i := range many {
				many[i] = user.ID(i) + 1000
			}
			w.takes(t, g, g.follows(many...))
			w.takes(t, g, g.followedBy(other.id))
			turn := g.records(persistence.KindCrewFollowed)
			turn.Crew = []persistence.Edge{{ID: 1, At: at(1), Seq: 1}}
			turn.Studios = []persistence.Edge{{ID: 2, At: at(1), Seq: 1}}
			w.takes(t, g, turn)
			w.takes(t, other, other.follows(g.id))
			w.takes(t, g, g.deletes())
			noError(t, w.PutSeverings(t.Context(), w.node, []persistence.Severing{{User: g.id, Pos: 1}, {User: 77, Pos: 1}}))
			noError(t, w.CloseSevering(t.Context(), w.node, g.id))
			noError(t, w.CloseSevering(t.Context(), w.node, g.id)) // again: satisfied
			equal(t, "severings", must(w.Severings(t.Context()))(t), []persistence.Severing{{User: 77, Pos: 1}})
			all := w.everything(t)
			gone := all[0]
			equal(t, "own edges", len(gone.Following)+len(gone.Followers)+len(gone.Crew)+len(gone.Studios), 0)
			equal(t, "another's edge", all[1].Following, []uint64{uint64(g.id)})
		},
	})
}
