package outage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kith/test/kithtest"
)

const (
	people   = 6
	password = "correct horse battery"
	// enough requests show what a fault looks like to clients.
	enough = 60
	// patience bounds any wait here.
	patience = 90 * time.Second
)

// load is clients that write and read all the time.
type load struct {
	t      *testing.T
	server *kithtest.Server
	tokens []*kithtest.Client
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	phase   string
	seen    map[string]*sight // by phase
	events  []map[string]bool // by person: acknowledged ids
	follows []map[int]bool    // by person: what was acknowledged last; absent: nobody knows
}

// during is the phase in which the fault is.
const during = "during"

// sight is what clients saw in a phase.
type sight struct {
	writes, reads map[string]int // by answer
	slowest       time.Duration
}

func (s *sight) total() int {
	n := 0
	for _, of := range []map[string]int{s.writes, s.reads} {
		for _, count := range of {
			n += count
		}
	}
	return n
}

func (s *sight) good() int { return s.writes["2xx"] }

// begin registers people and starts their clients.
func begin(t *testing.T, server *kithtest.Server) *load {
	t.Helper()
	l := &load{t: t, server: server, phase: "before", seen: make(map[string]*sight)}
	l.changed = sync.NewCond(&l.mu)
	for i := range people {
		answer, err := server.Client().Register(t.Context(), kithtest.Registration{Username: name(i), Name: "Somebody", Password: password})
		if err != nil || answer.Status != http.StatusCreated {
			t.Fatalf("register: %v %s", err, answer)
		}
		l.tokens = append(l.tokens, server.Client().As(answer.Token))
		l.events, l.follows = append(l.events, make(map[string]bool)), append(l.follows, make(map[int]bool))
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l.stop = cancel
	for i := range people {
		l.done.Go(func() { l.write(ctx, i) })
		l.done.Go(func() { l.read(ctx, i) })
	}
	t.Cleanup(l.end)
	return l
}

func name(i int) string { return "person_" + strconv.Itoa(i) }

func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// write records events, and follows and unfollows the others in turn.
func (l *load) write(ctx context.Context, i int) {
	for n := 0; ctx.Err() == nil; n++ {
		if n%2 == 0 {
			id := fmt.Sprintf("e-%d-%d", i, n)
			if l.send(ctx, true, i, http.MethodPost, "/users/self/events", map[string]any{"event_id": id, "type": "view", "movie_id": 7}) {
				l.mu.Lock()
				l.events[i][id] = true
				l.mu.Unlock()
			}
			continue
		}
		other := (i + 1 + n/2%(people-1)) % people
		l.mu.Lock()
		follows, known := l.follows[i][other]
		delete(l.follows[i], other)
		l.mu.Unlock()
		method := http.MethodPut
		if known && follows {
			method = http.MethodDelete
		}
		if l.send(ctx, true, i, method, "/users/self/following/"+name(other), nil) {
			l.mu.Lock()
			l.follows[i][other] = method == http.MethodPut
			l.mu.Unlock()
		}
	}
}

func (l *load) read(ctx context.Context, i int) {
	for n := 0; ctx.Err() == nil; n++ {
		path := "/users/" + name((i+n)%people)
		if n%3 == 2 {
			path += "/followers"
		}
		l.send(ctx, false, i, http.MethodGet, path, nil)
	}
}

// send makes one request and notes what came of it.
func (l *load) send(ctx context.Context, writes bool, i int, method, path string, body any) (good bool) {
	l.mu.Lock()
	phase := l.phase
	l.mu.Unlock()
	start := time.Now()
	// It ends although the test does: what was sent may have been done.
	answer, err := l.tokens[i].Do(context.WithoutCancel(ctx), kithtest.Request{Method: method, Path: path, Body: body})
	took := time.Since(start)
	what := "no answer"
	switch {
	case err != nil:
	case answer.Status < http.StatusMultipleChoices:
		what, good = "2xx", true
	default:
		what = fmt.Sprintf("%d %s", answer.Status, answer.Code)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if phase != l.phase && (good || l.phase != during) {
		return good // it is of both; but what was under way when the fault came shows it
	}
	s := l.sight(l.phase)
	of := s.reads
	if writes {
		of = s.writes
	}
	of[what]++
	s.slowest = max(s.slowest, took)
	l.changed.Broadcast()
	return good
}

// sight returns what was seen in a phase. The lock is held.
func (l *load) sight(phase string) *sight {
	s := l.seen[phase]
	if s == nil {
		s = &sight{writes: make(map[string]int), reads: make(map[string]int)}
		l.seen[phase] = s
	}
	return s
}

// enter begins a phase.
func (l *load) enter(phase string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = phase
}

// await waits until what was seen in the phase is enough.
func (l *load) await(what string, enough func(*sight) bool) {
	l.t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		late = true
		l.changed.Broadcast()
	})
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !enough(l.sight(l.phase)) {
		if late {
			l.t.Fatalf("%s did not come: %+v", what, *l.sight(l.phase))
		}
		l.changed.Wait()
	}
}

// check wants that all that was acknowledged is there.
func (l *load) check() {
	t := l.t
	t.Helper()
	for i := range people {
		there := make(map[string]bool)
		for path := "/users/self/events?limit=100"; path != ""; {
			answer, err := l.tokens[i].Get(t.Context(), path)
			if err != nil || answer.Status != http.StatusOK {
				t.Fatalf("events: %v %s", err, answer)
			}
			var page struct {
				Events []struct {
					ID string `json:"event_id"`
				} `json:"events"`
				Next *string `json:"next_cursor"`
			}
			if err := json.Unmarshal(answer.Body, &page); err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				if there[e.ID] {
					t.Errorf("event %s of %s is there twice", e.ID, name(i))
				}
				there[e.ID] = true
			}
			if path = ""; page.Next != nil {
				path = "/users/self/events?limit=100&cursor=" + *page.Next
			}
		}
		for id := range l.events[i] {
			if !there[id] {
				t.Errorf("event %s of %s was acknowledged, and is not there", id, name(i))
			}
		}
		following, err := l.tokens[i].Following(t.Context(), name(i))
		if err != nil {
			t.Fatal(err)
		}
		for other, follows := range l.follows[i] {
			if slices.ContainsFunc(following, func(u kithtest.User) bool { return u.Username == name(other) }) != follows {
				t.Errorf("%s follows %s: acknowledged was %v", name(i), name(other), follows)
			}
		}
	}
}

// shown is what was seen, for the table.
func shown(of map[string]int) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), ", ")
}
