//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"testing"

	"kith/actors/user"
	"kith/persistence"
)

// Guards checks that a turn whose guard does not hold fails alone: it writes
// nothing, and its neighbours in the batch commit.
func Guards(t *testing.T, open func(*testing.T) Store) {
	// between commits turn between two good ones and returns its outcome.
	between := func(t *testing.T, w *world, turn *persistence.Turn) persistence.Outcome {
		t.Helper()
		pair := w.registered(t, 2)
		before := w.everything(t)
		outcomes := w.commits(t, pair[0].follows(pair[1].id), turn, pair[1].followedBy(pair[0].id))
		if outcomes[0].Status != persistence.Committed || outcomes[2].Status != persistence.Committed {
			t.Fatalf("neighbours: status %d and %d, want committed", outcomes[0].Status, outcomes[2].Status)
		}
		after := w.everything(t)
		if n := len(before) - 2; outcomes[1].Status != persistence.Committed {
			equal(t, "what the refused turn left", after[:n], before[:n])
			equal(t, "users", len(after), len(before))
		}
		return outcomes[1]
	}
	username := func(g *grain) persistence.Claim {
		return persistence.Claim{Kind: persistence.ClaimUsername, Value: g.account.Username}
	}
	rules(t, open, map[string]func(*testing.T, *world){
		"a version that is behind or ahead is stale": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			w.takes(t, g, g.records(persistence.KindPrivacySet))
			behind, ahead := *g, *g
			behind.account.Version--
			ahead.account.Version++
			for _, turn := range []*persistence.Turn{
				behind.follows(99), ahead.follows(99), behind.does("e"), ahead.deletes(), newGrain(g.id).registers(),
			} {
				equal(t, "status", between(t, w, turn).Status, persistence.Stale)
			}
		},
		"a turn of nobody is stale": func(t *testing.T, w *world) {
			g := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			g.account.Version = 3
			equal(t, "status", between(t, w, g.follows(99)).Status, persistence.Stale)
			equal(t, "status", between(t, w, g.does("e")).Status, persistence.Stale)
			equal(t, "status", between(t, w, g.deletes()).Status, persistence.Stale)
		},
		"a claim that the user does not hold is missing": func(t *testing.T, w *world) {
			g := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			turn := g.registers()
			turn.Claims = []persistence.Claim{username(g)}
			equal(t, "held by nobody", between(t, w, turn).Status, persistence.ClaimMissing)
			noError(t, w.Claim(t.Context(), g.id+1000, turn.Claims))
			equal(t, "held by another", between(t, w, turn).Status, persistence.ClaimMissing)
			noError(t, w.Release(t.Context(), g.id+1000, turn.Claims))
			noError(t, w.Claim(t.Context(), g.id, turn.Claims))
			equal(t, "held", between(t, w, turn).Status, persistence.Committed)
		},
		"a claim of another kind does not count": func(t *testing.T, w *world) {
			g := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			noError(t, w.Claim(t.Context(), g.id, []persistence.Claim{{Kind: persistence.ClaimEmail, Value: g.account.Username}}))
			turn := g.registers()
			turn.Claims = []persistence.Claim{username(g)}
			equal(t, "status", between(t, w, turn).Status, persistence.ClaimMissing)
		},
		"every event id in conflict is told with its status": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			w.takes(t, g, g.does("kept", "gone"))
			w.takes(t, g, g.erases("gone"))

			o := between(t, w, g.does("new", "kept", "gone"))
			equal(t, "recorded anew", o, persistence.Outcome{Status: persistence.EventConflict, Conflicts: []persistence.EventConflictDetail{
				{EventID: "kept", Status: user.EventRecorded}, {EventID: "gone", Status: user.EventErased},
			}})
			o = between(t, w, g.erases("kept", "gone", "never"))
			equal(t, "erased", o, persistence.Outcome{Status: persistence.EventConflict, Conflicts: []persistence.EventConflictDetail{
				{EventID: "gone", Status: user.EventErased}, {EventID: "never", Status: user.EventMissing},
			}})
			equal(t, "the kept one can still be erased", between(t, w, g.erases("kept")).Status, persistence.Committed)
		},
		"an id that was erased at once stays known": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			turn := g.records(persistence.KindActivityRecorded, persistence.KindActivityDeleted)
			turn.Records[0].EventID, turn.Erase = "e1", []string{"e1"}
			w.takes(t, g, turn)
			equal(t, "conflicts", between(t, w, g.does("e1")).Conflicts, []persistence.EventConflictDetail{{EventID: "e1", Status: user.EventErased}})
		},
		"event ids belong to their user": func(t *testing.T, w *world) {
			grains := w.registered(t, 2)
			w.takes(t, grains[0], grains[0].does("e1"))
			equal(t, "another's", between(t, w, grains[1].does("e1")).Status, persistence.Committed)
			equal(t, "one cannot erase another's", between(t, w, grains[0].erases("e2")).Status, persistence.EventConflict)
		},
		"a stale turn is stale whatever else is wrong": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			turn := g.does("e1")
			w.takes(t, g, g.does("e1"))
			turn.Claims = []persistence.Claim{{Kind: persistence.ClaimEmail, Value: "x"}}
			equal(t, "status", between(t, w, turn).Status, persistence.Stale)
		},
		"rows that should not be there hold up their user alone": func(t *testing.T, w *world) {
			// A name that was never claimed is taken: two turns that both believe.
			grains := w.registered(t, 1)
			g := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			g.account.Username = grains[0].account.Username
			if s := between(t, w, g.registers()).Status; s == persistence.Committed {
				t.Fatal("two users bear one name")
			}
			// A record is missing in the middle, and the row is older than the journal.
			w.takes(t, grains[0], grains[0].records(persistence.KindPrivacySet))
			w.takes(t, grains[0], grains[0].records(persistence.KindPrivacySet))
			w.Break(t, grains[0].id, 2)
			wantBroken(t, w, grains[0].id)
		},
	})
}

func wantBroken(t *testing.T, w *world, id user.ID) {
	t.Helper()
	if h := w.history(t, id); h.Err == nil {
		t.Fatalf("the history of user %d is not whole, and Err is nil", id)
	}
}
