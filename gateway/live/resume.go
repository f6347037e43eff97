package live

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
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

// resume returns ready and what was missed between the cursor and the start; perhaps
// also more.
func (h *Hub) resume(ctx context.Context, s *Session, reader *persistence.CachedCard, cursor string, at *start) ([]*Frame, error) {
	if cursor == "" {
		h.cfg.Metrics.resumed(resumedNone)
		return h.first(reader, false, &at.moment, nil, nil)
	}
	given, err := h.cfg.Cursors.Open(cursor)
	if err != nil {
		h.cfg.Metrics.resumed(resumedRefused)
		return h.first(reader, false, &at.moment, ErrorFrame(CodeBadCursor, "the cursor is not one of ours"), nil)
	}
	if h.cfg.Now().Sub(given.IssuedAt) <= maxCursorAge && !ahead(&given.Positions, &at.from) {
		frames, all, err := h.missed(ctx, s, reader, &given.Positions, &at.from)
		if err != nil {
			return nil, err
		}
		if all {
			return h.first(reader, true, &given.Positions, nil, frames)
		}
	}
	h.cfg.Metrics.resumed(resumedGap)
	gap, err := Gap(given.IssuedAt)
	if err != nil {
		return nil, err
	}
	return h.first(reader, false, &at.moment, gap, nil)
}

// ahead reports whether a cursor knows more than the lanes hold: they were put back
// to an older state, and what they hold now is not what its client has seen.
func ahead(at, from *Positions) bool {
	for lane := range at {
		if at[lane] > from[lane] {
			return true
		}
	}
	return false
}

func (h *Hub) first(reader *persistence.CachedCard, resumed bool, at *Positions, notice *Frame, frames []*Frame) ([]*Frame, error) {
	ready, err := Ready(reader.JSON, resumed, h.sealed(at), heartbeat)
	if err != nil {
		return nil, err
	}
	first := append(make([]*Frame, 0, len(frames)+2), ready)
	if notice != nil {
		first = append(first, notice)
	}
	return append(first, frames...), nil
}

// missed returns the frames of what the reader missed and may see now, and whether
// that is all of it. It comes from memory as far as that reaches, or else from the
// database.
func (h *Hub) missed(ctx context.Context, s *Session, reader *persistence.CachedCard, at, from *Positions) (frames []*Frame, all bool, err error) {
	m := newReplay(h, reader)
	defer m.free()
	if h.recall(m, s.reader, at, from) {
		h.cfg.Metrics.resumed(resumedMemory)
	} else {
		missed, err := h.cfg.Feeds.Missed(ctx, reader.Card.ID, *at, maxMissed)
		if err != nil {
			return nil, false, fmt.Errorf("read what user %d missed: %w", reader.Card.ID, err)
		}
		if missed.More {
			return nil, false, nil
		}
		h.cfg.Metrics.resumed(resumedDatabase)
		for i := range missed.Records {
			m.records = append(m.records, recent{record: missed.Records[i]})
		}
		for id, a := range missed.Authors {
			m.cards[id], m.open[id] = persistence.NewCard(a.Card), a.FollowsReader
		}
	}
	if len(m.records) > maxMissed {
		return nil, false, nil
	}
	frames, err = m.frames(ctx)
	return frames, err == nil, err
}

// recall adds to m what the hub holds between two positions that is the reader's own
// or by whom the reader follows, in the order of time. It reports whether that is all
// there was.
//
// An author whom the reader began to follow in between is told of from then on. For
// the others the follow is older than the cursor, and so than all that is above.
func (h *Hub) recall(m *replay, r *reader, at, from *Positions) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.recents.covers(at) {
		return false
	}
	var since map[user.ID]time.Time
	lane := persistence.LaneOf(r.person.id)
	for one := range r.person.above(at[lane]) {
		if one.record.Kind.ToldToOwner() && one.record.Pos <= from[lane] {
			m.records = append(m.records, *one)
		}
		if other, follows := followOfRecord(&one.record); follows {
			if since == nil {
				since = make(map[user.ID]time.Time)
			}
			since[other] = one.record.At
		}
	}
	for _, p := range r.follows {
		if p.recent.empty() {
			continue
		}
		lane, before := persistence.LaneOf(p.id), len(m.records)
		for one := range p.above(at[lane]) {
			if one.record.Pos > from[lane] {
				break
			}
			if one.record.Kind.ToldToFollowers() && (since == nil || !one.record.At.Before(since[p.id])) {
				m.records = append(m.records, *one)
			}
		}
		if p.card != nil && len(m.records) > before {
			m.cards[p.id] = p.card // as new as for a delivery
		}
	}
	slices.SortFunc(m.records, func(a, b recent) int {
		return cmp.Or(a.record.At.Compare(b.record.At), cmp.Compare(a.record.User, b.record.User), cmp.Compare(a.record.Seq, b.record.Seq))
	})
	return true
}

