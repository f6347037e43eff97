//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"kith/actors/user"
	"kith/persistence"
)

// Search checks how users are found by their names.
func Search(t *testing.T, open func(*testing.T) Store) {
	// named registers users, given as username and name.
	named := func(t *testing.T, w *world, names ...[2]string) []*grain {
		t.Helper()
		first := must(w.NextIDs(t.Context(), len(names)))(t)
		grains := make([]*grain, len(names))
		for i, n := range names {
			g := newGrain(first + user.ID(i))
			g.account.Username, g.account.Name = n[0], n[1]
			w.takes(t, g, g.registers())
			grains[i] = g
		}
		return grains
	}
	renames := func(g *grain, name string) *persistence.Turn {
		turn := g.records(persistence.KindProfileUpdated)
		turn.Account.Name = name
		return turn
	}
	// search returns the usernames found, in pages of limit.
	search := func(t *testing.T, w *world, q string, limit int, between func(page int)) []string {
		t.Helper()
		query, _ := persistence.ParseSearch(q)
		found := []string{}
		cursor := persistence.SearchCursor{}
		for page := 0; ; page++ {
			hits := must(w.Search(t.Context(), query, cursor, limit))(t)
			if len(hits) > limit {
				t.Fatalf("%d hits in a page of %d", len(hits), limit)
			}
			for _, h := range hits {
				found = append(found, h.At.Username)
				cursor = h.At
			}
			if len(hits) < limit {
				return found
			}
			between(page)
		}
	}
	nothing := func(int) {}
	all := func(t *testing.T, w *world, q string) []string { t.Helper(); return search(t, w, q, 100, nothing) }

	rules(t, open, map[string]func(*testing.T, *world){
		"the username itself, then usernames, then names, each by username": func(t *testing.T, w *world) {
			grains := named(t, w, [2]string{"anna", "Zoe"}, [2]string{"ann", "Ann"}, [2]string{"zed", "Ann Lee"}, [2]string{"bob", "Lee Annable"},
				[2]string{"ann_2", "Bob"}, [2]string{"an", "Ann"}, [2]string{"max", "Max Mann"}, [2]string{"ana", "X"})
			equal(t, "found", all(t, w, "ann"), []string{"ann", "ann_2", "anna", "an", "bob", "zed"})
			equal(t, "one code point", all(t, w, "z"), []string{"zed", "anna"})
			hits := must(w.Search(t.Context(), persistence.SearchQuery{Username: "ann", Word: "ann"}, persistence.SearchCursor{}, 4))(t)
			equal(t, "hits", hits, []persistence.SearchHit{
				{ID: grains[1].id, At: persistence.SearchCursor{Username: "ann"}},
				{ID: grains[4].id, At: persistence.SearchCursor{Username: "ann_2"}},
				{ID: grains[0].id, At: persistence.SearchCursor{Username: "anna"}},
				{ID: grains[5].id, At: persistence.SearchCursor{ByName: true, Username: "an"}},
			})
		},
		"what nobody's names begin with finds nobody": func(t *testing.T, w *world) {
			named(t, w, [2]string{"ann", "Ann Lee"})
			for _, q := range []string{"nn", "ee", "annn", "ann lee", "_", "%", "a%", "*", "'", "\x00", "a\x00", "\xff", strings.Repeat("a", 5000), "{", "~"} {
				equal(t, fmt.Sprintf("found by %q", q), all(t, w, q), []string{})
			}
			equal(t, "nothing asked", len(must(w.Search(t.Context(), persistence.SearchQuery{}, persistence.SearchCursor{}, 10))(t)), 0)
			equal(t, "none asked for", len(must(w.Search(t.Context(), persistence.SearchQuery{Username: "ann"}, persistence.SearchCursor{}, 0))(t)), 0)
		},
		"case does not matter, in any script": func(t *testing.T, w *world) {
			named(t, w, [2]string{"u01", "Zoë O'Brien-Smith"}, [2]string{"u02", "Ξένια ΝΙΚΟΣ"}, [2]string{"u03", "Ёжик Туманов"},
				[2]string{"u04", "山田太郎"}, [2]string{"u05", "İpek IŞIK"}, [2]string{"u06", "محمد علي"}, [2]string{"u07", "प्रिया शर्मा"},
				[2]string{"u08", "Zoe\u0308 Two"}, [2]string{"u09", "🎬 Movie2Go"}, [2]string{"u10", "Straße"})
			for q, want := range map[string][]string{
				"ZOË": {"u01", "u08"}, "zoe\u0308": {"u01", "u08"}, "o'b": {"u01"}, "brien": {"u01"}, "brien-s": {"u01"}, "smith": {"u01"},
				"νικος": {"u02"}, "ξέ": {"u02"}, "ёЖ": {"u03"}, "ту": {"u03"}, "山田": {"u04"}, "田": {}, "ipek": {"u05"}, "ışı": {"u05"},
				"محم": {"u06"}, "عل": {"u06"}, "प्रि": {"u07"}, "रि": {}, "🎬": {"u09"}, "MOVIE2": {"u09"}, "2go": {}, "straß": {"u10"},
				"U0": {"u01", "u02", "u03", "u04", "u05", "u06", "u07", "u08", "u09"}, "  u10\t": {"u10"},
			} {
				equal(t, fmt.Sprintf("found by %q", q), all(t, w, q), want)
			}
		},
		"found are exactly those whose names begin so, in pages of any size": func(t *testing.T, w *world) {
			first := []string{"Ann", "Anna-Maria", "Bob", "ANNABEL", "D'Ann", "Bo", "Lee"}
			second := []string{"Lee", "Annex", "Bobson", "Lee-Ann", "  An"}
			var names [][2]string
			for i, a := range first {
				for j, b := range second {
					username := fmt.Sprintf("%c%s%d", "abxl"[(i+j)%4], []string{"nn", "ob", "ee"}[(i*j)%3], i*len(second)+j)
					names = append(names, [2]string{username, strings.TrimSpace(a + " " + b)})
				}
			}
			named(t, w, names...)
			for _, q := range []string{"a", "an", "ann", "anna", "anna-", "anna-m", "ann1", "b", "bo", "bob", "bobs", "l", "le", "lee", "lee-", "lee-a", "d'", "d'a", "x", "xo", "m"} {
				want := naiveSearch(names, q)
				for _, limit := range []int{1, 2, 3, 7, 100} {
					equal(t, fmt.Sprintf("found by %q in pages of %d", q, limit), search(t, w, q, limit, nothing), want)
				}
			}
		},
		"a new name replaces the old one": func(t *testing.T, w *world) {
			grains := named(t, w, [2]string{"u1", "Ann Lee"}, [2]string{"u2", "Ann Bee"})
			w.takes(t, grains[0], renames(grains[0], "Annika Roe"))
			equal(t, "old word", all(t, w, "lee"), []string{})
			equal(t, "new word", all(t, w, "roe"), []string{"u1"})
			equal(t, "what both begin with", all(t, w, "ann"), []string{"u1", "u2"})
			equal(t, "new end", all(t, w, "annika"), []string{"u1"})
			w.takes(t, grains[0], renames(grains[0], "Annika Roe")) // again
			turn := grains[0].records(persistence.KindProfileUpdated, persistence.KindProfileUpdated)
			turn.Account.Name = "Zed"
			w.takes(t, grains[0], turn)
			equal(t, "old word", all(t, w, "ro"), []string{})
			equal(t, "new word", all(t, w, "z"), []string{"u1"})
		},
		"a turn that is refused changes nothing": func(t *testing.T, w *world) {
			grains := named(t, w, [2]string{"u1", "Ann"})
			g := grains[0]
			stale := renames(g, "Zed")
			w.takes(t, g, renames(g, "Bob"))
			equal(t, "statuses", statuses(w.commits(t, stale)), []persistence.TurnStatus{persistence.Stale})
			unclaimed := renames(g, "Zed")
			unclaimed.Claims = []persistence.Claim{{Kind: persistence.ClaimEmail, Value: "a@example.com"}}
			equal(t, "statuses", statuses(w.commits(t, unclaimed)), []persistence.TurnStatus{persistence.ClaimMissing})
			again := newGrain(g.id)
			again.account.Name = "Zed"
			equal(t, "statuses", statuses(w.commits(t, again.registers())), []persistence.TurnStatus{persistence.Stale})
			equal(t, "refused name", all(t, w, "z"), []string{})
			equal(t, "name", all(t, w, "bob"), []string{"u1"})
		},
		"nobody finds who is gone, nor by the names of who bore the username before": func(t *testing.T, w *world) {
			grains := named(t, w, [2]string{"star", "Ann Lee"}, [2]string{"other", "Ann Roe"}, [2]string{"third", "Ann Poe"})
			w.takes(t, grains[0], grains[0].deletes())
			turn := grains[2].records(persistence.KindProfileUpdated, persistence.KindDeleted) // with a last new name
			turn.Account.Name, turn.Deleted = "Max Moe", true
			w.takes(t, grains[2], turn)
			for _, q := range []string{"star", "lee", "poe", "moe", "third"} {
				equal(t, "found by "+q, all(t, w, q), []string{})
			}
			equal(t, "who stays", all(t, w, "ann"), []string{"other"})
			next := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			next.account.Username, next.account.Name = "star", "Bob"
			w.takes(t, next, next.registers())
			equal(t, "the new bearer", all(t, w, "sta"), []string{"star"})
			equal(t, "by the name", all(t, w, "bo"), []string{"star"})
			equal(t, "by the name of the old one", all(t, w, "ann"), []string{"other"})
			born := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			turn = born.records(persistence.KindRegistered, persistence.KindDeleted)
			turn.Deleted = true
			w.takes(t, born, turn)
			equal(t, "gone at once", all(t, w, "name"), []string{})
		},
		"paging while users come and go shows each that stayed once": func(t *testing.T, w *world) {
			var names [][2]string
			for i := range 30 {
				names = append(names, [2]string{fmt.Sprintf("%s%02d", []string{"ann", "bob", "zed"}[i%3], i), "Ann Lee"})
			}
			grains := named(t, w, names...)
			gone := make(map[string]bool)
			got := search(t, w, "ann", 4, func(page int) {
				named(t, w, [2]string{fmt.Sprintf("aaa%02d", page), "Ann New"}, [2]string{fmt.Sprintf("ann_new%02d", page), "Bob"}, [2]string{fmt.Sprintf("zzz%02d", page), "Ann New"})
				if page < 5 {
					for i, g := range []*grain{grains[3*page], grains[3*page+10]} {
						turn := g.deletes()
						if i == 1 {
							turn = renames(g, "Max")
						}
						w.takes(t, g, turn)
						gone[g.account.Username] = true
					}
				}
			})
			seen := make(map[string]int)
			for _, username := range got {
				seen[username]++
			}
			for _, n := range names {
				if times := seen[n[0]]; times > 1 || times == 0 && !gone[n[0]] {
					t.Errorf("%s, who stayed: %t, was shown %d times", n[0], !gone[n[0]], times)
				}
			}
		},
	})
}

// naiveSearch looks at everybody, and knows ASCII alone.
func naiveSearch(names [][2]string, q string) []string {
	found := []string{}
	class := func(n [2]string) int {
		if n[0] == q {
			return 0
		}
		if strings.HasPrefix(n[0], q) {
			return 1
		}
		name := []rune(strings.ToLower(n[1]))
		for i, r := range name {
			begins := !unicode.IsSpace(r)
			if i > 0 && begins {
				before := name[i-1]
				begins = unicode.IsSpace(before) || isAlphanumeric(r) && !isAlphanumeric(before)
			}
			if begins && strings.HasPrefix(string(name[i:]), q) {
				return 2
			}
		}
		return 3
	}
	sorted := slices.SortedFunc(slices.Values(names), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(class(a), class(b)), cmp.Compare(a[0], b[0]))
	})
	for _, n := range sorted {
		if class(n) < 3 {
			found = append(found, n[0])
		}
	}
	return found
}

func isAlphanumeric(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }
