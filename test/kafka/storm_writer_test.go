package kafka_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"

	"kith/test/kithtest"
)

const (
	// batch is how many events are recorded with one request.
	batch = 100
	// tastes is how many crew members and how many studios there are.
	tastes = 20
)

// writer is one of many who write at the same time, one request after the other,
// for several people. A request without an answer is sent again as it was, until
// there is one.
type writer struct {
	storm *storm
	rng   *rand.Rand
	names []string // of those who are there from the beginning
	own   []*member
	made  int // accounts, for names
}

// member is an account of a writer, and what the writer knows of it.
type member struct {
	*kithtest.Client

	username string
	recorded int             // events, which are numbered
	erased   map[int]bool    // those of them that were deleted
	follows  map[string]bool // by the path of the request
	names    int             // it had so many
	hides    bool            // its ratings
	german   bool            // else English
}

// writers returns writers who choose by rng. Those who are there from the beginning
// to the end are divided among them.
func (s *storm) writers(rng *rand.Rand) []*writer {
	all := make([]*writer, writers)
	for i := range all {
		all[i] = &writer{storm: s, rng: rand.New(rand.NewPCG(rng.Uint64(), 0))}
	}
	for i := range s.size.people {
		w := all[i%writers]
		w.names = append(w.names, name(i))
	}
	return all
}

// begin registers those who are there from the beginning.
func (w *writer) begin() {
	for _, username := range w.names {
		m := w.register(username)
		if m == nil {
			w.storm.fail("%s is taken", username)
			return
		}
		w.own = append(w.own, m)
	}
}

// run writes until as much is written as is to be.
func (w *writer) run() {
	for {
		records, write := w.choose(w.own[w.rng.IntN(len(w.own))])
		if !w.storm.take(records) {
			return
		}
		write()
		w.storm.acknowledge(records)
	}
}

// choose chooses what somebody does next, and says how many records of published
// kinds come of it.
func (w *writer) choose(m *member) (records int, write func()) {
	switch n := w.rng.IntN(100); {
	case n < 25:
		other := w.other(m)
		return 1, func() { w.turn(m, "/users/self/following/"+other) }
	case n < 35:
		kind := [...]string{"crew-members", "studios"}[w.rng.IntN(2)]
		path := fmt.Sprintf("/users/self/followed/%s/%d", kind, 1+w.rng.IntN(tastes))
		return 1, func() { w.turn(m, path) }
	case n < 45:
		return 1, func() { w.rename(m) }
	case n < 49:
		return 1, func() { w.hide(m) }
	case n < 53:
		return 1, func() { w.translate(m) }
	case n < 58 && m.recorded > 0:
		if event := w.rng.IntN(m.recorded); !m.erased[event] {
			return 1, func() { w.erase(m, event) }
		}
	case n < 60:
		events := 1 + w.rng.IntN(batch)
		return events + rites, func() { w.live(m, events) }
	}
	return batch, func() { w.record(m, batch) }
}

// other chooses somebody else who stays.
func (w *writer) other(m *member) string {
	for {
		if other := name(w.rng.IntN(w.storm.size.people)); other != m.username {
			return other
		}
	}
}

// register makes an account, nil when the name is taken: perhaps by a request before
// that had no answer.
func (w *writer) register(username string) *member {
	c := w.storm.server.Client()
	a, _ := w.send(c, http.MethodPost, "/auth/register", kithtest.Registration{Username: username, Name: "Name", Password: password}, http.StatusCreated, http.StatusConflict)
	if a.Status != http.StatusCreated {
		return nil
	}
	return &member{Client: c.As(a.Token), username: username, erased: make(map[int]bool), follows: make(map[string]bool)}
}

