package live

import (
	"context"
	"fmt"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/wire"
)

// batch is what was read for the records of one delivery.
type batch struct {
	events []user.Event // of each record; nil: nobody here is told of it
	broken map[int]bool // records that cannot be decoded
	cards  map[user.ID]*persistence.CachedCard
	open   map[pair]openness // of authors whose profile is not public
}

type pair struct{ reader, author user.ID }

// wants is what a batch lacks before it can be delivered.
type wants struct {
	cards   []CardAt
	readers map[user.ID][]user.ID // by author
}

func (w *wants) nothing() bool { return len(w.cards) == 0 && len(w.readers) == 0 }

// take delivers records of one lane, ascending. All that can fail comes first: an
// error is that nothing was delivered, and it is tried again.
func (h *Hub) take(ctx context.Context, lane uint8, records []persistence.Record) error {
	b := &batch{events: make([]user.Event, len(records)), cards: make(map[user.ID]*persistence.CachedCard), open: make(map[pair]openness)}
	h.mu.Lock()
	defer h.mu.Unlock()
	// Sessions begin while the lock is not held, and then more may be needed.
	for w := h.wants(records, b); !w.nothing(); w = h.wants(records, b) {
		if err := h.fetch(ctx, b, w); err != nil {
			return err
		}
	}
	for id, c := range b.cards {
		if p := h.index.people[id]; p != nil {
			p.refresh(c)
		}
	}
	for of, open := range b.open {
		if p := h.index.people[of.author]; p != nil && open != openUnknown {
			p.opens(h.index.people[of.reader], open)
		}
	}
	h.gate.Lock()
	defer h.gate.Unlock()
	for i := range records {
		one := recent{record: records[i]}
		if b.events[i] != nil {
			one.frame, one.section = h.apply(&records[i], b.events[i], b), sectionOf(b.events[i])
		}
		h.recents.add(&one)
	}
	h.positions[lane] = records[len(records)-1].Pos
	h.cfg.Metrics.delivered(h.cfg.Now().Sub(records[0].At), len(records))
	return nil
}

// concerns reports whether anybody here may be told of a user's records.
func (h *Hub) concerns(id user.ID) (reads, shows bool) {
	p := h.index.people[id]
	return p != nil && p.reader != nil, p != nil && p.told()
}

// wants decodes the records that somebody here may be told of, and returns what
// has to be read for them. A record that cannot be decoded is left out and told to
// the operator: it must not keep everybody else's.
func (h *Hub) wants(records []persistence.Record, b *batch) (w wants) {
	asked := make(map[user.ID]bool)
	card := func(id user.ID, version uint64) {
		if _, there := b.cards[id]; !there && id != 0 && !asked[id] {
			asked[id] = true
			w.cards = append(w.cards, CardAt{id, version})
		}
	}
	for i := len(records) - 1; i >= 0; i-- { // so that of each user the newest comes first
		r := &records[i]
		reads, shows := h.concerns(r.User)
		if !reads && !shows || b.broken[i] {
			continue
		}
		if b.events[i] == nil && !h.decode(r, b, i) {
			continue
		}
		card(r.User, r.Seq)
		if reads {
			card(otherOf(b.events[i]), 0)
			if other, follows := followOf(b.events[i]); follows && isPrivate(b.cards[other]) {
				w.ask(b, r.User, other)
			}
		}
		if shows && isPrivate(b.cards[r.User]) {
			for _, reader := range h.index.people[r.User].unknown() {
				w.ask(b, reader, r.User)
			}
		}
	}
	return w
}

// decode decodes record i of a batch, and reports whether it could be.
func (h *Hub) decode(r *persistence.Record, b *batch, i int) bool {
	e, err := usergrain.DecodeRecord(r)
	if err == nil {
		b.events[i] = e
		return true
	}
	h.cfg.Logger.Error("a record cannot be read", "user_id", uint64(r.User), "seq", r.Seq, "error", err)
	if b.broken == nil {
		b.broken = make(map[int]bool)
	}
	b.broken[i] = true
	return false
}

