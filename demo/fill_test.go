package demo_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kith/demo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers as Kith does, as far as filling needs it.
type server struct {
	mu     sync.Mutex
	users  map[string]bool
	events map[string]bool
	busy   int // how many of the next requests are refused for a second
	broken string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, answer := http.StatusOK, map[string]any{"status": "success"}
	var body struct {
		Username string `json:"username"`
		Events   []struct {
			ID string `json:"event_id"`
		} `json:"events"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body) // many have none
	switch {
	case s.busy > 0:
		s.busy--
		w.Header().Set("Retry-After", "1")
		status = http.StatusServiceUnavailable
	case s.broken != "" && strings.HasPrefix(r.URL.Path, s.broken):
		status, answer["message"] = http.StatusInternalServerError, "Internal server error"
	case r.URL.Path == "/auth/register" && s.users[body.Username]:
		status, answer["code"] = http.StatusConflict, "username_taken"
	case r.URL.Path == "/auth/register":
		s.users[body.Username] = true
		status, answer["token"] = http.StatusCreated, body.Username
	case r.URL.Path == "/auth/login":
		answer["token"], answer["expires_in"] = body.Username, 60
	case r.URL.Path == "/users/self/events":
		token := r.Header.Get("Authorization")
		var results []map[string]string
		for _, e := range body.Events {
			result := "created"
			if s.events[token+e.ID] {
				result = "duplicate"
			}
			s.events[token+e.ID] = true
			results = append(results, map[string]string{"status": result})
		}
		answer["results"] = results
	case r.Method == http.MethodGet:
		answer["user"] = map[string]int{"followers": 1 << 20}
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a client that is gone needs none
}

func serve(t *testing.T) (*server, string) {
	t.Helper()
	s := &server{users: map[string]bool{}, events: map[string]bool{}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

// Filling twice changes nothing the second time, and progress is all steps each
// time.
func TestFillMayBeRepeated(t *testing.T) {
	t.Parallel()
	w := world(t, 1, 20)
	s, base := serve(t)
	for range 2 {
		var mu sync.Mutex
		steps := 0
		if err := w.Fill(t.Context(), demo.Filling{Base: base, Password: "a password", Now: time.Now(), Progress: func(n int) {
			mu.Lock()
			defer mu.Unlock()
			steps += n
		}}); err != nil {
			t.Fatal(err)
		}
		if steps != w.Steps() {
			t.Errorf("%d steps of %d", steps, w.Steps())
		}
		if len(s.users) != 20 || len(s.events) != w.Events() {
			t.Errorf("%d users, %d events of %d", len(s.users), len(s.events), w.Events())
		}
	}
	if token, ttl, err := w.Enter(t.Context(), base, "a password", w.Viewer); err != nil || token != w.People[w.Viewer].Username || ttl != time.Minute {
		t.Errorf("enter: %q %s %v", token, ttl, err)
	}
}

func TestFillWaitsWhenItIsAskedTo(t *testing.T) {
	t.Parallel()
	w := world(t, 1, 2)
	s, base := serve(t)
	s.busy = 2
	if err := w.Fill(t.Context(), demo.Filling{Base: base, Now: time.Now()}); err != nil || s.busy != 0 || len(s.users) != 2 {
		t.Errorf("%v; %d users", err, len(s.users))
	}
}

func TestFillStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	w := world(t, 1, 20)
	for _, broken := range []string{"/auth/register", "/users/self/privacy", "/users/self/following", "/users/self/events"} {
		s, base := serve(t)
		s.broken = broken
		err := w.Fill(t.Context(), demo.Filling{Base: base, Now: time.Now()})
		if err == nil || !strings.Contains(err.Error(), "500 Internal server error") {
			t.Errorf("%s: %v", broken, err)
		}
	}
	s, base := serve(t)
	s.busy = 1 << 30
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.Fill(ctx, demo.Filling{Base: base, Now: time.Now()}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a fill that is stopped: %v", err)
	}
}
