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
	card  *persistence.CachedCard // the newest known; nil: not read yet
	edges map[*Session]*edge
}

// edge is what ties a session to an author.
type edge struct {
	follows bool // the reader follows the author
	watches bool // the session watches the author
	// open says whether the author follows the reader. Before known, nothing is
	// shown: what comes meanwhile is part of what the session reads as missed.
	open  bool
	known bool
	// changed says that a record has set open since the edge is there.
	changed bool
}

func newInterests() interests {
	return interests{readers: make(map[user.ID]map[*Session]struct{}), authors: make(map[user.ID]*author)}
}

// edge returns the edge between a session and an author, a new one if there was
// none.
func (x *interests) edge(s *Session, id user.ID) *edge {
	a := x.authors[id]
	if a == nil {
		a = &author{edges: make(map[*Session]*edge)}
		x.authors[id] = a
	}
	e := a.edges[s]
	if e == nil {
		e = &edge{}
		a.edges[s] = e
		s.authors[id] = e
	}
	return e
}

// drop forgets an edge that neither a follow nor a watch holds any more.
func (x *interests) drop(s *Session, id user.ID) {
	e := s.authors[id]
	if e == nil || e.follows || e.watches {
		return
	}
	delete(s.authors, id)
	a := x.authors[id]
	delete(a.edges, s)
	if len(a.edges) == 0 {
		delete(x.authors, id)
	}
}

// learn notes what was read of an author for a session, unless records have said
// otherwise since.
func (x *interests) learn(s *Session, id user.ID, card *persistence.CachedCard, open bool) {
	e := s.authors[id]
	if e == nil {
		return
	}
	x.refresh(id, card)
	if !e.changed {
		e.open = open
	}
	e.known = true
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
func (a *author) sees(e *edge, section user.Section) bool {
	if !e.known || a.card == nil || a.card.Deleted {
		return false
	}
	viewer := user.ViewerStranger
	if e.open {
		viewer = user.ViewerFollowed
	}
	return user.Visible(section, viewer, a.card.Card.Privacy)
}

// remove takes a session out of everything.
func (x *interests) remove(s *Session) {
	for id, e := range s.authors {
		e.follows, e.watches = false, false
		x.drop(s, id)
	}
	id := s.reader.Card.ID
	delete(x.readers[id], s)
	if len(x.readers[id]) == 0 {
		delete(x.readers, id)
	}
}
