package gateway_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway"
	"kith/gateway/auth"
	"kith/persistence"
)

// world is everything that the gateway asks, in memory: the real core behind
// fakes of the grains and the stores. What a command means for others happens in
// settle, as it does in the tails.
type world struct {
	mu        sync.Mutex
	states    map[user.ID]*user.State
	hashes    map[user.ID]string
	edges     map[persistence.EdgeKind]map[user.ID][]persistence.Edge
	sessions  []persistence.Session
	ended     []persistence.EndedSession
	identity  map[string]user.ID // users of an outside provider
	journals  journals
	photos    map[string]photo
	seen      map[user.ID]uint64
	claimed   map[string]user.ID // names that somebody is about to register
	maxScan   int                // events that a page looks at; 0: all
	stale     bool               // the shuffle has not heard of deletions
	afterPut  func()             // runs while a photo is being stored
	effects   []effect
	now       time.Time
	views     map[user.ID]bool // activated grains, which publish a view
	warmed    []user.ID
	commands  int
	position  uint64
	queries   atomic.Int64  // of the directory
	relations atomic.Int64  // queries of the edges
	hold      chan struct{} // while not nil, queries of the directory wait for it

	failGrains, failStores, failCards error
	failSessions                      error // of making one
	panics                            bool
	ready                             gateway.Readiness

	cards    cards
	registry *prometheus.Registry
	log      *log
	server   *gateway.Server
	handler  http.Handler
	tokens   *auth.Tokens
}

const (
	secret   = "0123456789abcdef0123456789abcdef"
	password = "correct horse"
)

// cheap hashing: the tests are not about its strength.
func cheap() auth.Cost { return auth.Cost{Memory: 64, Passes: 1, Threads: 1} }

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{
		states: map[user.ID]*user.State{}, hashes: map[user.ID]string{}, views: map[user.ID]bool{},
		identity: map[string]user.ID{}, journals: journals{}, photos: map[string]photo{}, seen: map[user.ID]uint64{}, claimed: map[string]user.ID{},
		edges: map[persistence.EdgeKind]map[user.ID][]persistence.Edge{
			persistence.EdgeFollowing: {}, persistence.EdgeFollowers: {}, persistence.EdgeCrew: {}, persistence.EdgeStudios: {},
		},
		now: time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC), ready: gateway.Readiness{Ready: true},
		registry: prometheus.NewRegistry(), log: &log{},
	}
	w.cards.byID, w.cards.byName = map[user.ID]*persistence.CachedCard{}, map[string]user.ID{}
	cfg := w.config()
	var err error
	if w.server, err = gateway.New(cfg); err != nil {
		tb.Fatal(err)
	}
	if err := w.server.Learn(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	w.handler = w.server.Handler()
	if w.tokens, err = auth.New(auth.Config{Secret: cfg.Secret, Now: w.clock}); err != nil {
		tb.Fatal(err)
	}
	return w
}

