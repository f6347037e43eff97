package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
)

// settled is after what time a follow that was delivered is surely in what
// People.Following returns. It takes milliseconds.
const settled = time.Minute

// Session is one socket of a user. Detach ends it, also after its transport was
// closed.
type Session struct {
	hub       *Hub
	shard     *shard
	transport Transport
	reader    *reader   // of the hub's lock
	watched   []*person // of the hub's lock
	out       outbox    // of the shard's lock
}

// Attach begins a session. It sends ready, then what was missed since the cursor,
// then what comes, behind the bytes of preface. cursor is "" for a client that has
// none. Whoever attached must Detach, unless there is an error: then nothing is left
// of the session, and nothing was sent.
//
// What happens while it reads is not lost: the session is in the index before the
// follows are read, and what was missed is read when all of it is known.
func (h *Hub) Attach(ctx context.Context, id user.ID, cursor string, transport Transport, preface []byte) (*Session, error) {
	s := &Session{hub: h, transport: transport}
	s.out.held, s.out.preface = true, preface
	known, err := h.enter(s, id)
	if err != nil {
		return nil, err
	}
	first, err := h.begin(ctx, s, id, known, cursor)
	if err != nil {
		s.Detach()
		return nil, err
	}
	s.release(first)
	return s, nil
}

// enter puts a session into the index, and reports whether it is known whom its
// reader follows.
func (h *Hub) enter(s *Session, id user.ID) (known bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return false, ErrStopped
	}
	if p := h.index.people[id]; p != nil && p.reader != nil && len(p.reader.sessions) >= maxSockets {
		return false, ErrTooManySockets
	}
	s.shard = h.shards[h.next%len(h.shards)]
	h.next++
	s.reader = h.index.enter(s, id)
	return s.reader.begun, nil
}

// begin reads what the session needs and returns its first frames. The reader's
// card is read when the session is in the index: a deletion from then on closes it.
func (h *Hub) begin(ctx context.Context, s *Session, id user.ID, known bool, cursor string) ([]*Frame, error) {
	cards, err := h.cfg.People.Cards(ctx, []CardAt{{ID: id}})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the card of user %d: %w", id, err)
	case cards[0] == nil || cards[0].Deleted:
		return nil, ErrGone
	}
	var following []user.ID
	if !known {
		if following, err = h.cfg.People.Following(ctx, id); err != nil {
			return nil, fmt.Errorf("read whom user %d follows: %w", id, err)
		}
	}
	return h.resume(ctx, s, cards[0], cursor, h.follows(s.reader, following))
}

// start is where a session begins.
type start struct {
	from   Positions // from here on it is told of everything
	moment Positions // of the last moment, not above from: for its cursor
}

// follows enters whom a reader follows, unless that is known, as far as records have
// not said otherwise since, and returns where its session begins. What was read may
// be a moment older than what has been delivered.
func (h *Hub) follows(r *reader, following []user.ID) *start {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.begun {
		return &start{h.positions, h.moment}
	}
	said := make(map[user.ID]bool)
	for one := range r.person.since(h.cfg.Now().Add(-settled)) {
		if other, follows := followOfRecord(&one.record); other != 0 {
			said[other] = follows
		}
	}
	maps.Copy(said, r.meanwhile)
	r.begun, r.meanwhile = true, nil
	r.follows = slices.Grow(r.follows, len(following))
	for _, author := range following {
		if follows, told := said[author]; !told || follows {
			h.index.follow(r, author)
		}
	}
	for author, follows := range said {
		if follows {
			h.index.follow(r, author)
		}
	}
	return &start{h.positions, h.moment}
}

func followOfRecord(r *persistence.Record) (other user.ID, follows bool) {
	switch r.Kind { //nolint:exhaustive // the others change no follows
	case persistence.KindFollowed, persistence.KindUnfollowed, persistence.KindSevered:
		if e, err := usergrain.DecodeRecord(r); err == nil {
			return followOf(e)
		}
	}
	return 0, false
}

// Watch tells the session of a user whom the reader need not follow. Again, it
// changes nothing.
func (s *Session) Watch(id user.ID) error {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.index.people[id]; p != nil {
		if _, watches := p.watchers[s]; watches {
			return nil
		}
	}
	if len(s.watched) >= maxWatches {
		return ErrTooManyWatches
	}
	h.index.watch(s, id)
	return nil
}

// Unwatch takes a watch back. Without one it changes nothing.
func (s *Session) Unwatch(id user.ID) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.index.people[id]; p != nil {
		if _, watches := p.watchers[s]; watches {
			h.index.unwatch(s, p)
		}
	}
}

// SendCursor sends a cursor of all that was sent before it. In the middle of a round
// it waits for its end: a cursor is of a moment.
func (s *Session) SendCursor() {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.round:
		s.Send(CursorFrame(h.sealed(&h.moment)))
	case !slices.Contains(h.asking, s):
		h.asking = append(h.asking, s)
	}
}

// Send sends a frame of the session's own, as a pong or an error.
func (s *Session) Send(f *Frame) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.pushLocked(f)
}

// SendControl sends the bytes of a frame that is none of ours, at once if there is
// room.
func (s *Session) SendControl(b []byte) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.pushLocked(&Frame{whole: slices.Clone(b)})
	if !s.out.held {
		s.drain()
	}
}

// Close closes the transport, if it is not closed yet. Detach still has to be
// called.
func (s *Session) Close(code CloseCode, reason string) { s.close(code, reason) }

// Detach ends the session: nothing is written for it any more.
func (s *Session) Detach() {
	s.hub.mu.Lock()
	if s.hub.index.leave(s) {
		s.hub.departed.add(s.reader, s.hub.cfg.Now())
	}
	s.hub.mu.Unlock()
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.out.closed = true // the transport is its owner's again
	s.out.queue, s.out.counters = nil, nil
}

// Refusals of Attach and Watch.
var (
	ErrTooManySockets = errors.New("live: too many sockets")
	ErrTooManyWatches = errors.New("live: too many watches")
	ErrStopped        = errors.New("live: stopped")
	ErrGone           = errors.New("live: the user is gone")
)
