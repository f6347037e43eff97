//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// Feeds checks how the histories of many are read as one.
func Feeds(t *testing.T, open func(*testing.T) Store) {
	rules(t, open, map[string]func(*testing.T, *world){
		"a page is as it was written, newest first, each once": func(t *testing.T, w *world) {
			grains := w.registered(t, 40)
			reader := grains[0]
			var followed []user.ID
			var want []persistence.Record
			for i, g := range grains[1:] {
				// The times of different users are the same: the later a user, the fewer.
				turn := g.does(names(g, 1+40/(i+1))...)
				w.takes(t, g, turn)
				if i%4 != 3 {
					followed = append(followed, g.id)
					want = append(want, turn.Records...)
				}
			}
			w.takes(t, reader, reader.follows(followed...))
			newestFirst(want)
			for _, limit := range []int{1, 7, len(want) - 1, len(want), len(want) + 1} {
				got, pages := w.feed(t, reader.id, limit, everything)
				equal(t, "the feed", got, want)
				equal(t, "pages", pages, (len(want)+limit-1)/limit)
			}
		},
		"nothing, when nobody is followed or has done anything": func(t *testing.T, w *world) {
			grains := w.registered(t, 3)
			w.takes(t, grains[0], grains[0].follows(grains[1].id, 7777))
			for _, id := range []user.ID{grains[0].id, grains[2].id, 7777} {
				page := must(w.Feed(t.Context(), id, persistence.FeedPlace{}, 10, everything))(t)
				equal(t, "the feed", page, persistence.FeedPage{})
			}
		},
		"many authors whose histories interleave": func(t *testing.T, w *world) {
			grains := w.registered(t, 71)
			reader := grains[0]
			var (
				followed []user.ID
				want     []persistence.Record
			)
			for i, g := range grains[1:] {
				turn := g.does(names(g, 1+i*7%11)...)
				for j := range turn.Records {
					turn.Records[j].At = at(uint64(i%13 + j*(1+i%5))) // in steps of their own
				}
				w.takes(t, g, turn)
				followed, want = append(followed, g.id), append(want, turn.Records...)
			}
			w.takes(t, reader, reader.follows(followed...))
			newestFirst(want)
			for _, limit := range []int{30, 100} {
				got, _ := w.feed(t, reader.id, limit, everything)
				equal(t, "the feed", got, want)
			}
		},
		"one busy author among many quiet ones": func(t *testing.T, w *world) {
			grains := w.registered(t, 51)
			reader, busy := grains[0], grains[25]
			var want []persistence.Record
			for i, g := range grains[1:] {
				turn := g.does("first")
				w.takes(t, g, turn)
				if i%3 > 0 {
					w.takes(t, g, g.records(persistence.KindProfileUpdated))
				}
				want = append(want, turn.Records...)
			}
			for i := range 15 {
				turn := busy.does(fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i))
				w.takes(t, busy, turn)
				w.takes(t, busy, busy.records(persistence.KindProfileUpdated, persistence.KindPrivacySet))
				want = append(want, turn.Records...)
			}
			var followed []user.ID
			for _, g := range grains[1:] {
				followed = append(followed, g.id)
			}
			w.takes(t, reader, reader.follows(followed...))
			newestFirst(want)
			for _, limit := range []int{7, 100} {
				got, _ := w.feed(t, reader.id, limit, everything)
				equal(t, "the feed", got, want)
			}
		},
		"an author is judged once a page, and shown as the row is": func(t *testing.T, w *world) {
			grains := w.registered(t, 5)
			reader := grains[0]
			hidden, friend, plain := grains[1], grains[2], grains[3]
			hidden.account.Privacy, friend.account.Name = user.Privacy{WatchHistory: true}, "Friend"
			w.takes(t, hidden, hidden.records(persistence.KindPrivacySet))
			w.takes(t, friend, friend.records(persistence.KindProfileUpdated))
			for _, g := range grains[1:] {
				w.takes(t, g, g.does(names(g, 5)...))
			}
			w.takes(t, friend, friend.follows(reader.id))
			w.takes(t, hidden, hidden.followedBy(reader.id)) // which is not the same
			turn := reader.follows(hidden.id, friend.id, plain.id)
			w.takes(t, reader, turn)
			asked := make(map[user.ID]int)
			match := func(a *persistence.Author) func(*persistence.Record) bool {
				asked[a.Card.ID]++
				i := slices.IndexFunc(grains, func(g *grain) bool { return g.id == a.Card.ID })
				equal(t, "the author", a, &persistence.Author{Card: grains[i].account.Card, FollowsReader: grains[i] == friend, FollowedAt: turn.Records[i-1].At})
				if grains[i] == plain {
					return nil
				}
				return func(r *persistence.Record) bool {
					equal(t, "whose record", r.User, a.Card.ID)
					return r.EventID[len(r.EventID)-1]%2 == 0
				}
			}
			page := must(w.Feed(t.Context(), reader.id, persistence.FeedPlace{}, 100, match))(t)
			equal(t, "asked", asked, map[user.ID]int{hidden.id: 1, friend.id: 1, plain.id: 1})
			equal(t, "next", page.Next, persistence.FeedPlace{})
			equal(t, "records", len(page.Records), 6)
			got, _ := w.feed(t, reader.id, 1, match)
			equal(t, "one by one", got, page.Records)
		},
		"what was deleted, and who, is gone at once": func(t *testing.T, w *world) {
			grains := w.registered(t, 5)
			reader := grains[0]
			w.takes(t, reader, reader.follows(grains[1].id, grains[2].id, grains[3].id))
			for _, g := range grains[1:] {
				w.takes(t, g, g.does("a", "b"))
			}
			turn := grains[1].does("c", "d")
			turn.Erase = []string{"d"}
			w.takes(t, grains[1], turn)
			w.takes(t, grains[1], grains[1].erases("a"))
			w.takes(t, grains[2], grains[2].deletes())
			turn = reader.records(persistence.KindUnfollowed)
			turn.Following = []persistence.Edge{{ID: uint64(grains[3].id), Removed: true}}
			w.takes(t, reader, turn)
			got, _ := w.feed(t, reader.id, 10, everything)
			equal(t, "the feed", eventIDs(got), []string{"c", "b"})
			w.takes(t, reader, reader.follows(grains[4].id))
			got, _ = w.feed(t, reader.id, 1, everything)
			equal(t, "with what was before the follow", eventIDs(got), []string{"c", "b", "b", "a"})
		},
		"a page of what is rare ends, and goes on": func(t *testing.T, w *world) {
			grains := w.registered(t, 3)
			reader := grains[0]
			w.takes(t, reader, reader.follows(grains[1].id, grains[2].id))
			const n = persistence.MaxFeedScan/2 + 1000
			for i := 0; i < n; i += 1000 {
				for _, g := range grains[1:] {
					var ids []string
					for j := range 1000 {
						ids = append(ids, fmt.Sprintf("%d-%d", g.id, i+j))
					}
					w.takes(t, g, g.does(ids...))
				}
			}
			seen := 0
			rare := fmt.Sprintf("%d-3", grains[2].id)
			got, pages := w.feed(t, reader.id, 10, func(*persistence.Author) func(*persistence.Record) bool {
				return func(r *persistence.Record) bool { seen++; return r.EventID == rare }
			})
			equal(t, "events", eventIDs(got), []string{rare})
			equal(t, "looked at", seen, 2*n)
			if pages < 2 {
				t.Errorf("%d records were looked at for one page", seen)
			}
		},
		"paging while rows come and go shows each that stayed once": func(t *testing.T, w *world) {
			grains := w.registered(t, 8)
			reader := grains[0]
			var followed []user.ID
			left := make(map[string]bool) // whether it stays
			for i, g := range grains[1:] {
				w.takes(t, g, g.does(names(g, 10)...))
				followed = append(followed, g.id)
				for j, id := range names(g, 10) {
					left[id] = i < 6 && (i > 0 || j%3 > 0)
				}
			}
			w.takes(t, reader, reader.follows(followed...))
			seen := make(map[string]int)
			place := persistence.FeedPlace{}
			for n := 0; ; n++ {
				page := must(w.Feed(t.Context(), reader.id, place, 5, everything))(t)
				for _, id := range eventIDs(page.Records) {
					seen[id]++
				}
				if place = page.Next; place == (persistence.FeedPlace{}) {
					break
				}
				switch n {
				case 1:
					for _, id := range names(grains[1], 10) {
						if !left[id] {
							w.takes(t, grains[1], grains[1].erases(id))
						}
					}
				case 2:
					w.takes(t, grains[7], grains[7].deletes())
				}
				for _, g := range grains[1:4] {
					w.takes(t, g, g.does(fmt.Sprintf("late-%d-%d", g.id, n)))
				}
			}
			for id, stays := range left {
				if n := seen[id]; n > 1 || n == 0 && stays {
					t.Errorf("event %s, which stayed: %t, was shown %d times", id, stays, n)
				}
			}
		},
	})
}

