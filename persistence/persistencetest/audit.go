//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"errors"
	"testing"

	"kith/actors/user"
	"kith/persistence"
)

// Audit checks that an audit sees all of one state.
func Audit(t *testing.T, open func(*testing.T) Store) {
	rules(t, open, map[string]func(*testing.T, *world){
		"a snapshot sees nothing of what is written later": func(t *testing.T, w *world) {
			grains := w.registered(t, 3)
			a, b, c := grains[0], grains[1], grains[2]
			w.takes(t, a, a.follows(b.id))
			snapshot := must(w.Snapshot(t.Context()))(t)
			before := read(t, snapshot)

			w.takes(t, b, b.followedBy(a.id))
			w.takes(t, a, a.does("e"))
			w.takes(t, c, c.deletes())
			noError(t, w.Park(t.Context(), w.node, []persistence.Parked{{Lane: 1, Pos: 1, Target: 1, At: at(1)}}))
			noError(t, w.PutSeverings(t.Context(), w.node, []persistence.Severing{{User: c.id, Pos: 2}}))
			must(w.Commit(t.Context(), persistence.Batch{Node: w.node, Marks: []persistence.Mark{{Tail: persistence.TailEffects, Pos: 1}}}))(t)

			equal(t, "the old state", read(t, snapshot), before)
			noError(t, snapshot.Close())

			snapshot = must(w.Snapshot(t.Context()))(t)
			after := read(t, snapshot)
			noError(t, snapshot.Close())
			equal(t, "parked", len(after.Parked), 1)
			equal(t, "severings", after.Severings, []persistence.Severing{{User: c.id, Pos: 2}})
			equal(t, "marks", after.Marks, [persistence.LaneCount]uint64{0: 1})
			equal(t, "heads", after.Heads, must(w.Heads(t.Context()))(t))
			equal(t, "deleted", after.Users[2].Deleted, true)
			equal(t, "followers", after.Users[1].Followers, []uint64{uint64(a.id)})
		},
		"everything of a user is there": func(t *testing.T, w *world) {
			grains := w.registered(t, 2)
			g := grains[0]
			turn := g.does("e1")
			turn.Following = []persistence.Edge{{ID: 9, At: at(1), Seq: 1}, {ID: 3, At: at(2), Seq: 2}}
			turn.Followers = []persistence.Edge{{ID: 8, At: at(1), Seq: 1}, {ID: 4, At: at(2), Seq: 2}}
			turn.Crew = []persistence.Edge{{ID: 7, At: at(1), Seq: 1}, {ID: 5, At: at(2), Seq: 2}}
			turn.Studios = []persistence.Edge{{ID: 2, At: at(1), Seq: 1}, {ID: 1, At: at(2), Seq: 2}}
			w.takes(t, g, turn)
			s := persistence.Snapshot{User: g.id, Seq: 2, State: []byte("state")}
			noError(t, w.SaveSnapshots(t.Context(), []persistence.Snapshot{s}))
			equal(t, "the user", w.everything(t)[0], persistence.AuditedUser{
				User: g.id, Account: &g.account, Records: must(w.Records(t.Context(), g.id, 0, 100))(t), Snapshot: &s,
				Following: []uint64{3, 9}, Followers: []uint64{4, 8}, Crew: []uint64{5, 7}, Studios: []uint64{1, 2},
			})
		},
		"users come in pages, the deleted ones too": func(t *testing.T, w *world) {
			grains := w.registered(t, 7)
			w.takes(t, grains[3], grains[3].deletes())
			snapshot := must(w.Snapshot(t.Context()))(t)
			var got []user.ID
			for after := user.ID(0); ; {
				page := must(snapshot.Users(t.Context(), after, 3))(t)
				if len(page) == 0 {
					break
				}
				for _, u := range page {
					got = append(got, u.User)
				}
				after = page[len(page)-1].User
			}
			noError(t, snapshot.Close())
			want := make([]user.ID, len(grains))
			for i, g := range grains {
				want[i] = g.id
			}
			equal(t, "users", got, want)
		},
		"one-sided edges are found on both sides": func(t *testing.T, w *world) {
			grains := w.registered(t, 4)
			a, b, c, gone := grains[0], grains[1], grains[2], grains[3]
			w.takes(t, a, a.follows(b.id, c.id, gone.id))
			w.takes(t, b, b.followedBy(a.id, c.id))
			w.takes(t, gone, gone.followedBy(b.id)) // whose list is of no interest once it is gone
			w.takes(t, gone, gone.deletes())
			snapshot := must(w.Snapshot(t.Context()))(t)
			found := read(t, snapshot).OneSided
			equal(t, "edges", found, map[persistence.OneSidedEdge]bool{
				{Source: a.id, Target: c.id, InFollowing: true}:    true,
				{Source: a.id, Target: gone.id, InFollowing: true}: true,
				{Source: c.id, Target: b.id, InFollowing: false}:   true,
			})
			stop := errors.New("enough")
			wantError(t, snapshot.OneSided(t.Context(), func(persistence.OneSidedEdge) error { return stop }), stop)
			noError(t, snapshot.Close())
		},
	})
}

// state is all that an audit can see.
type state struct {
	Users     []persistence.AuditedUser
	Lanes     [persistence.LaneCount][]persistence.Record
	Heads     [persistence.LaneCount]uint64
	Marks     [persistence.LaneCount]uint64
	Parked    []persistence.Parked
	Severings []persistence.Severing
	OneSided  map[persistence.OneSidedEdge]bool
}

func read(t *testing.T, s persistence.AuditSnapshot) state {
	t.Helper()
	st := state{
		Users:     must(s.Users(t.Context(), 0, 1000))(t),
		Heads:     must(s.Heads(t.Context()))(t),
		Marks:     must(s.Marks(t.Context(), persistence.TailEffects))(t),
		Parked:    must(s.Parked(t.Context()))(t),
		Severings: must(s.Severings(t.Context()))(t),
		OneSided:  make(map[persistence.OneSidedEdge]bool),
	}
	for lane := range st.Lanes {
		st.Lanes[lane] = must(s.Lane(t.Context(), uint8(lane), 0, 1000))(t)
	}
	noError(t, s.OneSided(t.Context(), func(e persistence.OneSidedEdge) error {
		st.OneSided[e] = true
		return nil
	}))
	return st
}