// ask asks once whether an author follows a reader.
func (w *wants) ask(b *batch, reader, author user.ID) {
	p := pair{reader, author}
	if _, asked := b.open[p]; asked {
		return
	}
	b.open[p] = openUnknown
	if w.readers == nil {
		w.readers = make(map[user.ID][]user.ID)
	}
	w.readers[author] = append(w.readers[author], reader)
}

// isPrivate reports whether it matters whom a user follows: others see nothing.
func isPrivate(c *persistence.CachedCard) bool {
	return c != nil && !c.Deleted && !c.Card.Privacy.Profile
}

// fetch reads what a batch lacks. It lets go of the hub's lock meanwhile.
func (h *Hub) fetch(ctx context.Context, b *batch, w wants) error {
	h.mu.Unlock()
	defer h.mu.Lock()
	if err := h.readCards(ctx, w.cards, b.cards); err != nil {
		return err
	}
	for author, readers := range w.readers {
		follows, err := h.cfg.People.Follows(ctx, author, readers)
		if err != nil {
			return fmt.Errorf("read which of %d users user %d follows: %w", len(readers), author, err)
		}
		for i, reader := range readers {
			b.open[pair{reader, author}] = opennessOf(follows[i])
		}
	}
	return nil
}

// readCards adds the cards to those found; nil where nobody is.
func (h *Hub) readCards(ctx context.Context, wanted []CardAt, into map[user.ID]*persistence.CachedCard) error {
	if len(wanted) == 0 {
		return nil
	}
	found, err := h.cfg.People.Cards(ctx, wanted)
	if err != nil {
		return fmt.Errorf("read %d cards: %w", len(wanted), err)
	}
	for i, c := range found {
		if c != nil && c.Deleted {
			c = nil
		}
		into[wanted[i].ID] = c
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

// deletedEvent returns the id of the event that a record deletes.
func deletedEvent(r *persistence.Record) string {
	e, err := usergrain.DecodeRecord(r)
	if err != nil {
		return ""
	}
	d, _ := e.(user.ActivityDeleted)
	return d.EventID
}

// apply delivers one record, and returns the frame that tells of it, if there is
// one. Of a user who is gone by now nothing is shown but that: the sessions are
// closed.
func (h *Hub) apply(r *persistence.Record, e user.Event, b *batch) *Frame {
	p := h.index.people[r.User]
	if p == nil {
		return nil // a record before this one ended the interest
	}
	if _, gone := e.(user.Deleted); gone {
		if p.reader != nil {
			for _, s := range p.reader.sessions {
				s.close(CloseSessionEnded, "the account was deleted")
			}
		}
		p.card = nil
		return nil
	}
	h.noteEdges(p, r, e, b)
	card := b.cards[r.User]
	if card == nil {
		return nil
	}
	told := teller{person: p, card: card, ref: RecordRef{UID: card.Card.UID, Seq: r.Seq, At: r.At}}
	f, err := frameOf(told.ref, card, e, b.cards)
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
	return f
}

// noteEdges keeps the index in step with the follows of the record's user: as a
// reader, whose sessions are told of others, and as an author, whose profile is
// open to whom they follow.
func (h *Hub) noteEdges(p *person, r *persistence.Record, e user.Event, b *batch) {
	other, follows := followOf(e)
	if other == 0 {
		return
	}
	p.opens(h.index.people[other], opennessOf(follows))
	if p.reader == nil {
		return
	}
	if p.reader.meanwhile != nil {
		p.reader.meanwhile[other] = follows
	}
	if !follows {
		h.index.unfollow(p.reader, other)
		return
	}
	if h.index.follow(p.reader, other) && p.reader.begun {
		h.catchUp(p.reader, other, r.At, b)
	}
}

// catchUp tells a reader what somebody did since the reader began to follow them, as
// far as it is delivered already: the lanes of the two come in no order.
func (h *Hub) catchUp(r *reader, author user.ID, since time.Time, b *batch) {
	card, p := b.cards[author], h.index.people[author]
	if card == nil {
		return
	}
	p.refresh(card)
	open := b.open[pair{r.person.id, author}]
	p.followers[r] = open
	for one := range p.since(since) {
		f, err := frameOfRecent(one, card)
		if err != nil {
			h.cfg.Logger.Error("a record cannot be told", "user_id", uint64(author), "seq", one.record.Seq, "error", err)
			continue
		}
		if f == nil || !shows(one.section, func(section user.Section) bool { return p.sees(open, section) }) {
			continue
		}
		for _, s := range r.sessions {
			if _, watches := p.watchers[s]; !watches { // else it was told
				s.push(f)
			}
		}
	}
}

// frameOfRecent returns the frame of a record of which others are told, nil of any
// other.
func frameOfRecent(one *recent, card *persistence.CachedCard) (*Frame, error) {
	if one.frame != nil || !one.record.Kind.ToldToFollowers() {
		return one.frame, nil
	}
	e, err := usergrain.DecodeRecord(&one.record)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	r := &one.record
	one.section = sectionOf(e)
	return frameOf(RecordRef{UID: card.Card.UID, Seq: r.Seq, At: r.At}, card, e, nil)
}

// followOf returns whom an event makes its user follow, or follow no longer; 0
// when it does neither.
func followOf(e user.Event) (other user.ID, follows bool) {
	switch e := e.(type) { //nolint:gochecksumtype // the others change no follows
	case user.Followed:
		return e.Target, true
	case user.Unfollowed:
		return e.Target, false
	case user.Severed:
		return e.Gone, false
	}
	return 0, false
}

// teller hands out the frames of one record.
type teller struct {
	person *person // whose it is
	card   *persistence.CachedCard
	ref    RecordRef
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
	p := t.person
	switch e.(type) { //nolint:gochecksumtype // of the others there is nothing to say here
	case user.ActivityRecorded, user.ActivityDeleted:
	default:
		t.tellOwn(f)
	}
	section := sectionOf(e)
	if section == 0 || !p.told() {
		return
	}
	// There are two kinds of readers: whom the person follows, and the others.
	var visible [openYes + 1]bool
	for _, open := range [...]openness{openNo, openYes} {
		visible[open] = shows(section, func(section user.Section) bool { return p.sees(open, section) })
	}
	visible[openUnknown] = visible[openNo]
	for r, open := range p.followers {
		if visible[open] {
			for _, s := range r.sessions {
				s.push(f)
			}
		}
	}
	for s, open := range p.watchers {
		if _, follows := p.followers[s.reader]; visible[open] && !follows && s.reader != p.reader {
			s.push(f)
		}
	}
}

// tellOwn hands a frame to the sessions of whose record it tells.
func (t *teller) tellOwn(f *Frame) {
	if t.person.reader != nil {
		for _, s := range t.person.reader.sessions {
			s.push(f)
		}
	}
}

// sectionOf returns what of a user an event shows to others; 0: nothing, and
// anySection an activity of a kind that is not known any more.
func sectionOf(e user.Event) user.Section {
	switch e := e.(type) { //nolint:gochecksumtype // of the others there is nothing to say here
	case user.ActivityRecorded:
		return e.Activity.Type.Section()
	case user.ActivityDeleted:
		return anySection
	case user.ProfileUpdated:
		return user.SectionUser
	default:
		return 0
	}
}

// anySection is for a deletion, which names an event whose type is not known any
// more: it is for those who may see events of some type.
const anySection = ^user.Section(0)

// shows reports whether a section may be shown to others, given which they see.
func shows(section user.Section, sees func(user.Section) bool) bool {
	if section == anySection {
		return sees(user.SectionWatchHistory) || sees(user.SectionRatings)
	}
	return section != 0 && sees(section)
}

// counters hands out the newest counters, to the user and to whoever watches.
func (t *teller) counters() {
	c, p := &t.card.Card, t.person
	f := Counters(c.Username, c.Followers, c.Following)
	if p.reader != nil {
		for _, s := range p.reader.sessions {
			s.pushCounters(c.ID, f)
		}
	}
	for s, open := range p.watchers {
		if s.reader != p.reader && p.sees(open, user.SectionUser) {
			s.pushCounters(c.ID, f)
		}
	}
}
