package feeds

import (
	"context"
	"math"
	"slices"

	"kith/actors/user"
	"kith/persistence"
)

const (
	firstBack = 16   // entries that are read backwards at once, if there was one at all
	mostBack  = 1024 // later
	backOnce  = 8192 // of all histories together
	fetchOnce = 512  // records
	// maxMissedBytes bounds the payloads; what is more is as good as too many.
	maxMissedBytes = 32 << 20
)

// Missed is persistence.Feeds.Missed at a moment.
func Missed(ctx context.Context, m Moment, reader user.ID, cursor [persistence.LaneCount]uint64, limit int) (persistence.Missed, error) {
	w := &walk{moment: m, cursor: cursor, limit: limit}
	if err := w.own(ctx, reader); err != nil {
		return persistence.Missed{}, err
	}
	if err := w.authors(ctx, reader); err != nil {
		return persistence.Missed{}, err
	}
	if w.more() {
		return persistence.Missed{More: true}, nil
	}
	slices.SortFunc(w.found, func(a, b Entry) int { return a.compare(b.Place) })
	missed, bytes := persistence.Missed{Authors: make(map[user.ID]*persistence.Author)}, 0
	for some := range slices.Chunk(w.found, fetchOnce) {
		found, err := records(ctx, m, some)
		if err != nil {
			return persistence.Missed{}, err
		}
		for i := range found {
			bytes += len(found[i].Payload)
		}
		if bytes > maxMissedBytes {
			return persistence.Missed{More: true}, nil
		}
		missed.Records = append(missed.Records, found...)
	}
	return missed, w.describe(ctx, reader, missed.Authors)
}

// walk goes back in histories to a cursor.
type walk struct {
	moment Moment
	cursor [persistence.LaneCount]uint64
	limit  int
	found  []Entry
	tired  bool // it went further back than it should
}

func (w *walk) more() bool { return w.tired || len(w.found) > w.limit }

// above reports whether an entry is above the cursor.
func (w *walk) above(e *Entry) bool { return e.Pos > w.cursor[persistence.LaneOf(e.User)] }

// own finds the records of the reader that the reader's clients are told of.
func (w *walk) own(ctx context.Context, reader user.ID) error {
	seq, passed := uint64(math.MaxInt64), 0
	for n := firstBack; !w.more(); n = min(4*n, mostBack) {
		entries, err := w.moment.Journal(ctx, reader, seq, n)
		if err != nil {
			return err //nolint:wrapcheck // the engine's
		}
		for i := range entries {
			e := &entries[i]
			if !w.above(e) {
				return nil
			}
			seq = e.Seq
			if e.Kind.ToldToOwner() {
				w.found = append(w.found, *e)
			}
		}
		if len(entries) < n {
			return nil
		}
		passed += len(entries)
		w.tired = passed >= persistence.MaxMissedScan
	}
	return nil
}

// authors finds what those did whom the reader follows. The newest of each is
// read first: most have done nothing.
func (w *walk) authors(ctx context.Context, reader user.ID) error {
	if w.more() {
		return nil
	}
	followed, err := w.moment.Followed(ctx, reader)
	if err != nil {
		return err //nolint:wrapcheck // the engine's
	}
	since := make(map[user.ID]int64, len(followed))
	places := make([]Place, len(followed))
	for i, f := range followed {
		since[f.User], places[i] = f.Since, End(f.User)
	}
	for n := 1; len(places) > 0; n = min(max(firstBack, 4*n), mostBack) {
		var further []Place
		for some := range slices.Chunk(places, max(1, min(maxOpen, backOnce/n))) {
			entries, err := w.moment.Doings(ctx, some, n)
			if err != nil {
				return err //nolint:wrapcheck // the engine's
			}
			further = append(further, w.take(entries, n, since)...)
			if w.more() {
				return nil
			}
		}
		places = further
	}
	return nil
}

// take keeps what is above the cursor and not older than its edge, of histories
// that were asked for n entries each, and returns where to go on in those that are
// not at their end.
func (w *walk) take(entries []Entry, n int, since map[user.ID]int64) (further []Place) {
	var (
		id   user.ID
		run  int // entries of id
		over bool
	)
	for i := range entries {
		e := &entries[i]
		if e.User != id {
			id, run, over = e.User, 0, false
		}
		run++
		over = over || !w.above(e) || e.At < since[id]
		if over {
			continue
		}
		w.found = append(w.found, *e)
		if run == n {
			further = append(further, e.Place)
		}
	}
	return further
}

// describe adds the authors of what was found.
func (w *walk) describe(ctx context.Context, reader user.ID, into map[user.ID]*persistence.Author) error {
	seen := map[user.ID]bool{reader: true}
	var ids []user.ID
	for i := range w.found {
		if id := w.found[i].User; !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	for some := range slices.Chunk(ids, maxOpen) {
		authors, err := w.moment.Authors(ctx, reader, some)
		if err != nil {
			return err //nolint:wrapcheck // the engine's
		}
		for _, a := range authors {
			into[a.Card.ID] = a
		}
	}
	return nil
}