// Missed checks what a reader is told to have missed.
func Missed(t *testing.T, open func(*testing.T) Store) {
	const k = persistence.KindProfileUpdated
	rules(t, open, map[string]func(*testing.T, *world){
		"own records of the kinds that have something to tell": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			cursor := w.heads(t)
			w.takes(t, g, g.does("mine"))
			turn := g.records(persistence.KindProfileUpdated, persistence.KindPreferencesSet, persistence.KindPrivacySet, persistence.KindFollowed,
				persistence.KindUnfollowed, persistence.KindCrewFollowed, persistence.KindFollowerAdded, persistence.KindFollowerRemoved, persistence.KindSevered)
			w.takes(t, g, turn)
			r := turn.Records
			want := []persistence.Record{r[0], r[3], r[4], r[6], r[7], r[8]}
			missed := must(w.Missed(t.Context(), g.id, cursor, 6))(t)
			equal(t, "missed", missed, persistence.Missed{Records: want, Authors: map[user.ID]*persistence.Author{}})
			cursor[persistence.LaneOf(g.id)] = r[4].Pos
			equal(t, "above a later cursor", must(w.Missed(t.Context(), g.id, cursor, 6))(t).Records, want[3:])
			equal(t, "above the newest", len(must(w.Missed(t.Context(), g.id, w.heads(t), 6))(t).Records), 0)
		},
		"of authors, what they did while they were followed": func(t *testing.T, w *world) {
			grains := w.registered(t, 4)
			reader, author, stranger := grains[0], grains[1], grains[2]
			w.takes(t, author, author.does("old"))
			cursor := w.heads(t)
			early := author.does("early")
			w.takes(t, author, early)
			follow := reader.follows(author.id)
			follow.Records[0].At = early.Records[0].At.Add(time.Microsecond)
			follow.Following[0].At = follow.Records[0].At
			w.takes(t, reader, follow)
			turn := author.does("e1", "e2", "e3")
			turn.Erase = []string{"e3"}
			w.takes(t, author, turn)
			more := author.records(persistence.KindProfileUpdated, persistence.KindPrivacySet, persistence.KindFollowed, persistence.KindFollowerAdded, persistence.KindActivityDeleted)
			more.Erase = []string{"e2"}
			w.takes(t, author, more)
			w.takes(t, stranger, stranger.does("stranger"))
			w.takes(t, grains[3], grains[3].records(k))

			missed := must(w.Missed(t.Context(), reader.id, cursor, 10))(t)
			want := []persistence.Record{follow.Records[0], turn.Records[0], more.Records[0], more.Records[4]}
			equal(t, "missed", missed.Records, oldestFirst(want))
			equal(t, "by whom", missed.Authors, map[user.ID]*persistence.Author{
				author.id: {Card: author.account.Card, FollowedAt: follow.Records[0].At},
			})
			equal(t, "which is not more than asked for", must(w.Missed(t.Context(), reader.id, cursor, 4))(t), missed)
			equal(t, "more than asked for", must(w.Missed(t.Context(), reader.id, cursor, 3))(t), persistence.Missed{More: true})

			w.takes(t, author, author.deletes())
			missed = must(w.Missed(t.Context(), reader.id, cursor, 10))(t)
			equal(t, "once the author is gone", missed.Records, follow.Records)
		},
		"more than asked for of one's own": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			cursor := w.heads(t)
			w.takes(t, g, g.records(slices.Repeat([]persistence.Kind{k}, 50)...))
			equal(t, "49", must(w.Missed(t.Context(), g.id, cursor, 49))(t), persistence.Missed{More: true})
			equal(t, "50", len(must(w.Missed(t.Context(), g.id, cursor, 50))(t).Records), 50)
		},
		"long histories are read back to the cursor": func(t *testing.T, w *world) {
			grains := w.registered(t, 5)
			reader := grains[0]
			w.takes(t, reader, reader.follows(grains[1].id, grains[2].id, grains[3].id, grains[4].id))
			kinds := func(n int) []persistence.Kind { return slices.Repeat([]persistence.Kind{k}, n) }
			for _, g := range grains {
				w.takes(t, g, g.records(kinds(3000)...))
			}
			cursor := w.heads(t)
			var want []persistence.Record
			for i, n := range []int{70, 1, 17, 2500, 0} {
				if n > 0 {
					turn := grains[i].records(kinds(n)...)
					w.takes(t, grains[i], turn)
					want = append(want, turn.Records...)
				}
			}
			missed := must(w.Missed(t.Context(), reader.id, cursor, 10_000))(t)
			equal(t, "missed", missed.Records, oldestFirst(want))
			equal(t, "authors", len(missed.Authors), 3)
		},
	})
}

