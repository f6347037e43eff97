//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"cmp"
	"slices"
	"testing"

	"kith/actors/user"
	"kith/persistence"
)

// Edges checks how follow lists are read.
func Edges(t *testing.T, open func(*testing.T) Store) {
	pages := func(t *testing.T, w *world, kind persistence.EdgeKind, id user.ID, limit int, between func(page int)) []persistence.Edge {
		t.Helper()
		var all []persistence.Edge
		cursor := uint64(0)
		for page := 0; ; page++ {
			edges := must(w.List(t.Context(), kind, id, cursor, limit))(t)
			if len(edges) > limit {
				t.Fatalf("%d edges in a page of %d", len(edges), limit)
			}
			all = append(all, edges...)
			if len(edges) < limit {
				return all
			}
			cursor = edges[len(edges)-1].Seq
			between(page)
		}
	}
	nothing := func(int) {}

	rules(t, open, map[string]func(*testing.T, *world){
		"newest first by seq, each once": func(t *testing.T, w *world) {
			grains := w.registered(t, 12)
			g := grains[0]
			for _, kind := range []persistence.EdgeKind{persistence.EdgeFollowing, persistence.EdgeFollowers, persistence.EdgeCrew, persistence.EdgeStudios} {
				turn := g.records(slices.Repeat([]persistence.Kind{persistence.KindFollowed}, len(grains)-1)...)
				var edges, want []persistence.Edge
				for i, other := range grains[1:] {
					// Three share each time, and neither times nor ids are in the order of the seqs.
					edges = append(edges, persistence.Edge{ID: uint64(other.id), At: at(uint64(i) / 3), Seq: turn.Records[(i*5)%len(turn.Records)].Seq})
				}
				want = slices.SortedFunc(slices.Values(edges), func(a, b persistence.Edge) int { return cmp.Compare(b.Seq, a.Seq) })
				switch kind {
				case persistence.EdgeFollowing:
					turn.Following = edges
				case persistence.EdgeFollowers:
					turn.Followers = edges
				case persistence.EdgeCrew:
					turn.Crew = edges
				case persistence.EdgeStudios:
					turn.Studios = edges
				}
				w.takes(t, g, turn)
				for limit := 1; limit <= 12; limit++ {
					equal(t, "the list", pages(t, w, kind, g.id, limit, nothing), want)
				}
			}
			equal(t, "another's list", len(must(w.List(t.Context(), persistence.EdgeFollowing, grains[1].id, 0, 9))(t)), 0)
		},
		"a list that is none is an error": func(t *testing.T, w *world) {
			if _, err := w.List(t.Context(), 99, 1, 0, 9); err == nil {
				t.Fatal("no error")
			}
		},
		"paging while rows come and go shows each that stayed once": func(t *testing.T, w *world) {
			grains := w.registered(t, 41)
			g := grains[0]
			var first []user.ID
			for _, other := range grains[1:31] {
				first = append(first, other.id)
			}
			w.takes(t, g, g.follows(first...))
			removed := make(map[uint64]bool)
			got := pages(t, w, persistence.EdgeFollowing, g.id, 4, func(page int) {
				turn := g.follows(grains[31+page].id) // newer than all
				for _, gone := range []user.ID{first[29-page], first[page]} {
					turn.Following = append(turn.Following, persistence.Edge{ID: uint64(gone), Removed: true})
					removed[uint64(gone)] = true
				}
				w.takes(t, g, turn)
			})
			seen := make(map[uint64]int)
			for _, e := range got {
				seen[e.ID]++
			}
			for _, id := range first {
				if n := seen[uint64(id)]; n > 1 || n == 0 && !removed[uint64(id)] {
					t.Errorf("user %d, who stayed: %t, was shown %d times", id, !removed[uint64(id)], n)
				}
			}
		},
		"edges to users who are gone are left out": func(t *testing.T, w *world) {
			grains := w.registered(t, 5)
			g := grains[0]
			w.takes(t, g, g.follows(grains[1].id, grains[2].id, grains[3].id, 7777))
			w.takes(t, g, g.followedBy(grains[2].id, grains[4].id))
			turn := g.records(persistence.KindCrewFollowed)
			turn.Crew = []persistence.Edge{{ID: 7777, At: at(1), Seq: turn.Records[0].Seq}} // no user, and none is asked for
			w.takes(t, g, turn)
			w.takes(t, grains[2], grains[2].deletes())
			equal(t, "following", ids(pages(t, w, persistence.EdgeFollowing, g.id, 1, nothing)), []uint64{uint64(grains[3].id), uint64(grains[1].id)})
			equal(t, "followers", ids(pages(t, w, persistence.EdgeFollowers, g.id, 1, nothing)), []uint64{uint64(grains[4].id)})
			equal(t, "crew", ids(pages(t, w, persistence.EdgeCrew, g.id, 1, nothing)), []uint64{7777})
		},
		"relations come in the order asked": func(t *testing.T, w *world) {
			grains := w.registered(t, 4)
			g := grains[0]
			w.takes(t, g, g.follows(grains[1].id, grains[2].id))
			w.takes(t, g, g.followedBy(grains[2].id, grains[3].id))
			asked := []user.ID{grains[3].id, grains[2].id, 999, grains[1].id, g.id, grains[2].id}
			equal(t, "relations", must(w.Relations(t.Context(), g.id, asked))(t), []persistence.Relation{
				{FollowedBy: true}, {Following: true, FollowedBy: true}, {}, {Following: true}, {}, {Following: true, FollowedBy: true},
			})
			equal(t, "none", len(must(w.Relations(t.Context(), g.id, nil))(t)), 0)
		},
	})
}

func ids(edges []persistence.Edge) []uint64 {
	var s []uint64
	for _, e := range edges {
		s = append(s, e.ID)
	}
	return s
}