// replay makes frames of records that were missed.
type replay struct {
	hub     *Hub
	reader  *persistence.CachedCard
	records []recent
	cards   map[user.ID]*persistence.CachedCard
	open    map[user.ID]bool // whether an author follows the reader
}

// replays keeps the memory of replays for the next: whole crowds come back at once.
var replays = sync.Pool{New: func() any { //nolint:gochecknoglobals // a pool
	return &replay{cards: make(map[user.ID]*persistence.CachedCard), open: make(map[user.ID]bool)}
}}

func newReplay(h *Hub, reader *persistence.CachedCard) *replay {
	m, _ := replays.Get().(*replay)
	m.hub, m.reader = h, reader
	m.cards[reader.Card.ID] = reader
	return m
}

func (m *replay) free() {
	const kept = 1024 // records; larger ones are rare
	clear(m.records)
	clear(m.cards)
	clear(m.open)
	m.hub, m.reader, m.records = nil, nil, m.records[:0]
	if cap(m.records) <= kept {
		replays.Put(m)
	}
}

// frames returns the frames of the records that the reader may see now.
func (m *replay) frames(ctx context.Context) ([]*Frame, error) {
	events, err := m.decode(ctx)
	if err != nil {
		return nil, err
	}
	var (
		frames = make([]*Frame, 0, len(m.records))
		made   []*recent
	)
	for i := range m.records {
		one := &m.records[i]
		card := m.cards[one.record.User]
		if card == nil || !m.shows(one, card) {
			continue
		}
		if events[i] != nil {
			r := &one.record
			if one.frame, err = frameOf(RecordRef{UID: card.Card.UID, Seq: r.Seq, At: r.At}, card, events[i], m.cards); err != nil {
				return nil, err
			}
			if one.frame != nil && r.Kind.ToldToFollowers() {
				made = append(made, one)
			}
		}
		if one.frame != nil {
			frames = append(frames, one.frame)
		}
	}
	if len(made) > 0 {
		m.hub.mu.Lock()
		m.hub.recents.keep(made)
		m.hub.mu.Unlock()
	}
	return frames, nil
}

// decode decodes the records that have no frame yet, and reads what is needed to
// show all of them. The frame of a record that names another user is made anew: that
// user may have changed, or be gone.
func (m *replay) decode(ctx context.Context) ([]user.Event, error) {
	events := make([]user.Event, len(m.records))
	var wanted []CardAt
	want := func(id user.ID) {
		if _, known := m.cards[id]; !known && id != 0 {
			m.cards[id] = nil
			wanted = append(wanted, CardAt{ID: id})
		}
	}
	for i := range m.records {
		one := &m.records[i]
		want(one.record.User)
		if one.frame != nil && one.record.Kind.ToldToFollowers() {
			continue
		}
		e, err := usergrain.DecodeRecord(&one.record)
		if err != nil {
			m.hub.cfg.Logger.Error("a missed record cannot be read", "user_id", uint64(one.record.User), "seq", one.record.Seq, "error", err)
			one.frame = nil
			continue
		}
		events[i], one.section = e, sectionOf(e)
		want(otherOf(e))
	}
	if err := m.hub.readCards(ctx, wanted, m.cards); err != nil {
		return nil, err
	}
	return events, m.readOpen(ctx)
}

// readOpen reads whether the authors whose profiles are not public follow the
// reader.
func (m *replay) readOpen(ctx context.Context) error {
	reader := m.reader.Card.ID
	for i := range m.records {
		id := m.records[i].record.User
		card := m.cards[id]
		if _, known := m.open[id]; known || id == reader || card == nil || card.Card.Privacy.Profile {
			continue
		}
		follows, err := m.hub.cfg.People.Follows(ctx, id, []user.ID{reader})
		if err != nil {
			return fmt.Errorf("read whether user %d follows user %d: %w", id, reader, err)
		}
		m.open[id] = follows[0]
	}
	return nil
}

// shows reports whether the reader may see a record.
func (m *replay) shows(one *recent, card *persistence.CachedCard) bool {
	if card.Card.ID == m.reader.Card.ID {
		return true
	}
	viewer := user.ViewerStranger
	if m.open[one.record.User] {
		viewer = user.ViewerFollowed
	}
	return shows(one.section, func(section user.Section) bool { return user.Visible(section, viewer, card.Card.Privacy) })
}
