package live

import (
	"context"
	"fmt"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
)

const (
	// maxMissed is how many records are replayed, and maxCursorAge how old a cursor
	// may be. Beyond, the client is told of a gap and reads over REST.
	maxMissed    = 10_000
	maxCursorAge = 7 * 24 * time.Hour
)

// Session is one socket of a user. Detach ends it, also after its transport was
// closed.
type Session struct {
	hub       *Hub
	shard     *shard
	transport Transport
	reader    *persistence.CachedCard // as it was at the beginning
	authors   map[user.ID]*edge       // of the hub's lock
	// left collects whom the reader stopped following while the follows are read;
	// nil otherwise. Of the hub's lock.
	left    map[user.ID]struct{}
	watches int    // of the hub's lock
	out     outbox // of the shard's lock
}

// unfollowed notes that the reader does not follow id any more.
func (s *Session) unfollowed(id user.ID) {
	if s.left != nil {
		s.left[id] = struct{}{}
	}
}

// Attach begins a session. It sends ready, then what was missed since the cursor,
// then what comes. cursor is "" for a client that has none. Whoever attached must
// Detach, unless there is an error: then nothing is left of the session.
//
// What happens while it reads is not lost: the session is in the index before the
// follows are read, and what was missed is read when all of it is known.
func (h *Hub) Attach(ctx context.Context, reader *persistence.CachedCard, cursor string, transport Transport) (*Session, error) {
	s := &Session{hub: h, transport: transport, reader: reader, authors: make(map[user.ID]*edge), left: make(map[user.ID]struct{})}
	s.out.held = true
	if err := h.enter(s); err != nil {
		return nil, err
	}
	first, err := h.begin(ctx, s, cursor)
	if err != nil {
		s.Detach()
		return nil, err
	}
	s.release(first)
	return s, nil
}

// enter puts a session into the index.
func (h *Hub) enter(s *Session) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := s.reader.Card.ID
	switch {
	case h.stopped:
		return ErrStopped
	case len(h.interests.readers[id]) >= maxSockets:
		return ErrTooManySockets
	}
	if h.interests.readers[id] == nil {
		h.interests.readers[id] = make(map[*Session]struct{})
	}
	h.interests.readers[id][s] = struct{}{}
	s.shard = h.shards[h.next%len(h.shards)]
	h.next++
	return nil
}

// begin reads what the session needs and returns its first frames.
func (h *Hub) begin(ctx context.Context, s *Session, cursor string) ([]*Frame, error) {
	id := s.reader.Card.ID
	following, err := h.cfg.People.Following(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read whom user %d follows: %w", id, err)
	}
	from := h.follows(s, following)
	if err := h.learn(ctx, s, following); err != nil {
		return nil, err
	}
	return h.resume(ctx, s, cursor, from)
}

// follows enters whom the reader follows, but those whom a record has taken back
// since, and returns the positions from which on nothing is missed.
func (h *Hub) follows(s *Session, following []user.ID) Positions {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, author := range following {
		if _, left := s.left[author]; !left {
			h.interests.edge(s, author).follows = true
		}
	}
	s.left = nil
	return h.positions
}

