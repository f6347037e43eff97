//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"slices"
	"testing"

	"kith/actors/user"
	"kith/persistence"
)

// History checks how journals are read, snapshots and erasing.
func History(t *testing.T, open func(*testing.T) Store) {
	rules(t, open, map[string]func(*testing.T, *world){
		"without a snapshot all records are loaded": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			turn := g.does("e1", "e2")
			w.takes(t, g, turn)
			h := w.history(t, g.id)
			noError(t, h.Err)
			equal(t, "version", h.Version, 3)
			equal(t, "snapshot", h.Snapshot, nil)
			equal(t, "records", h.Records[1:], turn.Records)
		},
		"with a snapshot the records after it are loaded": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			w.takes(t, g, g.does("e1", "e2", "e3"))
			snapshot := persistence.Snapshot{User: g.id, Seq: 2, State: []byte("state at 2")}
			noError(t, w.SaveSnapshots(t.Context(), []persistence.Snapshot{snapshot}))
			h := w.history(t, g.id)
			noError(t, h.Err)
			equal(t, "snapshot", h.Snapshot, &snapshot)
			equal(t, "seqs", seqs(h.Records), []uint64{3, 4})

			snapshot.Seq = 4
			noError(t, w.SaveSnapshots(t.Context(), []persistence.Snapshot{snapshot}))
			h = w.history(t, g.id)
			noError(t, h.Err)
			equal(t, "snapshot", h.Snapshot, &snapshot)
			equal(t, "records", len(h.Records), 0)
		},
		"a snapshot above the version is not used": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			noError(t, w.SaveSnapshots(t.Context(), []persistence.Snapshot{{User: g.id, Seq: 9, State: []byte("future")}}))
			h := w.history(t, g.id)
			noError(t, h.Err)
			equal(t, "snapshot", h.Snapshot, nil)
			equal(t, "seqs", seqs(h.Records), []uint64{1})
		},
		"a snapshot is stored only if it is newer and its user has a row": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			w.takes(t, g, g.does("e1", "e2"))
			save := func(id user.ID, seq uint64, state string) {
				t.Helper()
				noError(t, w.SaveSnapshots(t.Context(), []persistence.Snapshot{{User: id, Seq: seq, State: []byte(state)}}))
			}
			save(g.id, 2, "two")
			save(g.id, 2, "two again")
			save(g.id, 1, "one")
			save(g.id+100, 1, "nobody")
			equal(t, "state", string(w.history(t, g.id).Snapshot.State), "two")
			equal(t, "users", len(w.everything(t)), 1)
			w.takes(t, g, g.deletes())
			equal(t, "erased", must(w.EraseUser(t.Context(), g.id, 10))(t), true)
			save(g.id, 4, "gone")
			equal(t, "snapshot of a deleted user", w.everything(t)[0].Snapshot, nil)
		},
		"many are loaded at once, in the order asked": func(t *testing.T, w *world) {
			grains := w.registered(t, 700)
			var turns []*persistence.Turn
			for _, g := range grains[:350] {
				turns = append(turns, g.follows(1, 2, 3))
			}
			w.commits(t, turns...)
			w.takes(t, grains[600], grains[600].deletes())
			ids := make([]user.ID, 0, len(grains)+1)
			for _, g := range grains {
				ids = append(ids, g.id)
			}
			ids = append(ids, grains[699].id+50)
			slices.Reverse(ids)
			loaded := must(w.Load(t.Context(), ids))(t)
			for i, h := range loaded {
				noError(t, h.Err)
				if h.User != ids[i] {
					t.Fatalf("history %d is of user %d, want %d", i, h.User, ids[i])
				}
				want := uint64(1)
				switch n := len(ids) - 1 - i; {
				case i == 0 || n == 600:
					want = 0
				case n < 350:
					want = 4
				}
				if h.Version != want || uint64(len(h.Records)) != want || h.Deleted != (len(ids)-1-i == 600) {
					t.Fatalf("user %d: version %d, %d records, deleted %t; want %d", h.User, h.Version, len(h.Records), h.Deleted, want)
				}
			}
			equal(t, "none asked for", len(must(w.Load(t.Context(), nil))(t)), 0)
		},
		"a load beside commits sees one state": func(t *testing.T, w *world) {
			grains := w.registered(t, 4)
			ids := make([]user.ID, len(grains))
			for i, g := range grains {
				ids[i] = g.id
			}
			written := make(chan error, 1)
			ctx := background(t)
			go func() {
				for range 60 {
					turns := make([]*persistence.Turn, len(grains))
					for i, g := range grains {
						turns[i] = g.records(persistence.KindPrivacySet)
						g.took(turns[i])
					}
					if _, err := w.Commit(ctx, persistence.Batch{Node: w.node, Turns: turns}); err != nil {
						written <- err
						return
					}
				}
				written <- nil
			}()
			for {
				histories := must(w.Load(t.Context(), ids))(t)
				for _, h := range histories {
					noError(t, h.Err)
					// One batch holds a turn of each.
					equal(t, "version", h.Version, histories[0].Version)
				}
				select {
				case err := <-written:
					noError(t, err)
					return
				default:
				}
			}
		},
		"a history with a hole is an error of its user alone": func(t *testing.T, w *world) {
			grains := w.registered(t, 4)
			for _, g := range grains {
				w.takes(t, g, g.does("e1", "e2", "e3"))
			}
			w.Break(t, grains[0].id, 1)
			w.Break(t, grains[1].id, 2)
			w.Break(t, grains[2].id, 4)
			loaded := must(w.Load(t.Context(), []user.ID{grains[0].id, grains[1].id, grains[2].id, grains[3].id}))(t)
			for i, h := range loaded[:3] {
				if h.Err == nil {
					t.Errorf("history %d has a hole, and Err is nil", i)
				}
			}
			noError(t, loaded[3].Err)
			equal(t, "records of the whole one", len(loaded[3].Records), 4)
			// A snapshot above the hole covers it.
			noError(t, w.SaveSnapshots(t.Context(), []persistence.Snapshot{{User: grains[1].id, Seq: 3, State: []byte("s")}}))
			noError(t, w.history(t, grains[1].id).Err)
		},
		"records and lanes are read in pages, in order": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			w.takes(t, g, g.does("a", "b", "c", "d"))
			lane := persistence.LaneOf(g.id)
			for after := range uint64(6) {
				want := []uint64{1, 2, 3, 4, 5}[min(after, 5):]
				want = want[:min(len(want), 2)]
				equal(t, "records", seqs(must(w.Records(t.Context(), g.id, after, 2))(t)), slices.Clip(append([]uint64(nil), want...)))
				equal(t, "lane", seqs(must(w.ReadLane(t.Context(), lane, after, 2))(t)), slices.Clip(append([]uint64(nil), want...)))
			}
			equal(t, "another lane", len(must(w.ReadLane(t.Context(), lane+1, 0, 10))(t)), 0)
			equal(t, "another user", len(must(w.Records(t.Context(), g.id+64, 0, 10))(t)), 0)
			noError(t, w.SaveSnapshots(t.Context(), []persistence.Snapshot{{User: g.id, Seq: 5, State: []byte("s")}}))
			equal(t, "a snapshot hides nothing", len(must(w.Records(t.Context(), g.id, 0, 10))(t)), 5)
		},
		"the highest lane and position come back": func(t *testing.T, w *world) {
			first := must(w.NextIDs(t.Context(), 64))(t)
			g := newGrain(first + 63 - first%64)
			w.takes(t, g, g.registers())
			equal(t, "lane", persistence.LaneOf(g.id), 63)
			equal(t, "heads", must(w.Heads(t.Context()))(t), [persistence.LaneCount]uint64{63: 1})
			equal(t, "records", len(must(w.ReadLane(t.Context(), 63, 0, 9))(t)), 1)
			equal(t, "beyond", len(must(w.ReadLane(t.Context(), 63, ^uint64(0), 9))(t)), 0)
		},
		"erasing a deleted user goes in steps and keeps places and ids": func(t *testing.T, w *world) {
			grains := w.registered(t, 2)
			g, other := grains[0], grains[1]
			w.takes(t, g, g.does("a", "b", "c", "d", "e"))
			w.takes(t, other, other.does("a"))
			noError(t, w.SaveSnapshots(t.Context(), []persistence.Snapshot{{User: g.id, Seq: 3, State: []byte("s")}}))
			w.takes(t, g, g.deletes())
			before := w.everything(t)
			steps := 0
			for done := false; !done; steps++ {
				done = must(w.EraseUser(t.Context(), g.id, 2))(t)
				blank := 0
				for _, r := range w.everything(t)[0].Records {
					if r.Kind == persistence.KindActivityErased {
						blank++
					}
				}
				if blank > 2*(steps+1) {
					t.Fatalf("%d events are blank after %d steps of 2", blank, steps+1)
				}
			}
			if steps < 3 {
				t.Fatalf("5 events were erased in %d steps of 2", steps)
			}
			after := w.everything(t)
			want := before
			want[0].Snapshot = nil
			for i := range want[0].Records {
				if r := &want[0].Records[i]; r.Kind == persistence.KindActivityRecorded {
					r.Kind, r.Payload = persistence.KindActivityErased, nil
				}
			}
			equal(t, "what is stored", after, want)
		},
		"a user who has a row is not erased": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			w.takes(t, g, g.does("a"))
			before := w.everything(t)
			if _, err := w.EraseUser(t.Context(), g.id, 10); err == nil {
				t.Fatal("no error")
			}
			equal(t, "what is stored", w.everything(t), before)
		},
	})
}

func seqs(records []persistence.Record) []uint64 {
	var s []uint64
	for _, r := range records {
		s = append(s, r.Seq)
	}
	return s
}
