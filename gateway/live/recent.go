package live

import (
	"iter"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// recents keeps the newest records of all lanes of which clients are told, at those
// whose they are, so that who was away for moments needs no database. It is bounded:
// the oldest fall out first. It belongs to the hub's lock.
type recents struct {
	index  *index
	budget int // bytes
	bytes  int
	order  fifo[recentKey] // of all that are held, oldest first; some are gone already
	// floor is below what is held of each lane: of a cursor from there on nothing is
	// missing.
	floor Positions
}

// recent is a record and, once somebody was told of it, its frame, and which section
// it shows.
type recent struct {
	record  persistence.Record
	frame   *Frame
	section user.Section
}

func (r *recent) size() int {
	const fixed = 300 // the record, its places in the index and in the order
	n := fixed + len(r.record.Payload)
	if r.frame != nil {
		n += len(r.frame.whole)
	}
	return n
}

type recentKey struct {
	user user.ID
	pos  uint64
}

// covers reports whether all that is above a cursor is held.
func (x *recents) covers(at *Positions) bool {
	for lane := range at {
		if at[lane] < x.floor[lane] {
			return false
		}
	}
	return true
}

// add notes a record, the next of its lane.
func (x *recents) add(one *recent) {
	r := &one.record
	switch r.Kind { //nolint:exhaustive // the others change nothing that is held
	case persistence.KindActivityDeleted:
		x.erase(r)
	case persistence.KindProfileUpdated:
		x.forgetFrames(r.User)
	case persistence.KindDeleted:
		x.drop(r.User)
	}
	if !r.Kind.ToldToOwner() && !r.Kind.ToldToFollowers() {
		return
	}
	p := x.index.get(r.User)
	p.recent.push(one)
	x.bytes += one.size()
	x.order.push(recentKey{r.User, r.Pos})
	for x.bytes > x.budget {
		x.evict()
	}
}

// evict lets the oldest record go.
func (x *recents) evict() {
	k, ok := x.order.pop()
	if !ok {
		return
	}
	lane := persistence.LaneOf(k.user)
	x.floor[lane] = max(x.floor[lane], k.pos)
	p := x.index.people[k.user]
	if p == nil {
		return
	}
	first := p.recent.first()
	if first == nil || first.record.Pos != k.pos {
		return // erased before
	}
	x.bytes -= first.size()
	if p.recent.pop(); p.recent.empty() {
		x.index.prune(p)
	}
}

// erase forgets the event that r deletes: nobody is told of it any more.
func (x *recents) erase(r *persistence.Record) {
	p := x.index.people[r.User]
	if p == nil {
		return
	}
	gone := deletedEvent(r)
	one, ok := p.recent.remove(func(one *recent) bool {
		return one.record.EventID == gone && one.record.Kind == persistence.KindActivityRecorded
	})
	if ok {
		x.bytes -= one.size()
	}
	x.index.prune(p)
}

// forgetFrames is for a profile that changed: the frames show the one before.
func (x *recents) forgetFrames(id user.ID) {
	p := x.index.people[id]
	if p == nil {
		return
	}
	for one := range p.recent.all() {
		if one.frame != nil {
			x.bytes -= len(one.frame.whole)
			one.frame = nil
		}
	}
}

// drop forgets what a user did who was deleted.
func (x *recents) drop(id user.ID) {
	p := x.index.people[id]
	if p == nil {
		return
	}
	for one := range p.recent.all() {
		x.bytes -= one.size()
	}
	p.recent = recentList{}
	x.index.prune(p)
}

// above returns what is held of a person above a position.
func (p *person) above(pos uint64) iter.Seq[*recent] {
	return p.recent.tail(func(one *recent) bool { return one.record.Pos > pos })
}

// since returns what is held of a person that is not older than a time.
func (p *person) since(at time.Time) iter.Seq[*recent] {
	return p.recent.tail(func(one *recent) bool { return !one.record.At.Before(at) })
}

// keep notes the frames that were made of records meanwhile.
func (x *recents) keep(made []*recent) {
	for _, m := range made {
		p := x.index.people[m.record.User]
		if p == nil {
			continue
		}
		for one := range p.recent.backward() {
			if one.record.Pos < m.record.Pos {
				break
			}
			if one.record.Pos == m.record.Pos && one.frame == nil {
				one.frame, one.section = m.frame, m.section
				x.bytes += len(m.frame.whole)
			}
		}
	}
}

// fifo is a queue whose memory follows its length.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) push(item T) { q.items = append(q.items, item) }

func (q *fifo[T]) pop() (item T, ok bool) {
	if q.head == len(q.items) {
		return item, false
	}
	item = q.items[q.head]
	if q.head++; q.head > len(q.items)/2 {
		q.items = append(q.items[:0:0], q.items[q.head:]...)
		q.head = 0
	}
	return item, true
}

// first returns the oldest item.
func (q *fifo[T]) first() (item T, ok bool) {
	if q.head == len(q.items) {
		return item, false
	}
	return q.items[q.head], true
}
