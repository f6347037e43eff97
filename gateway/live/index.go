package live

import (
	"slices"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// index is what the hub knows of people. It belongs to the hub's lock.
type index struct{ people map[user.ID]*person }

// person is somebody who is told of something here, of whom others are told, or who
// did something lately.
type person struct {
	id user.ID
	// card is the newest known: of one who is told of, as new as what was delivered;
	// nil: not needed yet.
	card *persistence.CachedCard
	// followers and watchers are told of the person, as far as they may see it.
	followers map[*reader]openness
	watchers  map[*Session]openness
	recent    recentList // see recents
	reader    *reader    // nil: no session is here, or was a moment ago
}

// reader is a person who has sessions here, or had a moment ago: most come back.
type reader struct {
	person   *person
	sessions []*Session
	follows  []*person // in no order
	// begun says that follows is complete. Until then, meanwhile collects what records
	// say of them.
	begun     bool
	meanwhile map[user.ID]bool
	left      time.Time // when the last session went; zero: one is here
}

// openness says whether a person follows a reader: then a profile that is not public
// is open to them. It is read when the first such profile asks for it.
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

func newIndex() index { return index{people: make(map[user.ID]*person)} }

// get returns a person, made if need be. Whoever has nothing to keep there prunes.
func (x *index) get(id user.ID) *person {
	p := x.people[id]
	if p == nil {
		p = &person{id: id}
		x.people[id] = p
	}
	return p
}

// prune forgets a person whom nothing holds any more.
func (x *index) prune(p *person) {
	if p.reader == nil && len(p.followers)+len(p.watchers) == 0 && p.recent.empty() {
		delete(x.people, p.id)
	}
}

// enter adds a session of a reader.
func (x *index) enter(s *Session, id user.ID) *reader {
	p := x.get(id)
	if p.reader == nil {
		p.reader = &reader{person: p, meanwhile: make(map[user.ID]bool)}
	}
	p.reader.sessions = append(p.reader.sessions, s)
	p.reader.left = time.Time{}
	return p.reader
}

// leave removes a session, and reports whether it was the last of its reader.
func (x *index) leave(s *Session) (last bool) {
	for _, p := range s.watched {
		delete(p.watchers, s)
		x.prune(p)
	}
	s.watched = nil
	r := s.reader
	if i := slices.Index(r.sessions, s); i >= 0 {
		r.sessions = slices.Delete(r.sessions, i, i+1)
	}
	return len(r.sessions) == 0
}

// forget removes a reader who did not come back.
func (x *index) forget(r *reader) {
	for _, p := range r.follows {
		delete(p.followers, r)
		x.prune(p)
	}
	r.follows = nil
	r.person.reader = nil
	x.prune(r.person)
}

// follow notes that a reader follows a person, and reports whether that is new.
func (x *index) follow(r *reader, id user.ID) (began bool) {
	p := x.get(id)
	if _, follows := p.followers[r]; follows {
		return false
	}
	p.begin()
	if p.followers == nil {
		p.followers = make(map[*reader]openness, 1)
	}
	p.followers[r] = openUnknown
	r.follows = append(r.follows, p)
	return true
}

// unfollow takes that back.
func (x *index) unfollow(r *reader, id user.ID) {
	p := x.people[id]
	if p == nil {
		return
	}
	if _, follows := p.followers[r]; !follows {
		return
	}
	delete(p.followers, r)
	x.prune(p)
	if i := slices.Index(r.follows, p); i >= 0 {
		last := len(r.follows) - 1
		r.follows[i], r.follows[last] = r.follows[last], nil
		r.follows = r.follows[:last]
	}
}

// watch notes that a session watches a person.
func (x *index) watch(s *Session, id user.ID) {
	p := x.get(id)
	p.begin()
	if p.watchers == nil {
		p.watchers = make(map[*Session]openness, 1)
	}
	p.watchers[s] = openUnknown
	s.watched = append(s.watched, p)
}

// unwatch takes that back.
func (x *index) unwatch(s *Session, p *person) {
	delete(p.watchers, s)
	x.prune(p)
	if i := slices.Index(s.watched, p); i >= 0 {
		s.watched = slices.Delete(s.watched, i, i+1)
	}
}

// begin is for one who is told of from now on: a card from before may have grown old.
func (p *person) begin() {
	if !p.told() {
		p.card = nil
	}
}

// told reports whether anybody is told of the person.
func (p *person) told() bool { return len(p.followers)+len(p.watchers) > 0 }

// refresh notes a card if it is newer than the one known.
func (p *person) refresh(card *persistence.CachedCard) {
	if card != nil && (p.card == nil || p.card.Card.Version <= card.Card.Version) {
		p.card = card
	}
}

// opens notes whether the person follows somebody.
func (p *person) opens(to *person, open openness) {
	if to == nil || to.reader == nil {
		return
	}
	if _, follows := p.followers[to.reader]; follows {
		p.followers[to.reader] = open
	}
	for _, s := range to.reader.sessions {
		if _, watches := p.watchers[s]; watches {
			p.watchers[s] = open
		}
	}
}

// unknown returns those with sessions of whom it is not known whether the person
// follows them.
func (p *person) unknown() (readers []user.ID) {
	for r, open := range p.followers {
		if open == openUnknown && len(r.sessions) > 0 {
			readers = append(readers, r.person.id)
		}
	}
	for s, open := range p.watchers {
		if open == openUnknown {
			readers = append(readers, s.reader.person.id)
		}
	}
	return readers
}

// sees reports whether a section of the person may be shown to somebody.
func (p *person) sees(open openness, section user.Section) bool {
	if p.card == nil || p.card.Deleted {
		return false
	}
	viewer := user.ViewerStranger
	if open == openYes {
		viewer = user.ViewerFollowed
	}
	return user.Visible(section, viewer, p.card.Card.Privacy)
}
