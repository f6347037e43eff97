package live

import (
	"context"
	"fmt"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/wire"
)

// batch is what was read for the records of one delivery.
type batch struct {
	events []user.Event // of each record; nil: nobody here is told of it
	cards  map[user.ID]*persistence.CachedCard
	open   map[pair]bool // whether the author follows the reader, of new follows
}

type pair struct{ reader, author user.ID }

// take delivers records of one lane, ascending. All that can fail comes first: an
// error is that nothing was delivered, and it is tried again.
func (h *Hub) take(ctx context.Context, lane uint8, records []persistence.Record) error {
	b, err := h.prepare(ctx, records)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, c := range b.cards {
		h.interests.refresh(id, c)
	}
	for i := range records {
		if b.events[i] != nil {
			h.apply(&records[i], b.events[i], b)
		}
	}
	h.positions[lane] = records[len(records)-1].Pos
	return nil
}

// concerns reports whether anybody here may be told of a user's records.
func (h *Hub) concerns(id user.ID) (reads, shows bool) {
	return len(h.interests.readers[id]) > 0, h.interests.authors[id] != nil
}

// prepare reads what the records need. A record that cannot be decoded is left
// out and told to the operator: it must not keep everybody else's.
func (h *Hub) prepare(ctx context.Context, records []persistence.Record) (*batch, error) {
	b := &batch{events: make([]user.Event, len(records)), cards: make(map[user.ID]*persistence.CachedCard), open: make(map[pair]bool)}
	h.mu.Lock()
	for i := range records {
		r := &records[i]
		reads, shows := h.concerns(r.User)
		if !reads && !shows {
			continue
		}
		e, err := usergrain.DecodeRecord(r)
		if err != nil {
			h.cfg.Logger.Error("a record cannot be read", "user_id", uint64(r.User), "seq", r.Seq, "error", err)
			continue
		}
		b.events[i] = e
		b.cards[r.User] = nil
		if !reads {
			continue
		}
		if other := otherOf(e); other != 0 {
			b.cards[other] = nil
		}
		if f, ok := e.(user.Followed); ok {
			b.open[pair{r.User, f.Target}] = false
		}
	}
	h.mu.Unlock()
	if len(b.cards) == 0 {
		return b, nil
	}
	if err := h.readCards(ctx, b.cards); err != nil {
		return nil, err
	}
	for p := range b.open {
		open, err := h.cfg.People.FollowedBy(ctx, p.reader, []user.ID{p.author})
		if err != nil {
			return nil, fmt.Errorf("read whether user %d follows user %d: %w", p.author, p.reader, err)
		}
		b.open[p] = open[0]
	}
	return b, nil
}

// readCards fills in the cards of the keys of cards; nil stays where nobody is.
func (h *Hub) readCards(ctx context.Context, cards map[user.ID]*persistence.CachedCard) error {
	ids := make([]user.ID, 0, len(cards))
	for id := range cards {
		ids = append(ids, id)
	}
	found, err := h.cfg.People.Cards(ctx, ids)
	if err != nil {
		return fmt.Errorf("read %d cards: %w", len(ids), err)
	}
	for i, c := range found {
		if c != nil && !c.Deleted {
			cards[ids[i]] = c
		}
	}
	return nil
}

// otherOf returns the other user whom an event names, 0 when there is none.
func otherOf(e user.Event) user.ID {
	switch e := e.(type) { //nolint:gochecksumtype // of the others there is nothing to say here
	case user.Followed:
		return e.Target
	case user.Unfollowed:
		return e.Target
	case user.FollowerAdded:
		return e.Source
	case user.FollowerRemoved:
		return e.Source
	default:
		return 0
	}
}

// apply delivers one record. Of a user who is gone by now nothing is shown but
// that: the sessions are closed.
func (h *Hub) apply(r *persistence.Record, e user.Event, b *batch) {
	if _, gone := e.(user.Deleted); gone {
		for s := range h.interests.readers[r.User] {
			s.close(CloseSessionEnded, "the account was deleted")
		}
		if a := h.interests.authors[r.User]; a != nil {
			a.card = nil
		}
		return
	}
	h.noteEdges(r, e, b)
	card := b.cards[r.User]
	if card == nil {
		return
	}
	told := teller{hub: h, record: r, card: card, ref: RecordRef{UID: card.Card.UID, Seq: r.Seq, At: r.At}}
	f, err := told.frame(e, b.cards)
	if err != nil {
		h.cfg.Logger.Error("a frame cannot be encoded", "user_id", uint64(r.User), "seq", r.Seq, "error", err)
	}
	if f != nil {
		told.tell(e, f)
	}
	switch e.(type) { //nolint:gochecksumtype // of the others there is nothing to say here
	case user.Followed, user.Unfollowed, user.FollowerAdded, user.FollowerRemoved, user.Severed:
		told.counters()
	default:
	}
}

