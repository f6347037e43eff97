package demo_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kith/actors/user"
	"kith/demo"
)

// theatre is a server that notes what people do live. Tokens are usernames, good
// for so many requests.
type theatre struct {
	t *testing.T

	mu      sync.Mutex
	uses    map[string]int
	good    int
	gone    string // who is deleted
	broken  bool
	did     map[string]int // by type of event, or "follow", "unfollow", "delete"
	by      map[string]int // by username
	events  map[string]bool
	follows map[string]bool
}

func (s *theatre) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, answer := s.answer(r)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a client that is gone needs none
}

func (s *theatre) answer(r *http.Request) (status int, answer map[string]any) {
	var body struct {
		Username string            `json:"username"`
		ID       string            `json:"event_id"`
		Type     string            `json:"type"`
		Movie    int64             `json:"movie_id"`
		Rating   json.Number       `json:"rating"`
		Review   string            `json:"review"`
		Details  map[string]string `json:"event_details"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body) // many have none
	switch {
	case s.broken:
		return http.StatusInternalServerError, map[string]any{"message": "Internal server error"}
	case r.URL.Path == "/auth/login" && body.Username == s.gone:
		return http.StatusUnauthorized, map[string]any{}
	case r.URL.Path == "/auth/login":
		s.uses[body.Username] = 0
		return http.StatusOK, map[string]any{"token": body.Username}
	}
	who := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if s.uses[who]++; s.uses[who] > s.good {
		return http.StatusUnauthorized, map[string]any{}
	}
	edge := who + ">" + strings.TrimPrefix(r.URL.Path, "/users/self/following/")
	switch {
	case strings.HasSuffix(edge, ">"+s.gone):
		return http.StatusNotFound, map[string]any{}
	case r.Method == http.MethodPost:
		if _, err := user.ParseActivity(user.ActivityInput{EventID: body.ID, Type: body.Type, MovieID: body.Movie, Rating: string(body.Rating), Review: body.Review}, time.Now()); err != nil || body.Details["title"] == "" || s.events[body.ID] {
			s.t.Errorf("event %+v: %v", body, err)
		}
		s.events[body.ID] = true
		s.did[body.Type]++
	case r.Method == http.MethodPut:
		s.follows[edge] = true
		s.did["follow"]++
	case strings.HasPrefix(r.URL.Path, "/users/self/events/"):
		id := strings.TrimPrefix(r.URL.Path, "/users/self/events/")
		if !s.events[id] {
			s.t.Errorf("%s is taken back, which nobody did", id)
		}
		s.did["delete"]++
	default:
		if !s.follows[edge] {
			s.t.Errorf("%s ends, which life did not make", edge)
		}
		delete(s.follows, edge)
		s.did["unfollow"]++
	}
	s.by[who]++
	return http.StatusOK, map[string]any{}
}

func open(t *testing.T) (*theatre, string) {
	t.Helper()
	s := &theatre{
		t: t, uses: map[string]int{}, good: 7, gone: "nobody",
		did: map[string]int{}, by: map[string]int{}, events: map[string]bool{}, follows: map[string]bool{},
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

// live lets a world go on until so much was done.
func live(t *testing.T, w *demo.World, l demo.Living, n int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	l.Pace, l.Rand = time.Microsecond, rand.New(rand.NewPCG(1, 2))
	l.Did = func() {
		if n--; n == 0 {
			stop()
		}
	}
	if err := w.Live(ctx, l); err != nil {
		t.Fatal(err)
	}
}

// People do everything that one can do, most of it seen by the viewer, who does
// nothing: that is for whoever looks.
func TestAWorldGoesOn(t *testing.T) {
	t.Parallel()
	w := world(t, 1, 60)
	s, base := open(t)
	s.gone = w.People[1].Username
	live(t, w, demo.Living{Base: base, Trouble: func(err error) { t.Error(err) }}, 1500)
	for _, kind := range []string{"view", "rating", "review", "watchlist_add", "follow", "unfollow", "delete"} {
		if s.did[kind] < 10 {
			t.Errorf("%s: %d of %v", kind, s.did[kind], s.did)
		}
	}
	if len(s.follows) > 40 {
		t.Errorf("%d follows more", len(s.follows))
	}
	seen := 0
	for _, i := range w.People[w.Viewer].Follows {
		seen += s.by[w.People[i].Username]
	}
	if seen < 1000 || s.by[w.People[w.Viewer].Username] > 0 || s.by[s.gone] > 0 {
		t.Errorf("the viewer sees %d of 1500, does %d; who is gone does %d", seen, s.by[w.People[w.Viewer].Username], s.by[s.gone])
	}
}

func TestLifeGoesOnAfterTrouble(t *testing.T) {
	t.Parallel()
	w := world(t, 1, 20)
	s, base := open(t)
	s.broken = true
	troubles := 0
	live(t, w, demo.Living{Base: base, Trouble: func(err error) {
		if !strings.Contains(err.Error(), "500 Internal server error") {
			t.Error(err)
		}
		troubles++
		s.mu.Lock()
		s.broken = troubles < 5
		s.mu.Unlock()
	}}, 20)
	if troubles < 5 {
		t.Errorf("%d troubles", troubles)
	}
}
