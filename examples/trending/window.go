package main

import (
	"cmp"
	"slices"
	"time"
)

// view is somebody's view of a movie, as long as it counts.
type view struct {
	id      string // of the record: the same when it comes again
	uid     string
	event   string
	movie   int64
	at      time.Time // when it was recorded
	offset  int64
	deleted bool
}

// window holds the views of a partition that count. All records of a user are in one
// partition, so nothing is needed of another: neither to know a record again, nor to
// find the view that is deleted.
//
// It holds as much as is watched while it lasts, and no more.
type window struct {
	views  []*view          // by offset
	byID   map[string]*view // by id of the record
	byName map[string]*view // by uid and event
	next   int64            // the offset behind the last record
}

func newWindow() *window {
	return &window{byID: make(map[string]*view), byName: make(map[string]*view)}
}

func nameOf(uid, event string) string { return uid + "/" + event }

// add counts a view, unless it was counted before.
func (w *window) add(v *view) {
	if w.byID[v.id] != nil {
		return
	}
	w.views = append(w.views, v)
	w.byID[v.id], w.byName[nameOf(v.uid, v.event)] = v, v
}

// remove takes a view back. Its id stays known, since its record may come again.
func (w *window) remove(uid, event string) {
	if v := w.byName[nameOf(uid, event)]; v != nil {
		v.deleted = true
	}
}

// forget drops what was recorded before a time, up to the first view that was not:
// users are in order each, not all together.
func (w *window) forget(before time.Time) {
	n := 0
	for n < len(w.views) && w.views[n].at.Before(before) {
		delete(w.byID, w.views[n].id)
		delete(w.byName, nameOf(w.views[n].uid, w.views[n].event))
		n++
	}
	w.views = slices.Delete(w.views, 0, n)
}

// begin returns the offset from which the window can be filled again: that of the
// oldest view in it.
func (w *window) begin() int64 {
	if len(w.views) > 0 {
		return w.views[0].offset
	}
	return w.next
}

// movie is a row of the table.
type movie struct {
	id             int64
	views, viewers int
}

// rank returns the movies of windows, the most watched first, by views recorded since
// a time.
func rank(windows map[int32]*window, since time.Time) []movie {
	type seen struct {
		movie int64
		uid   string
	}
	movies, viewers := make(map[int64]*movie), make(map[seen]bool)
	for _, w := range windows {
		for _, v := range w.views {
			if v.deleted || v.at.Before(since) {
				continue
			}
			m := movies[v.movie]
			if m == nil {
				m = &movie{id: v.movie}
				movies[v.movie] = m
			}
			m.views++
			if by := (seen{v.movie, v.uid}); !viewers[by] {
				viewers[by] = true
				m.viewers++
			}
		}
	}
	ranked := make([]movie, 0, len(movies))
	for _, m := range movies {
		ranked = append(ranked, *m)
	}
	slices.SortFunc(ranked, func(a, b movie) int {
		return cmp.Or(cmp.Compare(b.views, a.views), cmp.Compare(b.viewers, a.viewers), cmp.Compare(a.id, b.id))
	})
	return ranked
}
