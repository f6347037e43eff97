// Package clients_test follows the live stream with clients.
//
//   - clients_test.go: WebSocket libraries that nobody here wrote, each driven by a
//     small script: the Python library websockets and the Node library ws.
//   - guide_test.go: the clients of the guide, as they stand there.
//   - tail_test.go: kith tail, and the demo whose stream it shows.
//   - process_test.go: one run of a client, line by line.
package clients_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kith/test/kithtest"
	"kith/test/services"
)

var kith kithtest.Binary

func TestMain(m *testing.M) { kithtest.Main(m, &kith) }

// library starts a client with arguments.
type library func(t *testing.T, args ...string) *client

// silent wants that a client has nothing to complain about.
func silent(c *client) *client {
	c.t.Cleanup(func() {
		if said := c.said.String(); said != "" {
			c.t.Errorf("the client says: %s", said)
		}
	})
	return c
}

func TestPythonWebsockets(t *testing.T) {
	t.Parallel()
	python := services.Python(t, "python/requirements.txt")
	follow(t, func(t *testing.T, args ...string) *client {
		t.Helper()
		return silent(run(t, python, append([]string{"python/client.py"}, args...)...))
	})
}

func TestNodeWS(t *testing.T) {
	t.Parallel()
	node, dir := services.Node(t, "node")
	follow(t, func(t *testing.T, args ...string) *client {
		t.Helper()
		return silent(run(t, node, append([]string{filepath.Join(dir, "client.js")}, args...)...))
	})
}

// person is somebody with a token.
type person struct {
	*kithtest.Client
	t *testing.T
}

func register(t *testing.T, s *kithtest.Server, username string) *person {
	t.Helper()
	a, err := s.Client().Register(t.Context(), kithtest.Registration{Username: username, Name: "Somebody", Password: "correct horse"})
	if err != nil || a.Status != http.StatusCreated {
		t.Fatalf("register: %v %s", err, a)
	}
	return &person{s.Client().As(a.Token), t}
}

func (p *person) request(method, path string, body any) {
	p.t.Helper()
	a, err := p.Do(p.t.Context(), kithtest.Request{Method: method, Path: path, Body: body})
	if err != nil || a.Status >= http.StatusMultipleChoices {
		p.t.Fatalf("%s %s: %v %s", method, path, err, a)
	}
}

// review records an event with a text that takes several bytes a character.
func (p *person) review(id string) {
	p.t.Helper()
	p.request(http.MethodPost, "/users/self/events", map[string]any{"event_id": id, "type": "review", "movie_id": 603, "rating": 9.5, "review": longReview})
}

// longReview is longer than the frames that libraries send and take at once.
var longReview = strings.Repeat("Très bien, 素晴らしい! ", 500)

// follow is what every client must be able to do.
func follow(t *testing.T, start library) {
	t.Helper()
	s := kith.Start(t, kithtest.Options{})
	url := strings.Replace(s.URL(), "http", "ws", 1) + "/ws"
	ada, bob, carol := register(t, s, "ada"), register(t, s, "bob"), register(t, s, "carol")
	bob.request(http.MethodPut, "/users/self/following/ada", nil)

	start(t, url, "no-token", "header").end("refused 401")
	start(t, url+"?token="+bob.Token(), bob.Token(), "header").end("refused 400")
	start(t, url, "no-token", "frame").end("closed 4001")

	cursor := ""
	for round, way := range []string{"header", "frame", "header", "frame"} {
		c := start(t, url, bob.Token(), way)
		if round > 0 {
			c.kill() // the one that begins where the last one was is next
			c = start(t, url, bob.Token(), way, cursor)
		}
		ready := c.next("ready")
		if ready.Data.User.Username != "bob" || ready.Data.Resumed != (round > 0) {
			t.Errorf("round %d begins with %+v", round, ready)
		}
		if round > 0 {
			for n := range 3 { // what was missed
				if f := c.next("activity"); f.Data.Event.EventID != fmt.Sprintf("missed-%d-%d", round, n) || f.ID == "" {
					t.Errorf("round %d goes on with %+v", round, f)
				}
			}
		}
		ada.review("live-" + strconv.Itoa(round))
		if f := c.next("activity"); f.Data.Event.EventID != "live-"+strconv.Itoa(round) || f.Data.Event.Review != longReview || f.Data.User.Username != "ada" {
			t.Errorf("round %d has %+v", round, f)
		}
		carol.request([]string{http.MethodPut, http.MethodDelete}[round%2], "/users/self/following/bob", nil)
		if f := c.next("follower.added", "follower.removed"); f.Data.User.Username != "carol" || f.Type != []string{"follower.added", "follower.removed"}[round%2] {
			t.Errorf("round %d has %+v", round, f)
		}
		if f := c.next("counters"); f.Data.Followers != 1-round%2 {
			t.Errorf("round %d has %+v", round, f)
		}
		c.send(`{"type":"ping"}`)
		c.next("pong")
		c.send(`{"type":"dance"}`)
		if f := c.next("error"); f.Data.Code == "" {
			t.Errorf("an unknown frame is answered with %+v", f)
		}
		// One that was asked for covers all that came before.
		c.send(`{"type":"cursor"}`)
		if cursor = c.next("cursor").Data.Cursor; cursor == "" {
			t.Error("there is no cursor")
		}
		c.kill()
		for n := range 3 {
			ada.review(fmt.Sprintf("missed-%d-%d", round+1, n))
		}
	}

	// The ends that the server and the client choose.
	c := start(t, url, bob.Token(), "header")
	c.next("ready")
	c.send("no JSON")
	c.end("closed 4004")
	c = start(t, url, bob.Token(), "frame")
	c.next("ready")
	if err := c.in.Close(); err != nil {
		t.Fatal(err)
	}
	c.end("closed 1000")
	c = start(t, url, bob.Token(), "header")
	c.next("ready")
	bob.request(http.MethodPost, "/auth/logout", map[string]any{})
	c.end("closed 4003")
	c = start(t, url, ada.Token(), "header")
	c.next("ready")
	s.Terminate()
	c.end("closed 1001")
	s.AwaitStopped()
}
