package live_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway/live"
	"kith/persistence"
)

// world is the database, in memory: what the hub reads of it is what is in its
// maps at the moment of the call.
type world struct {
	t    *testing.T
	hub  *live.Hub
	wake chan struct{}
	late atomic.Int64 // how far the hub's clock is ahead

	mu      sync.Mutex
	cards   map[user.ID]*user.Card
	follows map[user.ID]map[user.ID]time.Time
	lanes   [persistence.LaneCount][]persistence.Record
	deleted map[string]bool // events, by id
	quiet   bool            // the hub is not woken
	refuse  error           // what reading cards answers
	onMiss  func()          // called when what was missed is read
	onRead  func()          // called when cards are read
}

// inWorld runs a test with a hub that runs, in a bubble of its own time.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	inSmallWorld(t, 0, test)
}

// inSmallWorld is inWorld with a hub that keeps so many bytes of recent records; 0:
// the default.
func inSmallWorld(t *testing.T, recentBytes int, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, wake: make(chan struct{}, 1),
			cards: make(map[user.ID]*user.Card), follows: make(map[user.ID]map[user.ID]time.Time), deleted: make(map[string]bool),
		}
		hub, err := live.New(t.Context(), live.Config{
			People: w, Lanes: w, Feeds: w, Cursors: live.NewCursors(make([]byte, 32)), Logger: slog.New(slog.DiscardHandler), Shards: 2, RecentBytes: recentBytes,
			Now: func() time.Time { return time.Now().Add(time.Duration(w.late.Load())) },
		})
		if err != nil {
			t.Fatal(err)
		}
		w.hub = hub
		for _, id := range []user.ID{ada, bob, cyd} {
			w.cards[id] = &user.Card{
				ID: id, UID: user.UID{15: byte(id)}, Username: names[id], Role: user.RoleUser,
				Privacy: user.DefaultPrivacy(), CreatedAt: time.Now().UTC(), UpdatedAt: time.Now().UTC(),
			}
			w.follows[id] = make(map[user.ID]time.Time)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		test(w)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

const (
	ada user.ID = iota + 1
	bob
	cyd
)

var names = map[user.ID]string{ada: "ada", bob: "bob", cyd: "cyd"}

// commit appends a record and its effect on the rows.
func (w *world) commit(id user.ID, e user.Event) {
	w.t.Helper()
	kind, eventID, payload, err := usergrain.EncodeEvent(e)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	lane := persistence.LaneOf(id)
	card := w.cards[id]
	card.Version++
	w.lanes[lane] = append(w.lanes[lane], persistence.Record{
		Lane: lane, Pos: uint64(len(w.lanes[lane]) + 1), User: id, Seq: card.Version, Kind: kind, At: e.RecordedAt(), EventID: eventID, Payload: payload,
	})
	switch e := e.(type) { //nolint:gochecksumtype // the others change nothing that is read
	case user.Followed:
		w.follows[id][e.Target] = e.At
		card.Following++
	case user.Unfollowed:
		delete(w.follows[id], e.Target)
		card.Following--
	case user.FollowerAdded:
		card.Followers++
	case user.PrivacySet:
		card.Privacy = e.Privacy
	case user.ProfileUpdated:
		card.Name = e.Name
	case user.ActivityDeleted:
		w.deleted[e.EventID] = true
	case user.Deleted:
		delete(w.cards, id)
	default:
	}
	if w.quiet {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *world) follow(reader, author user.ID) {
	w.t.Helper()
	w.commit(reader, user.Followed{Target: author, At: time.Now().UTC()})
	w.commit(author, user.FollowerAdded{Source: reader, Lane: persistence.LaneOf(reader), Pos: 1, FollowedAt: time.Now().UTC(), At: time.Now().UTC()})
}

func (w *world) does(id user.ID, kind user.ActivityType, eventID string) {
	w.t.Helper()
	at := time.Now().UTC()
	w.commit(id, user.ActivityRecorded{Activity: user.Activity{EventID: eventID, Type: kind, MovieID: 1, OccurredAt: at}, At: at})
}

func (w *world) Cards(_ context.Context, wanted []live.CardAt) ([]*persistence.CachedCard, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onRead != nil {
		w.mu.Unlock()
		w.onRead()
		w.mu.Lock()
	}
	cards := make([]*persistence.CachedCard, len(wanted))
	for i, at := range wanted {
		if c := w.cards[at.ID]; c != nil {
			cards[i] = persistence.NewCard(*c)
		}
	}
	return cards, w.refuse
}

func (w *world) Following(_ context.Context, reader user.ID) ([]user.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.follows[reader])), nil
}

