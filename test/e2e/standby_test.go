package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kith/test/kithtest"
	"kith/test/services"
)

const (
	// takeover bounds how long nobody owns the lanes: the 10 s of a lease, the 2 s
	// after which a standby asks again, and what a busy machine adds.
	takeover = 20 * time.Second
	// handover is how long it may take when the other says that it ends: less than
	// its lease, of ten seconds, which it gives back.
	handover = 8 * time.Second
	// standbyTime bounds a start up to the question who owns the lanes.
	standbyTime = time.Minute
	writers     = 4
	enough      = 200 // writes before a node goes
)

// node is one of several servers on the same stores, each with a data dir and ports
// of its own.
type node struct {
	*kithtest.Server

	addr string // known before it is ready
}

func launchNode(t *testing.T, place services.Place) *node {
	t.Helper()
	addr := kithtest.FreePort(t)
	return &node{kith.Launch(t, kithtest.Options{Place: &place, Env: []string{
		"KITH_HTTP_ADDR=" + addr, "KITH_JWT_SECRET=a secret that all nodes have to know",
	}}), addr}
}

// ask sends a request to a node that need not be ready.
func (n *node) ask(ctx context.Context, method, path string) (*kithtest.Answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+n.addr+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	a := &kithtest.Answer{Status: response.StatusCode, Header: response.Header}
	a.Body, err = io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	status := struct {
		Status string `json:"status"`
	}{}
	err = errors.Join(json.Unmarshal(a.Body, &a.Envelope), json.Unmarshal(a.Body, &status))
	a.Result = status.Status
	return a, err
}

// standsBy waits until a node says that it waits for the lanes, and wants that it
// says so to whatever it is asked, and is alive.
func (n *node) standsBy(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), standbyTime)
	defer cancel()
	reason := []string{"another node owns the lanes"}
	var last *kithtest.Answer
	if !kithtest.Poll(ctx, 10*time.Millisecond, func() bool {
		a, err := n.ask(ctx, http.MethodGet, "/readyz")
		if err != nil {
			return false // the port is taken a little later
		}
		last = a
		return slices.Equal(a.Reasons, reason)
	}) {
		t.Fatalf("the node does not stand by: %s", last)
	}
	if a := want(t, http.StatusOK)(n.ask(ctx, http.MethodGet, "/healthz")); strings.TrimSpace(string(a.Body)) != `{"status":"success"}` {
		t.Errorf("/healthz: %s", a)
	}
	for _, asked := range []string{
		"GET /readyz", "GET /users/self", "GET /users/list", "GET /openapi.json", "GET /ws", "GET /nowhere",
		"POST /auth/register", "POST /auth/login", "PUT /users/self/following/ada_zq", "DELETE /users/self",
	} {
		method, path, _ := strings.Cut(asked, " ")
		a := refused(t, http.StatusServiceUnavailable, "not_ready", "Not ready")(n.ask(ctx, method, path))
		if !slices.Equal(a.Reasons, reason) || a.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q, %s", asked, a.Header.Get("Retry-After"), a)
		}
	}
}

// writer records events, and remembers those that it was told are recorded.
type writer struct {
	username, token string
	recorded        []string
}

func newWriter(t *testing.T, n *node, username string) *writer {
	t.Helper()
	a := want(t, http.StatusCreated)(n.Client().Register(t.Context(), kithtest.Registration{Username: username, Name: "Name", Password: password}))
	return &writer{username: username, token: a.Token}
}

// write records events until the node does not answer any more.
func (w *writer) write(ctx context.Context, n *node, written *atomic.Int64) {
	c := n.Client().As(w.token)
	for i := 1; ; i++ {
		id := fmt.Sprintf("event_%d", i)
		a, err := c.Do(ctx, kithtest.Request{
			Method: http.MethodPost, Path: "/users/self/events", Body: map[string]any{"event_id": id, "type": "view", "movie_id": i},
		})
		switch {
		case err != nil:
			return
		case a.Status == http.StatusCreated:
			w.recorded = append(w.recorded, id)
			written.Add(1)
		}
	}
}

// finds wants that a node has all that the writer was told is recorded.
func (w *writer) finds(t *testing.T, n *node) {
	t.Helper()
	there := make(map[string]bool)
	for query := "?limit=100"; ; {
		a := want(t, http.StatusOK)(n.Client().As(w.token).Get(t.Context(), "/users/self/events"+query))
		var page struct {
			Events []struct {
				ID string `json:"event_id"`
			} `json:"events"`
		}
		if err := json.Unmarshal(a.Body, &page); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			if there[e.ID] {
				t.Errorf("%s has %s twice", w.username, e.ID)
			}
			there[e.ID] = true
		}
		if a.NextCursor == nil {
			break
		}
		query = "?limit=100&cursor=" + url.QueryEscape(*a.NextCursor)
	}
	for _, id := range w.recorded {
		if !there[id] {
			t.Errorf("%s was told that %s is recorded, which is lost", w.username, id)
		}
	}
}

// However the node that has the lanes goes, the one that stands by takes them, with
// everything that the other acknowledged: at once, or when the lease is over.
func TestAStandbyTakesOver(t *testing.T) {
	t.Parallel()
	onPostgres(t)
	for name, c := range map[string]struct {
		end    func(*node)
		within time.Duration
	}{
		"from a node that is killed":  {func(n *node) { n.Kill() }, takeover},
		"from a node that is stopped": {func(n *node) { n.Stop() }, handover},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := services.Place{Database: services.Database(t), Redis: services.Redis(t)}
			first := launchNode(t, place)
			first.AwaitReady()
			second := launchNode(t, place)
			second.standsBy(t)

			all := writeUntilItEnds(t, first, func() {
				second.standsBy(t)
				c.end(first)
			})
			gone := time.Now()
			second.AwaitReady()
			took := time.Since(gone)
			if t.Logf("nobody had the lanes for %s", took); took > c.within {
				t.Errorf("that is more than %s", c.within)
			}
			for _, w := range all {
				w.finds(t, second)
			}
			want(t, http.StatusCreated)(second.Client().As(all[0].token).Follow(t.Context(), all[1].username))
			want(t, http.StatusOK)(second.Client().Login(t.Context(), all[2].username, password))
			second.Settle()

			// Now the other one stands by, and can be stopped at that.
			first.Launch()
			first.standsBy(t)
			first.Stop()
			want(t, http.StatusOK)(second.Client().Get(t.Context(), "/readyz"))
			second.Stop()
		})
	}
}

// writeUntilItEnds has writers write to a node, ends it once they have written
// enough, and returns them.
func writeUntilItEnds(t *testing.T, n *node, end func()) []*writer {
	t.Helper()
	var (
		all     []*writer
		written atomic.Int64
		wg      sync.WaitGroup
	)
	for i := range writers {
		w := newWriter(t, n, fmt.Sprintf("writer_%d_zq", i))
		all = append(all, w)
		wg.Go(func() { w.write(t.Context(), n, &written) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), standbyTime)
	defer cancel()
	if !kithtest.Poll(ctx, time.Millisecond, func() bool { return written.Load() >= enough }) {
		t.Fatalf("only %d writes in %s", written.Load(), standbyTime)
	}
	end()
	wg.Wait()
	return all
}
