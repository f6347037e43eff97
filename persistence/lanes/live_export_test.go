package lanes

import (
	"kith/actors/user"
	"kith/persistence"
)

// Apply is apply.
func (l *Live) Apply(lane uint8, records []persistence.Record) { l.apply(lane, records) }

// LiveSet is a set of users without a committer.
type LiveSet struct{ set liveSet }

// Add is add.
func (s *LiveSet) Add(id user.ID) { s.set.add(id) }

// Remove is remove.
func (s *LiveSet) Remove(id user.ID) { s.set.remove(id) }

// Len is the number of users.
func (s *LiveSet) Len() int { return s.set.total }

// Page is page.
func (s *LiveSet) Page(seed string, offset, limit int) []user.ID {
	return s.set.page(newShuffle(seed), offset, limit)
}

// LiveOrder returns the keys by which the order of a seed sorts users.
func LiveOrder(seed string) func(id user.ID) (class int, rank uint64) {
	o := newShuffle(seed)
	var places [liveClasses]int
	for i, class := range o.classes {
		places[class] = i
	}
	return func(id user.ID) (int, uint64) { return places[id%liveClasses], o.rank(id) }
}
