package live

import (
	"kith/actors/user"
	"kith/persistence"
)

// interests is the index from authors to the sessions that are told of them. It
// belongs to the hub's lock.
type interests struct {
	readers map[user.ID]map[*Session]struct{}
	authors map[user.ID]*author
}

// author is somebody of whom sessions here are told.
type author struct {
	card  *persistence.CachedCard // the newest known; nil: not needed yet
	edges map[*Session]edge
}

// edge is what ties a session to an author.
type edge struct {
	follows bool // the reader follows the author
	watches bool // the session watches the author
	open    openness
}

// openness says whether the author follows the reader: then a profile that is not
// public is open to them. It is read when the first such profile asks for it.
type openness uint8

const (
	openUnknown openness = iota
	openNo
	openYes
)

func opennessOf(follows bool) openness {
	if follows {
		return openYes
	}
	return openNo
}

func newInterests() interests {
	return interests{readers: make(map[user.ID]map[*Session]struct{}), authors: make(map[user.ID]*author)}
}

// read enters a session of a reader.
func (x *interests) read(s *Session) {
	sessions := x.readers[s.reader]
	if sessions == nil {
		sessions = make(map[*Session]struct{}, 1)
		x.readers[s.reader] = sessions
	}
	sessions[s] = struct{}{}
}

// follow notes that a session's reader follows an author.
func (x *interests) follow(s *Session, id user.ID) {
	x.change(s, id, func(e *edge) { e.follows = true })
}

// change changes an edge. One that nothing holds any more is forgotten.
func (x *interests) change(s *Session, id user.ID, change func(*edge)) {
	a := x.authors[id]
	var e edge
	if a != nil {
		e = a.edges[s]
	}
	held := e.follows || e.watches
	change(&e)
	holds := e.follows || e.watches
	switch {
	case holds && a == nil:
		a = &author{edges: make(map[*Session]edge, 1)}
		x.authors[id] = a
		fallthrough
	case holds:
		a.edges[s] = e
		if !held {
			s.authors = append(s.authors, id)
		}
	case held:
		x.forget(s, id)
		for i, other := range s.authors {
			if other == id {
				last := len(s.authors) - 1
				s.authors[i] = s.authors[last]
				s.authors = s.authors[:last]
				break
			}
		}
	}
}

func (x *interests) forget(s *Session, id user.ID) {
	a := x.authors[id]
	delete(a.edges, s)
	if len(a.edges) == 0 {
		delete(x.authors, id)
	}
}

// refresh notes a card if it is newer than the one known.
func (x *interests) refresh(id user.ID, card *persistence.CachedCard) {
	a := x.authors[id]
	if a == nil || card == nil {
		return
	}
	if a.card == nil || a.card.Card.Version <= card.Card.Version {
		a.card = card
	}
}

// sees reports whether a section of the author may be shown over e.
func (a *author) sees(e edge, section user.Section) bool {
	if a.card == nil || a.card.Deleted {
		return false
	}
	viewer := user.ViewerStranger
	if e.open == openYes {
		viewer = user.ViewerFollowed
	}
	return user.Visible(section, viewer, a.card.Card.Privacy)
}

// unknown returns the readers of whom it is not known whether the author follows
// them.
func (a *author) unknown() (readers []user.ID) {
	for s, e := range a.edges {
		if e.open == openUnknown {
			readers = append(readers, s.reader)
		}
	}
	return readers
}

// remove takes a session out of everything.
func (x *interests) remove(s *Session) {
	for _, id := range s.authors {
		x.forget(s, id)
	}
	s.authors = nil
	delete(x.readers[s.reader], s)
	if len(x.readers[s.reader]) == 0 {
		delete(x.readers, s.reader)
	}
}