func (w *world) config() gateway.Config {
	return gateway.Config{
		Grains: grains{w}, Relations: relations{w}, Directory: directory{w: w}, Edges: edges{w}, Credentials: credentials{w}, Cards: cachedCards{w},
		Activities: activities{w}, Feeds: feeds{w: w}, Notifications: notifications{w}, Search: searched{w}, Shuffle: shuffle{w}, Blobs: blobs{w},
		Secret: []byte(secret), PasswordCost: cheap(),
		Ready:      func(context.Context) gateway.Readiness { return w.ready },
		Logger:     slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: w.registry, Now: w.clock,
	}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// join makes an account without HTTP and returns a token for it.
func (w *world) join(tb testing.TB, username string) string {
	tb.Helper()
	r, err := grains{w}.Register(tb.Context(), usergrain.Registration{Username: username, Name: "Name of " + username})
	if err != nil {
		tb.Fatal(err)
	}
	return w.token(tb, r.Account.UID)
}

func (w *world) token(tb testing.TB, uid user.UID) string {
	tb.Helper()
	token, err := w.tokens.Issue(uid, auth.SessionID{1}, time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// follow makes one user follow another, both sides settled, a second later.
func (w *world) follow(tb testing.TB, source, target string) {
	tb.Helper()
	w.pass(time.Second)
	if _, err := (grains{w}).Do(tb.Context(), w.id(tb, source), user.Follow{Target: w.id(tb, target), At: w.clock()}); err != nil {
		tb.Fatal(err)
	}
	w.settle()
}

func (w *world) do(tb testing.TB, username string, c user.Command) {
	tb.Helper()
	if _, err := (grains{w}).Do(tb.Context(), w.id(tb, username), c); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) id(tb testing.TB, username string) user.ID {
	tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, s := range w.states {
		if s.Username == username {
			return id
		}
	}
	tb.Fatalf("nobody is called %s", username)
	return 0
}

func (w *world) uid(tb testing.TB, username string) user.UID {
	tb.Helper()
	id := w.id(tb, username)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.states[id].UID
}

// settle does what the tails do.
func (w *world) settle() {
	w.mu.Lock()
	effects := w.effects
	w.effects = nil
	w.mu.Unlock()
	for _, e := range effects {
		_, _ = grains{w}.Do(context.Background(), e.target, e.command) // who is gone is not told
	}
}

type grains struct{ w *world }

func (g grains) Register(_ context.Context, r usergrain.Registration) (usergrain.Result, error) {
	w := g.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failGrains != nil {
		return usergrain.Result{}, w.failGrains
	}
	for _, s := range w.states {
		switch {
		case s.Username == r.Username:
			return usergrain.Result{}, &persistence.TakenError{Claim: persistence.Claim{Kind: persistence.ClaimUsername, Value: r.Username}}
		case r.Email != "" && user.EmailKey(s.Email) == user.EmailKey(r.Email):
			return usergrain.Result{}, &persistence.TakenError{Claim: persistence.Claim{Kind: persistence.ClaimEmail, Value: r.Email}}
		}
	}
	if r.Identity != "" && w.states[w.identity[r.Identity]] != nil && w.states[w.identity[r.Identity]].Registered() {
		return usergrain.Result{}, &persistence.TakenError{Claim: persistence.Claim{Kind: persistence.ClaimIdentity, Value: r.Identity}}
	}
	id := user.ID(len(w.states) + 1)
	if r.Identity != "" {
		w.identity[r.Identity] = id
	}
	var uid user.UID
	binary.BigEndian.PutUint64(uid[8:], uint64(id))
	s := &user.State{}
	w.states[id], w.hashes[id] = s, r.PasswordHash
	return w.apply(s, user.Register{ID: id, UID: uid, Username: r.Username, Name: r.Name, Email: r.Email, At: w.now})
}

func (g grains) Do(_ context.Context, id user.ID, c user.Command) (usergrain.Result, error) {
	w := g.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commands++
	if w.panics {
		panic("planted")
	}
	if w.failGrains != nil {
		return usergrain.Result{}, w.failGrains
	}
	if up, ok := c.(user.UpdateProfile); ok && up.Email != nil {
		for other, s := range w.states {
			if other != id && s.Email != "" && user.EmailKey(s.Email) == user.EmailKey(*up.Email) {
				return usergrain.Result{}, &persistence.TakenError{Claim: persistence.Claim{Kind: persistence.ClaimEmail, Value: *up.Email}}
			}
		}
	}
	s := w.states[id]
	if s == nil {
		s = &user.State{}
	}
	if del, ok := c.(user.DeleteActivity); ok {
		s.Learn(del.EventID, w.journals.status(id, del.EventID))
		defer s.Forget()
	}
	return w.apply(s, c)
}

// apply decides c, keeps what it means, and caches the card before it answers.
func (w *world) apply(s *user.State, c user.Command) (usergrain.Result, error) {
	events, err := user.Decide(s, c)
	if err != nil {
		return usergrain.Result{}, err
	}
	for _, e := range events {
		s.Apply(e)
		w.journals.add(s, e)
		switch e := e.(type) { //nolint:gochecksumtype // the rest changes no edges
		case user.Followed:
			w.edge(persistence.EdgeFollowing, s.ID, persistence.Edge{ID: uint64(e.Target), At: e.At, Seq: s.Version})
			w.effect(e.Target, user.AddFollower{Source: s.ID, Lane: persistence.LaneOf(s.ID), Pos: w.next(), At: e.At})
		case user.Unfollowed:
			w.edge(persistence.EdgeFollowing, s.ID, persistence.Edge{ID: uint64(e.Target), Removed: true})
			w.effect(e.Target, user.RemoveFollower{Source: s.ID, Lane: persistence.LaneOf(s.ID), Pos: w.next(), At: e.At})
		case user.FollowerAdded:
			w.edge(persistence.EdgeFollowers, s.ID, persistence.Edge{ID: uint64(e.Source), At: e.FollowedAt, Seq: s.Version})
		case user.FollowerRemoved:
			w.edge(persistence.EdgeFollowers, s.ID, persistence.Edge{ID: uint64(e.Source), Removed: true})
		case user.CrewFollowed:
			w.edge(persistence.EdgeCrew, s.ID, persistence.Edge{ID: uint64(e.Crew), At: e.At, Seq: s.Version})
		case user.CrewUnfollowed:
			w.edge(persistence.EdgeCrew, s.ID, persistence.Edge{ID: uint64(e.Crew), Removed: true})
		case user.StudioFollowed:
			w.edge(persistence.EdgeStudios, s.ID, persistence.Edge{ID: uint64(e.Studio), At: e.At, Seq: s.Version})
		case user.StudioUnfollowed:
			w.edge(persistence.EdgeStudios, s.ID, persistence.Edge{ID: uint64(e.Studio), Removed: true})
		}
	}
	account := s.Account()
	if s.Deleted {
		w.cards.put(persistence.NewTombstone(s.ID, s.Version))
	} else {
		w.cards.put(persistence.NewCard(account.Card))
	}
	return usergrain.Result{Changed: len(events) > 0, Account: account}, nil
}

// next is a position: rising in every lane.
func (w *world) next() uint64 {
	w.position++
	return w.position
}

func (w *world) effect(target user.ID, c user.Command) {
	w.effects = append(w.effects, effect{target, c})
}

// effect is what a command means for somebody else.
type effect struct {
	target  user.ID
	command user.Command
}

func (w *world) edge(kind persistence.EdgeKind, id user.ID, e persistence.Edge) {
	list := slices.DeleteFunc(w.edges[kind][id], func(old persistence.Edge) bool { return old.ID == e.ID })
	if !e.Removed {
		list = append(list, e)
	}
	w.edges[kind][id] = list
}

type relations struct{ w *world }

func (r relations) Follows(caller, target user.ID) (follows, known bool) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if !r.w.views[caller] {
		return false, false
	}
	return r.w.states[caller].Following.Contains(target), true
}

func (r relations) Warm(id user.ID) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.warmed = append(r.w.warmed, id)
}

type directory struct {
	persistence.Directory // what the gateway does not call

	w *world
}

func (d directory) query(f func(s *user.State) bool) (*user.Account, error) {
	d.w.queries.Add(1)
	d.w.mu.Lock()
	hold := d.w.hold
	d.w.mu.Unlock()
	if hold != nil {
		<-hold
	}
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	if d.w.failStores != nil {
		return nil, d.w.failStores
	}
	for _, s := range d.w.states {
		if s.Registered() && f(s) {
			a := s.Account()
			return &a, nil
		}
	}
	return nil, persistence.ErrNotFound
}

func (d directory) Accounts(_ context.Context, ids []user.ID) ([]*user.Account, error) {
	accounts := make([]*user.Account, len(ids))
	for i, id := range ids {
		a, err := d.query(func(s *user.State) bool { return s.ID == id })
		if err != nil && !errors.Is(err, persistence.ErrNotFound) {
			return nil, err
		}
		accounts[i] = a
	}
	return accounts, nil
}

func (d directory) ByUsername(_ context.Context, username string) (*user.Account, error) {
	return d.query(func(s *user.State) bool { return s.Username == username })
}

func (d directory) ByUID(_ context.Context, uid user.UID) (*user.Account, error) {
	return d.query(func(s *user.State) bool { return s.UID == uid })
}

type edges struct{ w *world }

func (e edges) List(_ context.Context, kind persistence.EdgeKind, id user.ID, after uint64, limit int) ([]persistence.Edge, error) {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	if e.w.failStores != nil {
		return nil, e.w.failStores
	}
	list := slices.Clone(e.w.edges[kind][id])
	slices.SortFunc(list, func(a, b persistence.Edge) int { return cmp.Compare(b.Seq, a.Seq) })
	list = slices.DeleteFunc(list, func(edge persistence.Edge) bool {
		s := e.w.states[user.ID(edge.ID)]
		isUser := kind == persistence.EdgeFollowing || kind == persistence.EdgeFollowers
		return isUser && (s == nil || !s.Registered()) ||
			after > 0 && edge.Seq >= after
	})
	return list[:min(limit, len(list))], nil
}

func (e edges) Relations(_ context.Context, id user.ID, others []user.ID) ([]persistence.Relation, error) {
	e.w.relations.Add(1)
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	if e.w.failStores != nil {
		return nil, e.w.failStores
	}
	has := func(kind persistence.EdgeKind, other user.ID) bool {
		return slices.ContainsFunc(e.w.edges[kind][id], func(edge persistence.Edge) bool { return edge.ID == uint64(other) })
	}
	all := make([]persistence.Relation, len(others))
	for i, other := range others {
		all[i] = persistence.Relation{Following: has(persistence.EdgeFollowing, other), FollowedBy: has(persistence.EdgeFollowers, other)}
	}
	return all, nil
}

type credentials struct{ w *world }

func (c credentials) PasswordHash(_ context.Context, id user.ID) (string, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.w.failStores != nil {
		return "", c.w.failStores
	}
	if hash := c.w.hashes[id]; hash != "" {
		return hash, nil
	}
	return "", persistence.ErrNotFound
}

func (c credentials) CreateSession(_ context.Context, s persistence.Session) error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.w.failSessions != nil {
		return c.w.failSessions
	}
	if state := c.w.states[s.User]; state == nil || !state.Registered() {
		return persistence.ErrNotFound
	}
	c.w.sessions = append(c.w.sessions, s)
	return nil
}

