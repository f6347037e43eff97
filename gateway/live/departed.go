package live

import (
	"slices"

	"kith/actors/user"
	"kith/persistence"
)

// departedIDs bounds how many follows are remembered: 32 MB.
const departedIDs = 4 << 20

// departed remembers whom those followed who went, since most come back within
// moments. What the follows have become meanwhile is among the recent records. It
// belongs to the hub's lock.
type departed struct {
	readers map[user.ID]*departure
	order   fifo[*departure] // oldest first; some are replaced already
	ids     int              // of all of order
}

// departure is whom a reader followed at a position of the reader's lane.
type departure struct {
	reader    user.ID
	following []user.ID
	at        uint64
}

func newDeparted() departed { return departed{readers: make(map[user.ID]*departure)} }

// remember notes whom the reader of a session follows.
func (h *Hub) remember(s *Session) {
	if !s.begun || len(s.authors) > departedIDs/16 {
		return
	}
	one := &departure{reader: s.reader, at: h.positions[persistence.LaneOf(s.reader)], following: make([]user.ID, 0, len(s.authors)-s.watches)}
	for _, author := range s.authors {
		if h.interests.authors[author].edges[s].follows {
			one.following = append(one.following, author)
		}
	}
	x := &h.departed
	x.readers[s.reader] = one
	x.order.push(one)
	for x.ids += len(one.following) + 1; x.ids > departedIDs; {
		oldest, ok := x.order.pop()
		if !ok {
			return
		}
		x.ids -= len(oldest.following) + 1
		if x.readers[oldest.reader] == oldest {
			delete(x.readers, oldest.reader)
		}
	}
}

// remembered returns whom a reader follows, as far as the hub has delivered, if it
// knows.
func (h *Hub) remembered(reader user.ID) (following []user.ID, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.departed.readers[reader]
	if one == nil || one.at < h.recents.floor[persistence.LaneOf(reader)] {
		return nil, false
	}
	following = slices.Clone(one.following)
	changed := make(map[user.ID]bool)
	for _, r := range h.recents.above(reader, one.at) {
		if other, follows := followOfRecord(&r.record); other != 0 {
			changed[other] = follows
		}
	}
	if len(changed) == 0 {
		return following, true
	}
	following = slices.DeleteFunc(following, func(id user.ID) bool { _, is := changed[id]; return is })
	for id, follows := range changed {
		if follows {
			following = append(following, id)
		}
	}
	return following, true
}
