// Package live_test looks at GET /ws of the real binary from outside.
//
//   - contract_test.go: who may open a socket and for how long; what a client may
//     say; how a socket ends.
//   - frames_test.go: every frame of the server, field by field.
//   - visibility_test.go: what holds for sockets that are open already: unfollows,
//     privacy, deletions, logouts.
//   - resume_test.go: cursors, over breaks and restarts.
//   - storm_test.go: many write and many follow them, while connections are cut and
//     the server is killed; story_test.go: what one of those who write does;
//     oracle_test.go: what each client must have been told, known from the answers
//     alone.
//   - crowd_test.go: thousands of sockets that vanish, and clients that behave
//     badly beside good ones.
//   - socket_test.go: a client of one connection, frame by frame.
//
// A failure of the storm prints its seed; KITH_LIVE_SEED runs the same choices again
// (what the scheduler does is not repeated).
package live_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"kith/test/kithtest"
)

var kith kithtest.Binary

func TestMain(m *testing.M) { kithtest.Main(m, &kith) }

const password = "correct horse battery staple"

// slowed is how long something may take that takes d, or less, on a server without
// the race detector.
func slowed(d time.Duration) time.Duration {
	if raced {
		return 5 * d
	}
	return d
}

// patience bounds the wait for what must come, on a busy machine.
const patience = 30 * time.Second

// world is a server.
type world struct {
	*kithtest.Server
	t *testing.T
}

func start(t *testing.T, env ...string) *world {
	t.Helper()
	return &world{kith.Start(t, kithtest.Options{Env: env}), t}
}

// lasting starts a server that is found again where it was when it was restarted.
func lasting(t *testing.T) *world {
	t.Helper()
	return start(t, "KITH_HTTP_ADDR="+kithtest.FreePort(t))
}

// account is a user with a token.
type account struct {
	*kithtest.Client
	world    *world
	username string
	uid      string
	refresh  string
}

// register makes an account.
func (w *world) register(username string) *account {
	w.t.Helper()
	a := w.want(http.StatusCreated)(w.Client().Register(w.t.Context(), kithtest.Registration{Username: username, Name: "Somebody", Password: password}))
	return w.account(a)
}

// steady waits until everything that was answered has had its effects and was handed
// to the sockets that are open: what is opened afterwards is told of none of it.
//
// The hub hands out in rounds over all lanes. When the first of two records of one
// lane was seen, the round has begun that hands out all before it; when the second
// was, which was asked for only then, that round is over.
func (w *world) steady() {
	w.t.Helper()
	if !w.eventually(func() bool { return w.Metric(`kith_tail_lag_records{tail="effects"}`) == 0 }) {
		w.t.Fatal("effects stay on their way")
	}
	probe := w.register(fmt.Sprintf("probe_%d", probes.Add(1)))
	s := probe.live()
	for _, name := range []string{"One", "Two"} {
		w.want(http.StatusOK)(probe.Update(w.t.Context(), map[string]string{"name": name}))
		s.want("profile.updated")
	}
	s.cut()
}

// probes numbers the accounts of steady.
var probes atomic.Int64

// login makes another session of an account.
func (a *account) login() *account {
	a.world.t.Helper()
	w := a.world
	return w.account(w.want(http.StatusOK)(w.Client().Login(w.t.Context(), a.username, password)))
}

func (w *world) account(a *kithtest.Answer) *account {
	w.t.Helper()
	if a.User == nil || a.Token == "" {
		w.t.Fatalf("an answer without a user or a token: %s", a)
	}
	return &account{Client: w.Client().As(a.Token), world: w, username: a.User.Username, uid: a.User.UID, refresh: a.RefreshToken}
}

// want passes an answer with a status on and ends the test for any other.
func (w *world) want(status ...int) func(*kithtest.Answer, error) *kithtest.Answer {
	w.t.Helper()
	return func(a *kithtest.Answer, err error) *kithtest.Answer {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
		if slices.Contains(status, a.Status) {
			return a
		}
		w.t.Fatalf("status is %d, want %v: %s", a.Status, status, a)
		return nil
	}
}

// do sends a request that must be answered with a success.
func (a *account) do(method, path string, body any) *kithtest.Answer {
	a.world.t.Helper()
	return a.world.want(http.StatusOK, http.StatusCreated)(a.Do(a.world.t.Context(), kithtest.Request{Method: method, Path: path, Body: body}))
}

func (a *account) follow(b *account) {
	a.world.t.Helper()
	a.do(http.MethodPut, "/users/self/following/"+b.username, nil)
}

func (a *account) unfollow(b *account) {
	a.world.t.Helper()
	a.do(http.MethodDelete, "/users/self/following/"+b.username, nil)
}

// privacy changes the privacy of an account: fields of PATCH /users/self/privacy.
func (a *account) privacy(fields map[string]any) {
	a.world.t.Helper()
	a.do(http.MethodPatch, "/users/self/privacy", fields)
}

// rate records a rating, which everybody may see unless the author says otherwise.
func (a *account) rate(eventID string) {
	a.world.t.Helper()
	a.do(http.MethodPost, "/users/self/events", map[string]any{"event_id": eventID, "type": "rating", "movie_id": 603, "rating": 8.5})
}

// view records a view, which nobody else may see unless the author says so.
func (a *account) view(eventID string) {
	a.world.t.Helper()
	a.do(http.MethodPost, "/users/self/events", map[string]any{"event_id": eventID, "type": "view", "movie_id": 603})
}

// maxBatch is how many events go into one request.
const maxBatch = 500

// rateMany records ratings with the ids <prefix>-0 to <prefix>-<n-1>.
func (a *account) rateMany(prefix string, n int) {
	a.world.t.Helper()
	for from := 0; from < n; from += maxBatch {
		var events []map[string]any
		for i := from; i < min(n, from+maxBatch); i++ {
			events = append(events, map[string]any{"event_id": fmt.Sprintf("%s-%d", prefix, i), "type": "rating", "movie_id": i + 1, "rating": 5})
		}
		a.do(http.MethodPost, "/users/self/events", map[string]any{"events": events})
	}
}

// row is a row of the feed or of the notifications, or a frame's data.
type row map[string]any

// rows returns a page of a list of the account's own.
func (a *account) rows(path, field string) []row {
	a.world.t.Helper()
	answer := a.do(http.MethodGet, path+"?limit=100", nil)
	var page map[string]json.RawMessage
	var rows []row
	if err := json.Unmarshal(answer.Body, &page); err != nil {
		a.world.t.Fatal(err)
	}
	if err := json.Unmarshal(page[field], &rows); err != nil {
		a.world.t.Fatalf("%s of %s: %v", field, answer, err)
	}
	return rows
}

func (a *account) feed() []row { a.world.t.Helper(); return a.rows("/users/self/feed", "activities") }

func (a *account) notifications() []row {
	a.world.t.Helper()
	return a.rows("/users/self/notifications", "notifications")
}

// user returns the user object of an account as others see it.
func (a *account) user(username string) row {
	a.world.t.Helper()
	var body struct {
		User row `json:"user"`
	}
	if err := json.Unmarshal(a.do(http.MethodGet, "/users/"+username, nil).Body, &body); err != nil {
		a.world.t.Fatal(err)
	}
	return body.User
}

func requestRefresh(token string) kithtest.Request {
	return kithtest.Request{Method: http.MethodPost, Path: "/auth/refresh", Body: map[string]string{"refresh_token": token}}
}