// cards is a cache of cards without bounds.
type cards struct {
	mu     sync.RWMutex
	byID   map[user.ID]*persistence.CachedCard
	byName map[string]user.ID
}

func (c *cards) put(card *persistence.CachedCard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.byID[card.Card.ID]; old != nil && (old.Deleted || old.Card.Version >= card.Card.Version) && !card.Deleted {
		return
	}
	c.byID[card.Card.ID] = card
	if !card.Deleted {
		c.byName[card.Card.Username] = card.Card.ID
	}
}

func (c *cards) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.byID)
	clear(c.byName)
}

type cachedCards struct{ w *world }

func (c cachedCards) Get(_ context.Context, ids []user.ID) ([]*persistence.CachedCard, error) {
	c.w.cards.mu.RLock()
	defer c.w.cards.mu.RUnlock()
	if c.w.failCards != nil {
		return nil, c.w.failCards
	}
	found := make([]*persistence.CachedCard, len(ids))
	for i, id := range ids {
		found[i] = c.w.cards.byID[id]
	}
	return found, nil
}

func (c cachedCards) IDByUsername(_ context.Context, username string) (user.ID, bool, error) {
	c.w.cards.mu.RLock()
	defer c.w.cards.mu.RUnlock()
	if c.w.failCards != nil {
		return 0, false, c.w.failCards
	}
	id, ok := c.w.cards.byName[username]
	return id, ok, nil
}