// record records events.
func (w *writer) record(m *member, n int) {
	events := make([]map[string]any, n)
	for i := range events {
		events[i] = map[string]any{"event_id": eventName(m.recorded + i), "type": "view", "movie_id": 1 + w.rng.IntN(1_000_000)}
	}
	m.recorded += n
	a, again := w.send(m.Client, http.MethodPost, "/users/self/events", map[string]any{"events": events}, http.StatusOK, http.StatusOK)
	var body struct {
		Results []struct{ Status string }
	}
	if err := json.Unmarshal(a.Body, &body); err != nil || len(body.Results) != n {
		w.storm.fail("record %d events: %v %s", n, err, a)
	}
	for _, r := range body.Results {
		if r.Status != "created" && (r.Status != "duplicate" || !again) {
			w.storm.fail("record events, sent before: %t: %s", again, a)
			return
		}
	}
}

func eventName(n int) string { return fmt.Sprint("e-", n) }

// erase deletes an event.
func (w *writer) erase(m *member, event int) {
	m.erased[event] = true
	w.send(m.Client, http.MethodDelete, "/users/self/events/"+eventName(event), nil, http.StatusOK, http.StatusNotFound)
}

// turn begins to follow what a path says, or no longer does.
func (w *writer) turn(m *member, path string) {
	if m.follows[path] {
		delete(m.follows, path)
		w.send(m.Client, http.MethodDelete, path, nil, http.StatusOK, http.StatusOK)
		return
	}
	m.follows[path] = true
	w.send(m.Client, http.MethodPut, path, nil, http.StatusCreated, http.StatusOK)
}

// rename changes the name, to one that it never had.
func (w *writer) rename(m *member) {
	m.names++
	w.send(m.Client, http.MethodPut, "/users/self", map[string]string{"name": fmt.Sprint("Name ", m.names)}, http.StatusOK, http.StatusOK)
}

// hide hides the ratings, or shows them again.
func (w *writer) hide(m *member) {
	m.hides = !m.hides
	w.send(m.Client, http.MethodPatch, "/users/self/privacy", map[string]bool{"show_ratings_public": !m.hides}, http.StatusOK, http.StatusOK)
}

// translate changes the language.
func (w *writer) translate(m *member) {
	m.german = !m.german
	language := "en"
	if m.german {
		language = "de"
	}
	w.send(m.Client, http.MethodPatch, "/users/self/preferences", map[string]string{"language": language}, http.StatusOK, http.StatusOK)
}

// rites is how many records of published kinds live makes beside the events.
const rites = 13

// live is the whole life of an account that m follows. Each of the published kinds
// occurs in it.
func (w *writer) live(m *member, events int) {
	var short *member
	for short == nil {
		w.made++
		short = w.register(fmt.Sprintf("%s_%d", m.username, w.made))
	}
	w.send(m.Client, http.MethodPut, "/users/self/following/"+short.username, nil, http.StatusCreated, http.StatusOK)
	for range 2 {
		for _, path := range []string{"/following/" + m.username, "/followed/crew-members/1", "/followed/studios/1"} {
			w.turn(short, "/users/self"+path)
		}
	}
	w.record(short, events)
	w.erase(short, 0)
	w.rename(short)
	w.hide(short)
	w.translate(short)
	w.send(short.Client, http.MethodDelete, "/users/"+short.username, nil, http.StatusOK, http.StatusNotFound)
}

// send sends a request until it is answered with the status that it has the first
// time, or, when it was sent before, with the one that it has then. It reports
// whether it was. Other answers than that the server cannot tell or is busy, and
// missing ones that no kill excuses, end the storm.
func (w *writer) send(c *kithtest.Client, method, path string, body any, first, repeated int) (a *kithtest.Answer, again bool) {
	s := w.storm
	for ; ; again = true {
		life := s.awaitUp()
		a, err := c.Do(s.ctx, kithtest.Request{Method: method, Path: path, Body: body})
		switch {
		case s.ctx.Err() != nil:
			runtime.Goexit()
		case err != nil:
			if s.killedSince(life) {
				continue
			}
			s.fail("%s %s: no answer, though nobody killed the server: %v", method, path, err)
			runtime.Goexit()
		case a.Status == first, a.Status == repeated && again:
			return a, again
		case a.Status == http.StatusServiceUnavailable:
			s.pause(often)
		default:
			s.fail("%s %s, sent before: %t: %s", method, path, again, a)
			runtime.Goexit()
		}
	}
}