// noteEdges keeps the index in step with the follows of the record's user: as a
// reader, whose sessions are told of others, and as an author, whose profile is
// open to whom they follow.
func (h *Hub) noteEdges(r *persistence.Record, e user.Event, b *batch) {
	other, follows := user.ID(0), false
	switch e := e.(type) { //nolint:gochecksumtype // of the others there is nothing to say here
	case user.Followed:
		other, follows = e.Target, true
	case user.Unfollowed:
		other = e.Target
	case user.Severed:
		other = e.Gone
	default:
		return
	}
	if a := h.interests.authors[r.User]; a != nil {
		for s := range h.interests.readers[other] {
			if edge := a.edges[s]; edge != nil {
				edge.open, edge.changed = follows, true
			}
		}
	}
	for s := range h.interests.readers[r.User] {
		if !follows {
			if edge := s.authors[other]; edge != nil {
				edge.follows = false
				h.interests.drop(s, other)
			}
			s.unfollowed(other)
			continue
		}
		h.interests.edge(s, other).follows = true
		if open, read := b.open[pair{r.User, other}]; read {
			h.interests.learn(s, other, b.cards[other], open)
		}
	}
}

// teller makes and hands out the frames of one record.
type teller struct {
	hub    *Hub
	record *persistence.Record
	card   *persistence.CachedCard
	ref    RecordRef
}

// frame returns what is told of e, nil when nothing is.
func (t *teller) frame(e user.Event, cards map[user.ID]*persistence.CachedCard) (*Frame, error) {
	return frameOf(t.ref, t.card, e, cards)
}

// frameOf returns the frame of a record by the user whom card shows, nil when
// there is none, also when the other user is gone.
func frameOf(ref RecordRef, card *persistence.CachedCard, e user.Event, cards map[user.ID]*persistence.CachedCard) (*Frame, error) {
	kind := ""
	switch e := e.(type) { //nolint:gochecksumtype // of the others there is nothing to say here
	case user.ActivityRecorded:
		return Activity(ref, wire.Activity{User: card.JSON, Event: wire.NewEvent(&e.Activity, e.At)})
	case user.ActivityDeleted:
		return ActivityDeleted(ref, e.EventID)
	case user.ProfileUpdated:
		return About(TypeProfileUpdated, ref, card.JSON)
	case user.Followed:
		kind = TypeFollowingAdded
	case user.Unfollowed:
		kind = TypeFollowingRemoved
	case user.FollowerAdded:
		kind, ref.At = TypeFollowerAdded, e.FollowedAt // as the notification says
	case user.FollowerRemoved:
		kind = TypeFollowerRemoved
	default:
		return nil, nil
	}
	other := cards[otherOf(e)]
	if other == nil {
		return nil, nil // gone: REST would not show them either
	}
	return About(kind, ref, other.JSON)
}

// tell hands the frame of e to whoever may see it now.
func (t *teller) tell(e user.Event, f *Frame) {
	x := &t.hub.interests
	switch e.(type) { //nolint:gochecksumtype // of the others there is nothing to say here
	case user.ActivityRecorded, user.ActivityDeleted:
	default:
		for s := range x.readers[t.record.User] {
			s.push(f)
		}
	}
	a := x.authors[t.record.User]
	if a == nil {
		return
	}
	for s, edge := range a.edges {
		if s.reader.Card.ID != t.record.User && shows(e, func(section user.Section) bool { return a.sees(edge, section) }) {
			s.push(f)
		}
	}
}

// shows reports whether e may be shown to others, given which sections they see.
// A deletion names an event whose type is not known any more: it is for those who
// may see events of some type.
func shows(e user.Event, sees func(user.Section) bool) bool {
	switch e := e.(type) { //nolint:gochecksumtype // of the others there is nothing to say here
	case user.ActivityRecorded:
		return sees(e.Activity.Type.Section())
	case user.ActivityDeleted:
		return sees(user.SectionWatchHistory) || sees(user.SectionRatings)
	case user.ProfileUpdated:
		return sees(user.SectionUser)
	default:
		return false
	}
}

// counters hands out the newest counters, to the user and to whoever watches.
func (t *teller) counters() {
	c := &t.card.Card
	f := Counters(c.Username, c.Followers, c.Following)
	for s := range t.hub.interests.readers[c.ID] {
		s.pushCounters(c.ID, f)
	}
	a := t.hub.interests.authors[c.ID]
	if a == nil {
		return
	}
	for s, edge := range a.edges {
		if edge.watches && a.sees(edge, user.SectionUser) {
			s.pushCounters(c.ID, f)
		}
	}
}
