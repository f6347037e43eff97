package feeds

import (
	"cmp"
	"container/heap"
	"context"
	"slices"

	"kith/actors/user"
)

const (
	firstOpen = 32  // histories that are opened at first; later twice as many
	maxOpen   = 512 // at once
	leastRead = 4   // entries of a history at first; later twice as many
	mostRead  = 512 // at once
)

// history is one author's history, as far as it was read.
type history struct {
	entries []Entry // read and not yet returned, newest first
	end     Place   // of the last entry that was read
	read    int     // entries asked for the last time
	whole   bool    // nothing is below end
	closed  bool    // nothing of it is wanted
}

// bound is the place of the next entry, or one that is not below it.
func (h *history) bound() Place {
	if len(h.entries) > 0 {
		return h.entries[0].Place
	}
	return h.end
}

// merge returns the entries of many histories, newest first.
type merge struct {
	moment  Moment
	below   Place
	waiting []Followed // those whose histories are not open: the last active first
	open    histories
	width   int // how many are opened next
	limit   int // entries that are probably enough
}

// histories is a heap: the newest bound first.
type histories []*history

// Len implements heap.Interface.
func (s *histories) Len() int { return len(*s) }

// Less implements heap.Interface.
func (s *histories) Less(i, j int) bool { return (*s)[i].bound().compare((*s)[j].bound()) > 0 }

// Swap implements heap.Interface.
func (s *histories) Swap(i, j int) { (*s)[i], (*s)[j] = (*s)[j], (*s)[i] }

// Push implements heap.Interface.
func (s *histories) Push(x any) {
	h, _ := x.(*history)
	*s = append(*s, h)
}

// Pop implements heap.Interface.
func (s *histories) Pop() any {
	last := len(*s) - 1
	h := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return h
}

// newMerge merges the histories of those whom followed has, below a place.
func newMerge(m Moment, followed []Followed, below Place, limit int) *merge {
	waiting := slices.DeleteFunc(followed, func(f Followed) bool { return f.Quiet })
	slices.SortFunc(waiting, func(a, b Followed) int {
		return cmp.Or(cmp.Compare(b.Last, a.Last), cmp.Compare(b.User, a.User))
	})
	// Those who were active later can have anything right below the place.
	later := 0
	for later < len(waiting) && waiting[later].Last >= below.At {
		later++
	}
	return &merge{moment: m, below: below, waiting: waiting, width: max(firstOpen, limit, later), limit: limit}
}

// next returns the newest entry that was not returned yet, and its history; nil
// at the end.
func (m *merge) next(ctx context.Context) (*history, Entry, error) {
	for {
		if m.mustOpen() {
			if err := m.openMore(ctx); err != nil {
				return nil, Entry{}, err
			}
			continue
		}
		if len(m.open) == 0 {
			return nil, Entry{}, nil
		}
		h := m.open[0]
		switch {
		case h.closed || len(h.entries) == 0 && h.whole:
			heap.Pop(&m.open)
			continue
		case len(h.entries) == 0:
			entries, err := m.moment.Events(ctx, []Place{h.end}, min(2*h.read, mostRead))
			if err != nil {
				return nil, Entry{}, err //nolint:wrapcheck // the engine's
			}
			h.fill(entries, min(2*h.read, mostRead))
			heap.Fix(&m.open, 0)
			continue
		}
		e := h.entries[0]
		h.entries = h.entries[1:]
		heap.Fix(&m.open, 0)
		return h, e, nil
	}
}

// mustOpen reports whether a history that waits may have what is newer than the
// newest of those that are open.
func (m *merge) mustOpen() bool {
	if len(m.waiting) == 0 {
		return false
	}
	if len(m.open) == 0 {
		return true
	}
	top, first := m.open[0].bound(), m.waiting[0]
	return cmp.Or(cmp.Compare(first.Last, top.At), cmp.Compare(first.User, top.User)) >= 0
}

func (m *merge) openMore(ctx context.Context) error {
	n := min(m.width, len(m.waiting))
	read := min(max(leastRead, 2*m.limit/n), mostRead)
	for n > 0 {
		some := m.waiting[:min(n, maxOpen)]
		places := make([]Place, len(some))
		opened := make(map[user.ID]*history, len(some))
		for i, f := range some {
			places[i] = m.below.in(f.User)
			opened[f.User] = &history{}
		}
		entries, err := m.moment.Events(ctx, places, read)
		if err != nil {
			return err //nolint:wrapcheck // the engine's
		}
		for len(entries) > 0 {
			id := entries[0].User
			end := slices.IndexFunc(entries, func(e Entry) bool { return e.User != id })
			if end < 0 {
				end = len(entries)
			}
			h := opened[id]
			h.fill(entries[:end:end], read)
			heap.Push(&m.open, h)
			entries = entries[end:]
		}
		m.waiting = m.waiting[len(some):]
		n -= len(some)
	}
	m.width = min(2*m.width, maxOpen)
	return nil
}

// fill takes what was read below end.
func (h *history) fill(entries []Entry, asked int) {
	h.entries, h.read, h.whole = entries, asked, len(entries) < asked
	if len(entries) > 0 {
		h.end = entries[len(entries)-1].Place
	}
}
