package feeds_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/feeds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const reader user.ID = 1 << 20

// moment is a database in memory that counts what is asked of it.
type moment struct {
	followed []feeds.Followed
	journals map[user.ID][]feeds.Entry // oldest first
	gone     map[user.ID]bool          // between the list of the followed and their rows

	queries, probes, entries, records, authors int
	fail                                       error // of every query
}

func (m *moment) count() error {
	m.queries++
	return m.fail
}

func (m *moment) Followed(context.Context, user.ID) ([]feeds.Followed, error) {
	return slices.Clone(m.followed), m.count()
}

func (m *moment) Authors(_ context.Context, _ user.ID, ids []user.ID) (authors []*persistence.Author, err error) {
	m.authors += len(ids)
	for _, id := range ids {
		if !m.gone[id] {
			authors = append(authors, &persistence.Author{Card: user.Card{ID: id}})
		}
	}
	return authors, m.count()
}

func (m *moment) Events(_ context.Context, below []feeds.Place, n int) ([]feeds.Entry, error) {
	return m.read(below, n, persistence.KindActivityRecorded)
}

func (m *moment) Doings(_ context.Context, below []feeds.Place, n int) ([]feeds.Entry, error) {
	return m.read(below, n, persistence.KindActivityRecorded, persistence.KindProfileUpdated, persistence.KindActivityDeleted)
}

func (m *moment) Journal(_ context.Context, id user.ID, seq uint64, n int) (found []feeds.Entry, err error) {
	for _, e := range slices.Backward(m.journals[id]) {
		if e.Seq < seq && len(found) < n {
			found = append(found, e)
		}
	}
	m.entries += len(found)
	return found, m.count()
}

func (m *moment) read(below []feeds.Place, n int, kinds ...persistence.Kind) (found []feeds.Entry, err error) {
	m.probes += len(below)
	for _, p := range below {
		left := n
		for _, e := range slices.Backward(m.journals[p.User]) {
			if cmp.Or(cmp.Compare(e.At, p.At), cmp.Compare(e.Seq, p.Seq)) < 0 && slices.Contains(kinds, e.Kind) && left > 0 {
				found = append(found, e)
				left--
			}
		}
	}
	m.entries += len(found)
	return found, m.count()
}

func (m *moment) Records(_ context.Context, entries []feeds.Entry) ([]persistence.Record, error) {
	m.records += len(entries)
	found := make([]persistence.Record, len(entries))
	for i, e := range entries {
		found[i] = record(e)
	}
	return found, m.count()
}

func record(e feeds.Entry) persistence.Record {
	return persistence.Record{
		Lane: persistence.LaneOf(e.User), Pos: e.Pos, User: e.User, Seq: e.Seq, Kind: e.Kind, At: time.UnixMicro(e.At).UTC(),
		EventID: fmt.Sprintf("%d-%d", e.User, e.Seq), Payload: []byte{1},
	}
}

// add appends a record to a journal and returns it.
func (m *moment) add(id user.ID, kind persistence.Kind, at int64) feeds.Entry {
	seq := uint64(len(m.journals[id])) + 1
	e := feeds.Entry{Place: feeds.Place{User: id, At: at, Seq: seq}, Kind: kind, Pos: seq}
	m.journals[id] = append(m.journals[id], e)
	return e
}

// follow has the reader follow everybody who has a journal.
func (m *moment) follow() {
	for id, journal := range m.journals {
		f := feeds.Followed{User: id, Quiet: true}
		for _, e := range journal {
			if e.Kind == persistence.KindActivityRecorded || e.Kind == persistence.KindActivityErased {
				f.Last, f.Quiet = e.At, false
			}
		}
		m.followed = append(m.followed, f)
	}
}

func newestFirst(entries []feeds.Entry) []feeds.Entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b feeds.Entry) int {
		return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(b.User, a.User), cmp.Compare(b.Seq, a.Seq))
	})
}