func (c cachedCards) Put(_ context.Context, cards []*persistence.CachedCard) error {
	if c.w.failCards != nil {
		return c.w.failCards
	}
	for _, card := range cards {
		c.w.cards.put(card)
	}
	return nil
}

// log keeps what was logged.
type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// call is a request. Header values follow their names.
type call struct {
	method, path, token, body string
	header                    []string
}

type reply struct {
	*httptest.ResponseRecorder

	body map[string]any
}

func (w *world) call(tb testing.TB, c call) reply {
	tb.Helper()
	return w.send(tb, c.request(tb))
}

func (c call) request(tb testing.TB) *http.Request {
	tb.Helper()
	var body io.Reader
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	r := httptest.NewRequestWithContext(tb.Context(), c.method, c.path, body)
	if c.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(c.header); i += 2 {
		r.Header.Set(c.header[i], c.header[i+1])
	}
	return r
}

// raw is call for answers that are no JSON.
func (w *world) raw(tb testing.TB, c call) *httptest.ResponseRecorder {
	tb.Helper()
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, c.request(tb))
	return got
}

func (w *world) send(tb testing.TB, r *http.Request) reply {
	tb.Helper()
	got := reply{ResponseRecorder: httptest.NewRecorder()}
	w.handler.ServeHTTP(got, r)
	if got.Body.Len() > 0 {
		if err := json.Unmarshal(got.Body.Bytes(), &got.body); err != nil {
			tb.Fatalf("%s %s: the answer is not a JSON object: %v: %s", r.Method, r.URL, err, got.Body)
		}
	}
	return got
}

func (w *world) get(tb testing.TB, token, path string) reply {
	tb.Helper()
	return w.call(tb, call{method: http.MethodGet, path: path, token: token})
}

// user is a field of the user object.
func (r reply) user(field string) any {
	u, _ := r.body["user"].(map[string]any)
	return u[field]
}

// is checks the status and that the envelope agrees with it.
func (r reply) is(tb testing.TB, status int) reply {
	tb.Helper()
	want := "success"
	if status >= 400 {
		want = "error"
	}
	if r.Code != status || (status != http.StatusNotModified && r.body["status"] != want) {
		tb.Fatalf("answered %d %s, want %d", r.Code, r.Body, status)
	}
	return r
}

// refused checks an error: its envelope whole.
func (r reply) refused(tb testing.TB, status int, code, message string) reply {
	tb.Helper()
	r.is(tb, status)
	if r.body["code"] != code || r.body["message"] != message {
		tb.Fatalf("refused with %s, want code %q and message %q", r.Body, code, message)
	}
	if r.body["request_id"] == "" || r.body["request_id"] != r.Header().Get("X-Request-Id") {
		tb.Fatalf("request id %v, header %q", r.body["request_id"], r.Header().Get("X-Request-Id"))
	}
	if got := r.Header().Get("Content-Type"); got != "application/json" {
		tb.Fatalf("content type %q", got)
	}
	return r
}