func (w *world) Follows(_ context.Context, author user.ID, readers []user.ID) ([]bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	follows := make([]bool, len(readers))
	for i, reader := range readers {
		_, follows[i] = w.follows[author][reader]
	}
	return follows, nil
}

func (w *world) Heads(context.Context) (heads [persistence.LaneCount]uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for lane := range w.lanes {
		heads[lane] = uint64(len(w.lanes[lane]))
	}
	return heads, nil
}

func (w *world) After(_ context.Context, lane uint8, pos uint64, limit int) ([]persistence.Record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	records := w.lanes[lane][min(pos, uint64(len(w.lanes[lane]))):]
	return slices.Clone(records[:min(limit, len(records))]), nil
}

func (w *world) Wake() <-chan struct{} { return w.wake }

func (w *world) Feed(context.Context, user.ID, persistence.FeedPlace, int, persistence.FeedMatch) (persistence.FeedPage, error) {
	return persistence.FeedPage{}, errors.ErrUnsupported
}

func (w *world) Missed(_ context.Context, reader user.ID, cursor [persistence.LaneCount]uint64, limit int) (persistence.Missed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onMiss != nil {
		w.mu.Unlock()
		w.onMiss()
		w.mu.Lock()
	}
	m := persistence.Missed{Authors: make(map[user.ID]*persistence.Author)}
	for lane, records := range w.lanes {
		for _, r := range records[min(cursor[lane], uint64(len(records))):] {
			if r.EventID != "" && w.deleted[r.EventID] {
				continue // erased
			}
			since, followed := w.follows[reader][r.User]
			switch {
			case r.User == reader && r.Kind.ToldToOwner():
			case followed && r.Kind.ToldToFollowers() && !r.At.Before(since):
				_, back := w.follows[r.User][reader]
				m.Authors[r.User] = &persistence.Author{Card: *w.cards[r.User], FollowsReader: back, FollowedAt: since}
			default:
				continue
			}
			m.Records = append(m.Records, r)
		}
	}
	slices.SortStableFunc(m.Records, func(a, b persistence.Record) int { return a.At.Compare(b.At) })
	if len(m.Records) > limit {
		return persistence.Missed{More: true}, nil
	}
	return m, nil
}

// socket is a transport that notes what it is given.
type socket struct {
	mu    sync.Mutex
	room  int // bytes that are taken; below 0: all
	taken []byte
	rest  []byte // given with code
	code  live.CloseCode
}

func (s *socket) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room >= 0 {
		b = b[:min(len(b), s.room)]
		s.room -= len(b)
	}
	s.taken = append(s.taken, b...)
	return len(b), nil
}

func (s *socket) Close(rest []byte, code live.CloseCode, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = rest
	s.code = code
}

func (s *socket) closed() live.CloseCode {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code
}

func (s *socket) makeRoom(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = n
}

type received struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data struct {
		Cursor    string `json:"cursor"`
		Code      string `json:"code"`
		Username  string `json:"username"`
		Resumed   bool   `json:"resumed"`
		Followers int    `json:"followers"`
		Following int    `json:"following"`
		User      struct {
			Username string `json:"username"`
			Name     string `json:"name"`
		} `json:"user"`
		Event struct {
			EventID string `json:"event_id"`
		} `json:"event"`
	} `json:"data"`
}

// frames returns what has arrived since the last call.
func (s *socket) frames(t *testing.T) (frames []received) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.taken) > 0 {
		start, n := 2, int(s.taken[1])
		if n == 126 {
			start, n = 4, int(s.taken[2])<<8|int(s.taken[3])
		}
		var f received
		if err := json.NewDecoder(bytes.NewReader(s.taken[start : start+n])).Decode(&f); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
		s.taken = s.taken[start+n:]
	}
	return frames
}

// told says in a line what frames are about.
func told(frames []received) string {
	var lines []string
	for _, f := range frames {
		line := f.Type
		for _, about := range []string{f.Data.User.Username, f.Data.Username, f.Data.Event.EventID, f.Data.Code} {
			if about != "" {
				line += " " + about
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

func (s *socket) expect(t *testing.T, want string) []received {
	t.Helper()
	frames := s.frames(t)
	if got := told(frames); got != want {
		t.Errorf("told: %s\nwant: %s", got, want)
	}
	return frames
}

func (w *world) attach(id user.ID, cursor string) (*live.Session, *socket) {
	w.t.Helper()
	synctest.Wait()
	s := &socket{room: -1}
	session, err := w.hub.Attach(w.t.Context(), id, cursor, s, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return session, s
}
