package live

import (
	"kith/actors/user"
	"kith/persistence"
)

// recents holds the newest records of all lanes of which clients are told, by
// user, so that who was away for moments needs no database. It is bounded: the
// oldest fall out first. It belongs to the hub's lock.
type recents struct {
	budget int // bytes
	bytes  int
	users  map[user.ID]*history
	order  fifo[recentKey] // of all of users, oldest first; some are gone already
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
	const fixed = 300 // the record, its places in the map and in the order
	n := fixed + len(r.record.Payload)
	if r.frame != nil {
		n += len(r.frame.whole)
	}
	return n
}

// history is what is held of one user, ascending.
type history struct{ records []recent }

type recentKey struct {
	user user.ID
	pos  uint64
}

func newRecents(budget int, floor Positions) recents {
	return recents{budget: budget, users: make(map[user.ID]*history), floor: floor}
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
	switch r.Kind { //nolint:exhaustive // of the others nobody is told
	case persistence.KindActivityDeleted:
		x.erase(r)
	case persistence.KindProfileUpdated:
		x.forgetFrames(r.User)
	case persistence.KindDeleted:
		x.drop(r.User)
		return
	}
	if !r.Kind.ToldToOwner() && !r.Kind.ToldToFollowers() {
		return
	}
	h := x.users[r.User]
	if h == nil {
		h = &history{}
		x.users[r.User] = h
	}
	h.records = append(h.records, *one)
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
	h := x.users[k.user]
	if h == nil || h.records[0].record.Pos != k.pos {
		return // erased before
	}
	x.bytes -= h.records[0].size()
	h.records[0] = recent{}
	if h.records = h.records[1:]; len(h.records) == 0 {
		delete(x.users, k.user)
	}
}

// erase forgets the event that r deletes: nobody is told of it any more.
func (x *recents) erase(r *persistence.Record) {
	h := x.users[r.User]
	if h == nil {
		return
	}
	gone := deletedEvent(r)
	for i := range h.records {
		if one := &h.records[i]; one.record.EventID == gone && one.record.Kind == persistence.KindActivityRecorded {
			x.bytes -= one.size()
			h.records = append(h.records[:i], h.records[i+1:]...)
			break
		}
	}
	if len(h.records) == 0 {
		delete(x.users, r.User)
	}
}

// forgetFrames is for a profile that changed: the frames show the one before.
func (x *recents) forgetFrames(id user.ID) {
	h := x.users[id]
	if h == nil {
		return
	}
	for i := range h.records {
		if one := &h.records[i]; one.frame != nil {
			x.bytes -= len(one.frame.whole)
			one.frame = nil
		}
	}
}

// drop forgets a user who was deleted.
func (x *recents) drop(id user.ID) {
	if h := x.users[id]; h != nil {
		for i := range h.records {
			x.bytes -= h.records[i].size()
		}
		delete(x.users, id)
	}
}

// above returns what is held of a user above a position.
func (x *recents) above(id user.ID, pos uint64) []recent {
	h := x.users[id]
	if h == nil {
		return nil
	}
	i := len(h.records)
	for i > 0 && h.records[i-1].record.Pos > pos {
		i--
	}
	return h.records[i:]
}

// keep notes the frames that were made of a user's records meanwhile.
func (x *recents) keep(made []*recent) {
	for _, m := range made {
		h := x.users[m.record.User]
		if h == nil {
			continue
		}
		for i := len(h.records) - 1; i >= 0 && h.records[i].record.Pos >= m.record.Pos; i-- {
			if one := &h.records[i]; one.record.Pos == m.record.Pos && one.frame == nil {
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
