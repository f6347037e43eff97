//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"slices"
	"testing"

	"kith/actors/user"
	"kith/persistence"
)

// Notifications checks what is kept of how far they were seen.
func Notifications(t *testing.T, open func(*testing.T) Store) {
	unread := func(t *testing.T, w *world, g *grain, want int) {
		t.Helper()
		if got := must(w.Unread(t.Context(), g.id))(t); got != want {
			t.Fatalf("%d unread, want %d", got, want)
		}
	}
	rules(t, open, map[string]func(*testing.T, *world){
		"the current followers above the mark are unread": func(t *testing.T, w *world) {
			grains := w.registered(t, 7)
			g := grains[0]
			unread(t, w, g, 0)
			turn := g.followedBy(grains[1].id, grains[2].id, grains[3].id, grains[4].id)
			w.takes(t, g, turn)
			w.takes(t, grains[6], grains[6].followedBy(grains[1].id))
			unread(t, w, g, 4)
			noError(t, w.MarkSeen(t.Context(), g.id, turn.Records[1].Seq))
			unread(t, w, g, 2)
			noError(t, w.MarkSeen(t.Context(), g.id, turn.Records[1].Seq))
			noError(t, w.MarkSeen(t.Context(), g.id, turn.Records[0].Seq))
			unread(t, w, g, 2) // a mark never goes back
			w.takes(t, grains[4], grains[4].deletes())
			unread(t, w, g, 1)
			removed := g.records(persistence.KindFollowerRemoved)
			removed.Followers = []persistence.Edge{{ID: uint64(grains[3].id), Removed: true}}
			w.takes(t, g, removed)
			unread(t, w, g, 0)
			w.takes(t, g, g.followedBy(grains[3].id, grains[5].id))
			unread(t, w, g, 2)                                             // one of whom follows again
			noError(t, w.MarkSeen(t.Context(), g.id, turn.Records[2].Seq)) // what was taken back is still a place
			unread(t, w, g, 2)
			noError(t, w.MarkSeen(t.Context(), g.id, g.account.Version))
			unread(t, w, g, 0)
			unread(t, w, grains[6], 1)
		},
		"what was never a notification is not found": func(t *testing.T, w *world) {
			grains := w.registered(t, 2)
			g := grains[0]
			w.takes(t, g, g.followedBy(grains[1].id))
			for _, seq := range []uint64{0, 1, 3, 1 << 40, 1<<64 - 1} {
				wantError(t, w.MarkSeen(t.Context(), g.id, seq), persistence.ErrNotFound)
			}
			wantError(t, w.MarkSeen(t.Context(), grains[1].id, 2), persistence.ErrNotFound)
			wantError(t, w.MarkSeen(t.Context(), 7777, 1), persistence.ErrNotFound)
			unread(t, w, g, 1)
			w.takes(t, g, g.deletes())
			wantError(t, w.MarkSeen(t.Context(), g.id, 2), persistence.ErrNotFound)
		},
		"erasing a user removes the mark": func(t *testing.T, w *world) {
			grains := w.registered(t, 3)
			g := grains[0]
			w.takes(t, g, g.followedBy(grains[1].id, grains[2].id))
			noError(t, w.MarkSeen(t.Context(), g.id, g.account.Version))
			w.takes(t, g, g.deletes())
			must(w.EraseUser(t.Context(), g.id, 10))(t)
			unread(t, w, g, 2) // its own rows are there until the severing closes
		},
		"it counts to a bound": func(t *testing.T, w *world) {
			const n = persistence.MaxUnread + 10
			grains := w.registered(t, n+1)
			g := grains[0]
			for some := range slices.Chunk(grains[1:], 2000) {
				var ids []user.ID
				for _, f := range some {
					ids = append(ids, f.id)
				}
				w.takes(t, g, g.followedBy(ids...))
			}
			unread(t, w, g, persistence.MaxUnread)
			noError(t, w.MarkSeen(t.Context(), g.id, 21))
			unread(t, w, g, n-20)
		},
	})
}
