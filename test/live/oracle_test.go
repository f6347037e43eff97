package live_test

import (
	"time"
)

// history is what a value has been. Each change was asked for, by one writer after
// the other, and answered later; in between both values are possible.
type history[T comparable] struct {
	first   T
	changes []change[T]
}

type change[T comparable] struct {
	to              T
	asked, answered time.Time
}

// now returns the value after the last change.
func (h *history[T]) now() T {
	if n := len(h.changes); n > 0 {
		return h.changes[n-1].to
	}
	return h.first
}

// set notes a change, which do makes: it returns when that was answered.
func (h *history[T]) set(to T, do func()) {
	asked := time.Now()
	do()
	h.changes = append(h.changes, change[T]{to, asked, time.Now()})
}

// surely reports whether no other value than v was possible between two times.
func (h *history[T]) surely(v T, from, to time.Time) bool {
	before := h.first
	for _, c := range h.changes {
		if c.answered.After(from) && before != v {
			return false
		}
		if c.asked.After(to) {
			return true
		}
		before = c.to
	}
	return before == v
}

// deed is an event that a member recorded, and perhaps deleted.
type deed struct {
	author          *member
	id              string
	rating          bool // else a view
	asked, answered time.Time
	deletion        change[bool] // zero: it was not deleted
}

func (d *deed) deleted() bool { return d.deletion.to }

// shown reports whether a member was allowed, for sure and all the time between two
// times, to see events of one of two sorts of the author; hidden that they were
// surely not.
func (m *member) shown(author *member, from, to time.Time, sorts ...*history[bool]) bool {
	open := author.public.surely(true, from, to) || author.edge(m).surely(true, from, to)
	for _, sort := range sorts {
		if open && sort.surely(true, from, to) && m.edge(author).surely(true, from, to) {
			return true
		}
	}
	return false
}

func (m *member) hidden(author *member, from, to time.Time, sorts ...*history[bool]) bool {
	if m.edge(author).surely(false, from, to) || author.public.surely(false, from, to) && author.edge(m).surely(false, from, to) {
		return true
	}
	for _, sort := range sorts {
		if !sort.surely(false, from, to) {
			return false
		}
	}
	return true
}

// sort returns what an event of a deed is hidden or shown by.
func (d *deed) sort() *history[bool] {
	if d.rating {
		return &d.author.ratings
	}
	return &d.author.views
}

// told is a frame that a stream was given, each id once.
type told struct {
	kind, about string // about: the id of the event, or the name of the user
	uid         string
	seq         uint64
	at          time.Time
}

// judge compares what a stream was told with what its user was allowed to see.
func (s *storm) judge(f *stream) (due, never int) {
	var (
		first = make(map[[2]string]told)
		mine  []told
		last  = make(map[string]uint64) // by uid, of what is due
	)
	for _, one := range f.told {
		if one.uid == f.member.uid {
			mine = append(mine, one)
			continue
		}
		first[[2]string{one.kind, one.about}] = one
	}
	for _, d := range s.deeds() {
		if d.author == f.member {
			continue
		}
		one, there := first[[2]string{"activity", d.id}]
		switch {
		case d.deleted():
			if there && one.at.After(d.deletion.answered.Add(within())) {
				s.complain("%s is shown %s, %s after its deletion", f.name, d.id, one.at.Sub(d.deletion.answered))
			}
		case f.member.shown(d.author, d.asked, s.end, d.sort()):
			due++
			if !there {
				s.missed(f, "activity", d, d.answered)
			}
		case f.member.hidden(d.author, d.asked.Add(-within()), s.end, d.sort()):
			never++
			if there {
				s.complain("%s is shown %s of %s and never may see it", f.name, d.id, d.author.username)
			}
		}
		one, there = first[[2]string{"activity.deleted", d.id}]
		if d.deleted() && !there && f.member.shown(d.author, d.deletion.asked, s.end, &d.author.views, &d.author.ratings) {
			s.missed(f, "activity.deleted", d, d.deletion.answered)
		}
	}
	// The order, of what nothing could have hidden meanwhile.
	for _, one := range f.told {
		d := s.byID[one.about]
		steady := one.uid == f.member.uid || d != nil && !d.deleted() && one.kind == "activity" && f.member.shown(d.author, d.asked, s.end, d.sort())
		if !steady {
			continue
		}
		if one.seq <= last[one.uid] {
			s.complain("%s is told of %s %s, record %d of %s, behind %d", f.name, one.kind, one.about, one.seq, one.uid, last[one.uid])
		}
		last[one.uid] = one.seq
	}
	s.judgeOwn(f, mine)
	return due, never
}

// maxComplaints is how many are shown.
const maxComplaints = 50

// complain fails the test. What is wrong once is often wrong for all.
func (s *storm) complain(format string, args ...any) {
	s.complaints++
	switch {
	case s.complaints < maxComplaints:
		s.w.t.Errorf(format, args...)
	case s.complaints == maxComplaints:
		s.w.t.Error("(more of it)")
	}
}

// missed tells of a frame that a stream was not given, and what is known of the
// follow.
func (s *storm) missed(f *stream, kind string, d *deed, answered time.Time) {
	since := time.Duration(0)
	if changes := f.member.edge(d.author).changes; len(changes) > 0 {
		since = d.asked.Sub(changes[len(changes)-1].answered)
	}
	s.complain("%s is not told of %s %s, answered %s before the end; the last change of the follow was answered %s before it was asked for",
		f.name, kind, d.id, s.end.Sub(answered), since)
}

// judgeOwn wants that each change of a follow is told to both sides, once and in
// its order.
func (s *storm) judgeOwn(f *stream, mine []told) {
	got := make(map[string][]bool) // by direction and the other's name: whether it became a follow
	for _, one := range mine {
		switch one.kind {
		case "following.added", "following.removed":
			got["following "+one.about] = append(got["following "+one.about], one.kind == "following.added")
		case "follower.added", "follower.removed":
			got["follower "+one.about] = append(got["follower "+one.about], one.kind == "follower.added")
		}
	}
	for _, other := range s.everybody() {
		for direction, h := range map[string]*history[bool]{"following ": f.member.edge(other), "follower ": other.edge(f.member)} {
			is := got[direction+other.username]
			alternates := len(is) == len(h.changes)
			for i := range h.changes {
				alternates = alternates && i < len(is) && is[i] == h.changes[i].to
			}
			if !alternates {
				s.complain("%s is told %v of %s%s, which changed %d times", f.name, is, direction, other.username, len(h.changes))
			}
		}
	}
}
