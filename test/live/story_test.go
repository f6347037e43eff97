package live_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"kith/test/kithtest"
)

// member is a user of the storm. What belongs to it is changed by one writer, and
// read by others when all of them have ended.
type member struct {
	*account
	storm *storm
	rng   *rand.Rand

	follows                map[*member]*history[bool]
	public, views, ratings history[bool]
	deeds                  []*deed

	idol sync.Mutex // of who has no writer, and acts when somebody begins to follow
}

func (s *storm) member(name string, seed uint64) *member {
	m := &member{
		account: s.w.register(name), storm: s, rng: rand.New(rand.NewPCG(seed, 0)),
		follows: make(map[*member]*history[bool]), public: history[bool]{first: true}, ratings: history[bool]{first: true},
	}
	return m
}

// edge returns whether m follows another.
func (m *member) edge(to *member) *history[bool] { return m.follows[to] }

// retry is how often a request without an answer is sent again.
const retry = 10 * time.Millisecond

// send sends a request until it is answered with one of some statuses. It is
// answered nothing, or 503, while the server is killed.
func (m *member) send(method, path string, body any, wanted ...int) *kithtest.Answer {
	var answer *kithtest.Answer
	if !kithtest.Poll(m.storm.ctx, retry, func() bool {
		ctx, cancel := context.WithTimeout(m.storm.ctx, patience)
		defer cancel()
		a, err := m.Do(ctx, kithtest.Request{Method: method, Path: path, Body: body})
		switch {
		case err != nil || a.Status == http.StatusServiceUnavailable:
			return false
		case !slices.Contains(wanted, a.Status):
			m.storm.fail("%s %s of %s: %s", method, path, m.username, a)
			return false
		}
		answer = a
		m.storm.acks.Add(1)
		return true
	}) {
		return nil
	}
	return answer
}

// write writes until the storm calms down, and then until it is over.
func (m *member) write(calm, over <-chan struct{}) {
	for ended(over) == nil && m.storm.ctx.Err() == nil {
		n := m.rng.IntN(100)
		switch {
		case n < 60:
			m.record(1)
		case n < 66:
			m.record(2 + m.rng.IntN(8))
		case n < 74:
			m.erase()
		case n < 77:
			m.admire()
		case ended(calm) != nil:
			m.record(1)
		case n < 92:
			m.toggle()
		default:
			m.hide()
		}
	}
}

// ended returns a channel that is closed, or nil while it is not.
func ended(c <-chan struct{}) <-chan struct{} {
	select {
	case <-c:
		return c
	default:
		return nil
	}
}

// record records events.
func (m *member) record(n int) {
	var events []map[string]any
	asked := time.Now()
	var deeds []*deed
	for range n {
		d := &deed{author: m, id: fmt.Sprintf("%s-%d", m.username, len(m.deeds)+len(deeds)), rating: m.rng.IntN(2) == 0, asked: asked}
		event := map[string]any{"event_id": d.id, "type": "view", "movie_id": 1 + m.rng.IntN(1000)}
		if d.rating {
			event["type"], event["rating"] = "rating", m.rng.IntN(11)
		}
		events, deeds = append(events, event), append(deeds, d)
	}
	var body any = events[0]
	if n > 1 {
		body = map[string]any{"events": events}
	}
	if m.send(http.MethodPost, "/users/self/events", body, http.StatusCreated, http.StatusOK) == nil {
		return
	}
	for _, d := range deeds {
		d.answered = time.Now()
	}
	m.deeds = append(m.deeds, deeds...)
}

// erase deletes one of the last events.
func (m *member) erase() {
	if len(m.deeds) == 0 {
		return
	}
	d := m.deeds[len(m.deeds)-1-m.rng.IntN(min(20, len(m.deeds)))]
	if d.deleted() {
		return
	}
	asked := time.Now()
	// An answer that was lost is followed by 404.
	m.send(http.MethodDelete, "/users/self/events/"+d.id, nil, http.StatusOK, http.StatusNotFound)
	d.deletion = change[bool]{true, asked, time.Now()}
}

// toggle follows another member, or no longer.
func (m *member) toggle() {
	other := m.storm.members[m.rng.IntN(len(m.storm.members))]
	if other == m {
		return
	}
	edge := m.edge(other)
	method := http.MethodPut
	if edge.now() {
		method = http.MethodDelete
	}
	edge.set(!edge.now(), func() {
		m.send(method, "/users/self/following/"+other.username, nil, http.StatusOK, http.StatusCreated)
	})
}

// admire follows an idol for ever, who does something as soon as the follow is
// answered.
func (m *member) admire() {
	i := m.storm.idols[m.rng.IntN(len(m.storm.idols))]
	if m.edge(i).now() {
		return
	}
	m.edge(i).set(true, func() {
		m.send(http.MethodPut, "/users/self/following/"+i.username, nil, http.StatusOK, http.StatusCreated)
	})
	i.idol.Lock()
	defer i.idol.Unlock()
	i.record(1)
}

// hide changes what of m others see.
func (m *member) hide() {
	flags := []struct {
		name  string
		value *history[bool]
	}{{"profile_public", &m.public}, {"watch_history_public", &m.views}, {"show_ratings_public", &m.ratings}}
	f := flags[m.rng.IntN(len(flags))]
	f.value.set(!f.value.now(), func() {
		m.send(http.MethodPatch, "/users/self/privacy", map[string]any{f.name: !f.value.now()}, http.StatusOK)
	})
}
