package feeds

import (
	"context"

	"kith/actors/user"
	"kith/persistence"
)

// maxBatch bounds the payloads that are fetched at once when most do not match.
const maxBatch = 512

// Feed is persistence.Feeds.Feed at a moment.
func Feed(ctx context.Context, m Moment, reader user.ID, before persistence.FeedPlace, limit int, match persistence.FeedMatch) (persistence.FeedPage, error) {
	followed, err := m.Followed(ctx, reader)
	if err != nil {
		return persistence.FeedPage{}, err //nolint:wrapcheck // the engine's
	}
	f := &feed{moment: m, reader: reader, match: match, judges: make(map[user.ID]func(*persistence.Record) bool)}
	f.merge = newMerge(m, followed, placeOf(before), limit)
	var page persistence.FeedPage
	batch := limit
	for scanned := 0; scanned < persistence.MaxFeedScan && len(page.Records) < limit; {
		if err := f.read(ctx, batch); err != nil {
			return persistence.FeedPage{}, err
		}
		if len(f.batch) == 0 {
			break
		}
		scanned += len(f.batch)
		last, err := f.show(ctx, &page, limit)
		if err != nil {
			return persistence.FeedPage{}, err
		}
		page.Next = last.shown()
		batch = min(2*batch, maxBatch)
	}
	more, err := f.goesOn(ctx)
	if err != nil {
		return persistence.FeedPage{}, err
	}
	if !more {
		page.Next = persistence.FeedPlace{}
	}
	return page, nil
}

// feed is a feed that is being read.
type feed struct {
	moment Moment
	reader user.ID
	match  persistence.FeedMatch
	merge  *merge
	judges map[user.ID]func(*persistence.Record) bool // of the authors who were asked for; nil: refused
	batch  []taken
}

// taken is an entry that was taken from a history.
type taken struct {
	Entry
	from *history
}

// read takes the next n entries.
func (f *feed) read(ctx context.Context, n int) error {
	f.batch = f.batch[:0]
	for len(f.batch) < n {
		h, e, err := f.merge.next(ctx)
		if err != nil || h == nil {
			return err
		}
		f.batch = append(f.batch, taken{e, h})
	}
	return nil
}

// show moves what matches of the batch to the page until that is full, and
// returns the place of the last entry that was looked at. What is left of the
// batch is what was not.
func (f *feed) show(ctx context.Context, page *persistence.FeedPage, limit int) (last Place, err error) {
	if err := f.ask(ctx); err != nil {
		return Place{}, err
	}
	last = f.batch[len(f.batch)-1].Place
	wanted := make([]Entry, 0, len(f.batch))
	for _, t := range f.batch {
		if f.judges[t.User] != nil {
			wanted = append(wanted, t.Entry)
		}
	}
	f.batch = f.batch[:0]
	found, err := records(ctx, f.moment, wanted)
	if err != nil {
		return Place{}, err
	}
	for i := range found {
		r := &found[i]
		if !f.judges[r.User](r) {
			continue
		}
		page.Records = append(page.Records, *r)
		if len(page.Records) == limit {
			for _, e := range wanted[i+1:] {
				f.batch = append(f.batch, taken{Entry: e})
			}
			return wanted[i].Place, nil
		}
	}
	return last, nil
}

// ask has the authors judged who are in the batch for the first time.
func (f *feed) ask(ctx context.Context) error {
	var ids []user.ID
	for _, t := range f.batch {
		if _, asked := f.judges[t.User]; !asked {
			f.judges[t.User] = nil // who has no row by now is refused
			ids = append(ids, t.User)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	authors, err := f.moment.Authors(ctx, f.reader, ids)
	if err != nil {
		return err //nolint:wrapcheck // the engine's
	}
	for _, a := range authors {
		f.judges[a.Card.ID] = f.match(a)
	}
	for _, t := range f.batch {
		t.from.closed = f.judges[t.User] == nil
	}
	return nil
}

// goesOn reports whether anything is left below what was looked at.
func (f *feed) goesOn(ctx context.Context) (bool, error) {
	if len(f.batch) > 0 {
		return true, nil
	}
	h, _, err := f.merge.next(ctx)
	return h != nil, err
}