// everything refuses nothing.
func everything(*persistence.Author) func(*persistence.Record) bool {
	return func(*persistence.Record) bool { return true }
}

// feed reads a whole feed.
func (w *world) feed(t *testing.T, reader user.ID, limit int, match persistence.FeedMatch) (all []persistence.Record, pages int) {
	t.Helper()
	place := persistence.FeedPlace{}
	for {
		page := must(w.Feed(t.Context(), reader, place, limit, match))(t)
		pages++
		if len(page.Records) > limit {
			t.Fatalf("%d records in a page of %d", len(page.Records), limit)
		}
		all = append(all, page.Records...)
		if page.Next == (persistence.FeedPlace{}) {
			return all, pages
		}
		if pages > 1 && !below(page.Next, place) {
			t.Fatalf("a page below %+v goes on below %+v", place, page.Next)
		}
		place = page.Next
	}
}

// heads returns the cursor of whoever knows everything.
func (w *world) heads(t *testing.T) [persistence.LaneCount]uint64 {
	t.Helper()
	return must(w.Heads(t.Context()))(t)
}

// names are event ids of a user.
func names(g *grain, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%d-%d", g.id, i)
	}
	return ids
}

func eventIDs(records []persistence.Record) []string {
	ids := make([]string, 0, len(records))
	for i := range records {
		ids = append(ids, records[i].EventID)
	}
	return ids
}

// below reports whether p comes after q in a feed.
func below(p, q persistence.FeedPlace) bool {
	switch {
	case !p.At.Equal(q.At):
		return p.At.Before(q.At)
	case p.User != q.User:
		return p.User < q.User
	}
	return p.Seq < q.Seq
}

func newestFirst(records []persistence.Record) []persistence.Record {
	slices.SortFunc(records, func(a, b persistence.Record) int {
		switch p, q := persistence.PlaceOf(&a), persistence.PlaceOf(&b); {
		case below(q, p):
			return -1
		case below(p, q):
			return 1
		}
		return 0
	})
	return records
}

func oldestFirst(records []persistence.Record) []persistence.Record {
	slices.Reverse(newestFirst(records))
	return records
}