func all(*persistence.Author) func(*persistence.Record) bool {
	return func(*persistence.Record) bool { return true }
}

// pages reads a whole feed.
func pages(t *testing.T, m *moment, limit int, match persistence.FeedMatch) (found []persistence.Record) {
	t.Helper()
	place := persistence.FeedPlace{}
	for {
		page, err := feeds.Feed(t.Context(), m, reader, place, limit, match)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, page.Records...)
		if place = page.Next; place == (persistence.FeedPlace{}) {
			return found
		}
	}
}

// Whatever the histories: in pages of any size the feed is all that is there and
// may be seen, in the one order.
func TestAFeedIsAllHistoriesInOneOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &moment{journals: make(map[user.ID][]feeds.Entry), gone: make(map[user.ID]bool)}
		refused := make(map[user.ID]bool)
		var want []feeds.Entry
		authors := rapid.IntRange(0, 150).Draw(rt, "authors")
		span := rapid.Int64Range(1, 2000).Draw(rt, "span") // the shorter, the more at the same time
		for id := user.ID(1); id <= user.ID(authors); id++ {
			refused[id] = rapid.IntRange(0, 9).Draw(rt, "refused") == 0
			m.gone[id] = rapid.IntRange(0, 30).Draw(rt, "gone") == 0
			times := rapid.SliceOfN(rapid.Int64Range(1, span), 0, rapid.SampledFrom([]int{1, 3, 40}).Draw(rt, "most")).Draw(rt, "times")
			slices.Sort(times)
			for _, at := range times {
				kind := rapid.SampledFrom([]persistence.Kind{
					persistence.KindActivityRecorded, persistence.KindActivityRecorded, persistence.KindActivityErased, persistence.KindProfileUpdated,
				}).Draw(rt, "kind")
				e := m.add(id, kind, at)
				if kind == persistence.KindActivityRecorded && !refused[id] && !m.gone[id] && e.Seq%5 != 0 {
					want = append(want, e)
				}
			}
		}
		m.follow()
		match := func(a *persistence.Author) func(*persistence.Record) bool {
			if refused[a.Card.ID] {
				return nil
			}
			return func(r *persistence.Record) bool { return r.Seq%5 != 0 }
		}
		var records []persistence.Record
		for _, e := range newestFirst(want) {
			records = append(records, record(e))
		}
		for _, limit := range []int{rapid.IntRange(1, 20).Draw(rt, "limit"), 100} {
			if diff := gocmp.Diff(records, pages(t, m, limit, match)); diff != "" {
				rt.Fatalf("in pages of %d (-want +got):\n%s", limit, diff)
			}
		}
	})
}

// A page costs what it shows, not what there is.
func TestAPageOfAFeedReadsLittle(t *testing.T) {
	t.Parallel()
	m := &moment{journals: make(map[user.ID][]feeds.Entry)}
	for id := user.ID(1); id <= 5000; id++ {
		for i := range int64(20) {
			m.add(id, persistence.KindActivityRecorded, i*5000+int64(id))
		}
	}
	m.follow()
	page, err := feeds.Feed(t.Context(), m, reader, persistence.FeedPlace{}, 50, all)
	if err != nil || len(page.Records) != 50 {
		t.Fatalf("%d records, error %v", len(page.Records), err)
	}
	if m.records != 50 || m.authors != 50 || m.probes > 250 || m.entries > 1500 || m.queries > 8 {
		t.Errorf("%d records, %d authors, %d probes, %d entries, %d queries", m.records, m.authors, m.probes, m.entries, m.queries)
	}
	// Far behind, each history is asked once for what is there.
	*m = moment{journals: m.journals, followed: m.followed}
	page, err = feeds.Feed(t.Context(), m, reader, persistence.FeedPlace{At: time.UnixMicro(30_000), User: 9, Seq: 1}, 50, all)
	if err != nil || len(page.Records) != 50 || page.Records[0].At.UnixMicro() > 30_000 {
		t.Fatalf("%d records, error %v", len(page.Records), err)
	}
	if m.records != 50 || m.probes > 5100 || m.entries > 25_000 || m.queries > 30 {
		t.Errorf("%d records, %d probes, %d entries, %d queries", m.records, m.probes, m.entries, m.queries)
	}
}