// learn reads how authors stand to the reader.
func (h *Hub) learn(ctx context.Context, s *Session, authors []user.ID) error {
	if len(authors) == 0 {
		return nil
	}
	cards, err := h.cfg.People.Cards(ctx, authors)
	if err != nil {
		return fmt.Errorf("read %d authors: %w", len(authors), err)
	}
	open, err := h.cfg.People.FollowedBy(ctx, s.reader.Card.ID, authors)
	if err != nil {
		return fmt.Errorf("read which of %d authors follow user %d: %w", len(authors), s.reader.Card.ID, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, author := range authors {
		h.interests.learn(s, author, cards[i], open[i])
	}
	return nil
}

// resume returns ready and what was missed since the cursor, or, without a good
// one, since the session began.
func (h *Hub) resume(ctx context.Context, s *Session, cursor string, from Positions) ([]*Frame, error) {
	var notice *Frame
	if cursor != "" {
		at, err := h.cfg.Cursors.Open(cursor)
		switch {
		case err != nil:
			notice = ErrorFrame(CodeBadCursor, "the cursor is not one of ours")
		case h.cfg.Now().Sub(at.IssuedAt) > maxCursorAge:
			if notice, err = Gap(at.IssuedAt); err != nil {
				return nil, err
			}
		default:
			frames, more, err := h.missed(ctx, s, at.Positions)
			if err != nil {
				return nil, err
			}
			if !more {
				return h.first(s, true, at.Positions, nil, frames)
			}
			if notice, err = Gap(at.IssuedAt); err != nil {
				return nil, err
			}
		}
	}
	frames, more, err := h.missed(ctx, s, from)
	if err != nil {
		return nil, err
	}
	if more { // as many since a moment ago
		if notice, err = Gap(h.cfg.Now()); err != nil {
			return nil, err
		}
	}
	return h.first(s, false, from, notice, frames)
}

func (h *Hub) first(s *Session, resumed bool, at Positions, notice *Frame, frames []*Frame) ([]*Frame, error) {
	ready, err := Ready(s.reader.JSON, resumed, h.sealed(at), heartbeat)
	if err != nil {
		return nil, err
	}
	first := append(make([]*Frame, 0, len(frames)+2), ready)
	if notice != nil {
		first = append(first, notice)
	}
	return append(first, frames...), nil
}

// missed returns the frames of what the reader missed and may see now.
func (h *Hub) missed(ctx context.Context, s *Session, from Positions) (frames []*Frame, more bool, err error) {
	id := s.reader.Card.ID
	missed, err := h.cfg.Feeds.Missed(ctx, id, from, maxMissed)
	if err != nil {
		return nil, false, fmt.Errorf("read what user %d missed: %w", id, err)
	}
	if missed.More || len(missed.Records) == 0 {
		return nil, missed.More, nil
	}
	events := make([]user.Event, len(missed.Records))
	cards := map[user.ID]*persistence.CachedCard{}
	for i := range missed.Records {
		r := &missed.Records[i]
		if events[i], err = usergrain.DecodeRecord(r); err != nil {
			h.cfg.Logger.Error("a missed record cannot be read", "user_id", uint64(r.User), "seq", r.Seq, "error", err)
			continue
		}
		if other := otherOf(events[i]); other != 0 {
			cards[other] = nil
		}
	}
	if len(cards) > 0 {
		if err := h.readCards(ctx, cards); err != nil {
			return nil, false, err
		}
	}
	authors := map[user.ID]*persistence.CachedCard{id: s.reader}
	for author, a := range missed.Authors {
		authors[author] = persistence.NewCard(a.Card)
	}
	for i := range missed.Records {
		r, e := &missed.Records[i], events[i]
		card := authors[r.User]
		if e == nil || card == nil || r.User != id && !missedShows(e, missed.Authors[r.User]) {
			continue
		}
		f, err := frameOf(RecordRef{UID: card.Card.UID, Seq: r.Seq, At: r.At}, card, e, cards)
		if err != nil {
			return nil, false, err
		}
		if f != nil {
			frames = append(frames, f)
		}
	}
	return frames, false, nil
}

func missedShows(e user.Event, a *persistence.Author) bool {
	viewer := user.ViewerStranger
	if a.FollowsReader {
		viewer = user.ViewerFollowed
	}
	return shows(e, func(section user.Section) bool { return user.Visible(section, viewer, a.Card.Privacy) })
}

// Watch tells the session of a user whom the reader need not follow. Again, it
// changes nothing.
func (s *Session) Watch(ctx context.Context, id user.ID) error {
	h := s.hub
	h.mu.Lock()
	e := s.authors[id]
	if e != nil && e.watches {
		h.mu.Unlock()
		return nil
	}
	if s.watches >= maxWatches {
		h.mu.Unlock()
		return ErrTooManyWatches
	}
	s.watches++
	h.interests.edge(s, id).watches = true
	h.mu.Unlock()
	if err := h.learn(ctx, s, []user.ID{id}); err != nil {
		s.Unwatch(id)
		return err
	}
	return nil
}

// Unwatch takes a watch back. Without one it changes nothing.
func (s *Session) Unwatch(id user.ID) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if e := s.authors[id]; e != nil && e.watches {
		e.watches = false
		s.watches--
		s.hub.interests.drop(s, id)
	}
}

// SendCursor sends a cursor of what was sent before it.
func (s *Session) SendCursor() {
	h := s.hub
	h.mu.Lock() // nothing is delivered between the positions and the frame
	defer h.mu.Unlock()
	s.Send(CursorFrame(h.sealed(h.positions)))
}

// Send sends a frame of the session's own, as a pong or an error.
func (s *Session) Send(f *Frame) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.pushLocked(f)
}

// Close closes the transport, if it is not closed yet. Detach still has to be
// called.
func (s *Session) Close(code CloseCode, reason string) { s.close(code, reason) }

// Detach ends the session: nothing is written for it any more.
func (s *Session) Detach() {
	s.hub.mu.Lock()
	s.hub.interests.remove(s)
	s.hub.mu.Unlock()
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.out.closed = true // the transport is its owner's again
	s.out.queue, s.out.counters = nil, nil
}