// An author of whom nothing may be seen costs a few entries of the index, once.
func TestAnAuthorWhoIsRefusedIsReadNoFurther(t *testing.T) {
	t.Parallel()
	m := &moment{journals: make(map[user.ID][]feeds.Entry)}
	for i := range int64(100_000) {
		m.add(1, persistence.KindActivityRecorded, 1000+i)
	}
	m.add(2, persistence.KindActivityRecorded, 5)
	m.follow()
	page, err := feeds.Feed(t.Context(), m, reader, persistence.FeedPlace{}, 10, func(a *persistence.Author) func(*persistence.Record) bool {
		if a.Card.ID == 1 {
			return nil
		}
		return all(a)
	})
	if err != nil || len(page.Records) != 1 || page.Next != (persistence.FeedPlace{}) {
		t.Fatalf("page %+v, error %v", page, err)
	}
	if m.records != 1 || m.entries > 100 {
		t.Errorf("%d records, %d entries", m.records, m.entries)
	}
}

// Whoever has missed nothing costs one entry of each author and no more.
func TestWhatWasNotMissedCostsLittle(t *testing.T) {
	t.Parallel()
	m := &moment{journals: make(map[user.ID][]feeds.Entry)}
	for id := user.ID(1); id <= 2000; id++ {
		for i := range int64(50) {
			m.add(id, persistence.KindActivityRecorded, i)
		}
	}
	m.follow()
	for range 5000 {
		m.add(reader, persistence.KindFollowed, 9)
	}
	var cursor [persistence.LaneCount]uint64
	for lane := range cursor {
		cursor[lane] = 50
	}
	cursor[persistence.LaneOf(reader)] = 4999
	m.journals[reader][4999].Pos = 5000
	missed, err := feeds.Missed(t.Context(), m, reader, cursor, 10)
	if err != nil || len(missed.Records) != 1 || missed.Records[0].User != reader || missed.More {
		t.Fatalf("missed %+v, error %v", missed, err)
	}
	if m.probes != 2000 || m.entries > 2000+20 || m.records != 1 {
		t.Errorf("%d probes, %d entries, %d records", m.probes, m.entries, m.records)
	}
}

// A journal of one's own that has too much in it is not read to the end.
func TestALongJournalOfOnesOwnIsMore(t *testing.T) {
	t.Parallel()
	m := &moment{journals: make(map[user.ID][]feeds.Entry)}
	for range 2 * persistence.MaxMissedScan {
		m.add(reader, persistence.KindActivityRecorded, 9)
	}
	missed, err := feeds.Missed(t.Context(), m, reader, [persistence.LaneCount]uint64{}, 10)
	if err != nil || !missed.More || missed.Records != nil {
		t.Fatalf("missed %+v, error %v", missed, err)
	}
	if m.entries > persistence.MaxMissedScan+2000 {
		t.Errorf("%d entries", m.entries)
	}
}

func TestTheErrorOfAQueryIsTheAnswer(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	m := &moment{journals: make(map[user.ID][]feeds.Entry), fail: away}
	m.add(1, persistence.KindActivityRecorded, 1)
	m.follow()
	if _, err := feeds.Feed(t.Context(), m, reader, persistence.FeedPlace{}, 10, all); !errors.Is(err, away) {
		t.Errorf("feed: error %v", err)
	}
	if _, err := feeds.Missed(t.Context(), m, reader, [persistence.LaneCount]uint64{}, 10); !errors.Is(err, away) {
		t.Errorf("missed: error %v", err)
	}
}
