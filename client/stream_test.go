package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"kith/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a-token"

// script is what a server does with one connection after another; the last is for
// all that follow.
type script func(p *peer)

// peer is the server's side of a connection.
type peer struct {
	*websocket.Conn
	t      *testing.T
	cursor string // that the client came with
}

// send sends frames.
func (p *peer) send(frames ...string) {
	p.t.Helper()
	for _, f := range frames {
		if err := p.Write(p.t.Context(), websocket.MessageText, []byte(f)); err != nil {
			p.t.Errorf("send %s: %v", f, err)
		}
	}
}

// listen returns when the client is gone.
func (p *peer) listen() { _, _, _ = p.Read(p.t.Context()) }

// serve runs a server that upgrades whoever has the token.
func serve(t *testing.T, scripts ...script) string {
	t.Helper()
	next := make(chan int, 1)
	next <- 0
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" || r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"status":"error","message":"Unauthorized"}`)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.CloseNow() }() // a script may have closed it
		n := <-next
		next <- n + 1
		scripts[min(n, len(scripts)-1)](&peer{c, t, r.URL.Query().Get("cursor")})
	}))
	t.Cleanup(h.Close)
	return h.URL
}

func ready(resumed bool, cursor string) string {
	return fmt.Sprintf(`{"type":"ready","data":{"user":{"username":"ada"},"resumed":%t,"cursor":%q,"heartbeat_seconds":25}}`, resumed, cursor)
}

func added(n int) string {
	return fmt.Sprintf(`{"type":"follower.added","id":"u/%d","time":"2030-01-02T03:04:05Z","data":{"user":{"username":"bob"}}}`, n)
}

func cursor(at string) string { return fmt.Sprintf(`{"type":"cursor","data":{"cursor":%q}}`, at) }

func closing(code websocket.StatusCode) script {
	return func(p *peer) {
		p.send(ready(false, "c0"))
		_ = p.Close(code, "a reason") // the client may be gone
	}
}

// config is for a test: it waits hardly at all.
func config(base string) client.Config {
	return client.Config{BaseURL: base, Token: token, First: time.Millisecond, Most: 8 * time.Millisecond, Jitter: func() float64 { return 0 }}
}

func stream(t *testing.T, cfg client.Config) *client.Stream {
	t.Helper()
	s, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var errDone = errors.New("done")

// until collects the ids of frames until n came.
func until(n int) (handle func(client.Frame) error, ids *[]string) {
	ids = new([]string)
	return func(f client.Frame) error {
		if f.ID == "" {
			return nil
		}
		if *ids = append(*ids, f.ID); len(*ids) == n {
			return errDone
		}
		return nil
	}, ids
}

// After a break the stream goes on at its last cursor, and what came twice is seen
// once.
func TestAStreamGoesOnAtItsCursor(t *testing.T) {
	t.Parallel()
	cursors := make(chan string, 3)
	base := serve(t, func(p *peer) {
		cursors <- p.cursor
		p.send(ready(false, "c0"), added(1), cursor("c1"), added(2), added(3))
		_ = p.CloseNow() // a break
	}, func(p *peer) {
		cursors <- p.cursor
		// The cursor of a resumption is no proof that what was missed has come.
		p.send(ready(true, "c9"), added(2))
		_ = p.CloseNow()
	}, func(p *peer) {
		cursors <- p.cursor
		p.send(ready(true, "c9"), added(2), added(3), added(4), cursor("c4"), added(5))
		p.listen()
	})
	s := stream(t, config(base))
	handle, ids := until(5)
	if err := s.Run(t.Context(), handle); !errors.Is(err, errDone) {
		t.Fatal(err)
	}
	if got := strings.Join(*ids, " "); got != "u/1 u/2 u/3 u/4 u/5" {
		t.Errorf("frames are %s", got)
	}
	if got := []string{<-cursors, <-cursors, <-cursors}; !slices.Equal(got, []string{"", "c1", "c1"}) {
		t.Errorf("cursors are %q", got)
	}
	if s.Cursor() != "c4" {
		t.Errorf("the stream is at %q", s.Cursor())
	}
}

func TestAStreamBeginsAtTheGivenCursor(t *testing.T) {
	t.Parallel()
	base := serve(t, func(p *peer) {
		p.send(ready(p.cursor == "a/b+c=", "c0"), added(1))
		p.listen()
	})
	cfg := config(base)
	cfg.Cursor = "a/b+c="
	resumed := false
	cfg.Ready = func(r client.Ready) { resumed = r.Resumed }
	handle, _ := until(1)
	if err := stream(t, cfg).Run(t.Context(), handle); !errors.Is(err, errDone) || !resumed {
		t.Errorf("%v; resumed: %t", err, resumed)
	}
}

// What the server refuses for good ends the stream, the rest does not.
func TestRefusalsEndTheStream(t *testing.T) {
	t.Parallel()
	for code, want := range map[websocket.StatusCode]error{
		4001: client.ErrUnauthorized, 4002: client.ErrTokenExpired, 4003: client.ErrSessionEnded, 4004: client.ErrRejected,
	} {
		err := stream(t, config(serve(t, closing(code)))).Run(t.Context(), func(client.Frame) error { return nil })
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "a reason") {
			t.Errorf("%d: %v", code, err)
		}
	}
	cfg := config(serve(t, closing(1001)))
	cfg.Token = "another"
	if err := stream(t, cfg).Run(t.Context(), func(client.Frame) error { return nil }); !errors.Is(err, client.ErrUnauthorized) || err.Error() != "the token is not accepted (the server answered 401 Unauthorized)" {
		t.Errorf("a wrong token: %v", err)
	}
	for _, status := range []int{http.StatusOK, http.StatusForbidden, http.StatusNotFound, http.StatusBadRequest} {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", status) }))
		t.Cleanup(h.Close)
		if err := stream(t, config(h.URL)).Run(t.Context(), func(client.Frame) error { return nil }); !errors.Is(err, client.ErrRejected) || errors.Is(err, client.ErrNoStream) != (status == http.StatusOK || status == http.StatusNotFound) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestWhatPassesDoesNotEndTheStream(t *testing.T) {
	t.Parallel()
	follow := func(p *peer) {
		p.send(ready(false, "c0"), added(1))
		p.listen()
	}
	for code, want := range map[websocket.StatusCode]error{1001: client.ErrGoingAway, 4008: client.ErrTooSlow, 4009: client.ErrTooMany, 1011: nil} {
		cfg := config(serve(t, closing(code), follow))
		var lost []error
		cfg.Lost = func(reason error, _ time.Duration) { lost = append(lost, reason) }
		handle, _ := until(1)
		if err := stream(t, cfg).Run(t.Context(), handle); !errors.Is(err, errDone) || len(lost) != 1 || want != nil && !errors.Is(lost[0], want) {
			t.Errorf("%d: %v, lost: %v", code, err, lost)
		}
	}
}

// The wait doubles up to its bound, half of it by chance, and is at least what the
// server asks for.
func TestWaitsGrow(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		jitter float64
		after  int // Retry-After
		want   string
	}{
		"least":              {0, 0, "500µs 1ms 2ms 4ms 4ms 4ms"},
		"most":               {1, 0, "1ms 2ms 4ms 8ms 8ms 8ms"},
		"as the server asks": {0, 1, "80ms"}, // bounded by ten times the most
	} {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if test.after > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(test.after))
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		t.Cleanup(h.Close)
		cfg := config(h.URL)
		cfg.Jitter = func() float64 { return test.jitter }
		ctx, stop := context.WithCancel(t.Context())
		var waits []string
		want := strings.Fields(test.want)
		cfg.Lost = func(_ error, wait time.Duration) {
			if waits = append(waits, wait.String()); len(waits) == len(want) {
				stop()
			}
		}
		if err := stream(t, cfg).Run(ctx, func(client.Frame) error { return nil }); err != nil {
			t.Error(err)
		}
		if !slices.Equal(waits, want) {
			t.Errorf("%s: %v, want %v", name, waits, want)
		}
	}
}

func TestAServerThatIsNotThereIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := httptest.NewServer(http.NotFoundHandler())
	h.Close()
	ctx, stop := context.WithCancel(t.Context())
	cfg := config(h.URL)
	tries := 0
	cfg.Lost = func(error, time.Duration) {
		if tries++; tries == 3 {
			stop()
		}
	}
	if err := stream(t, cfg).Run(ctx, func(client.Frame) error { return nil }); err != nil || tries != 3 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

// The end of the context is no error, and the server is told.
func TestTheEndIsSaid(t *testing.T) {
	t.Parallel()
	said := make(chan websocket.StatusCode, 1)
	base := serve(t, func(p *peer) {
		p.send(ready(false, "c0"))
		_, _, err := p.Read(context.Background())
		said <- websocket.CloseStatus(err)
	})
	ctx, stop := context.WithCancel(t.Context())
	if err := stream(t, config(base)).Run(ctx, func(client.Frame) error { stop(); return nil }); err != nil {
		t.Error(err)
	}
	if code := <-said; code != websocket.StatusNormalClosure {
		t.Errorf("the server was told %d", code)
	}
}

// A server that does not hear the end does not delay it for long.
func TestTheEndDoesNotWaitForADeafServer(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	base := serve(t, func(p *peer) {
		p.send(ready(false, "c0"))
		<-gone
	})
	ctx, stop := context.WithCancel(t.Context())
	cfg := config(base)
	start := time.Now()
	time.AfterFunc(20*time.Millisecond, stop) // while it reads
	if err := stream(t, cfg).Run(ctx, func(client.Frame) error { return nil }); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 4*time.Second { // the library alone would wait five
		t.Errorf("the end took %s", took)
	}
	close(gone)
}

// A server that answers no ping is left.
func TestADeadConnectionIsLeft(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	base := serve(t, func(p *peer) {
		p.send(strings.ReplaceAll(ready(false, "c0"), "25", "1"))
		<-gone // reads nothing, so it answers nothing
	}, func(p *peer) {
		p.send(ready(false, "c0"), added(1))
		<-gone
	})
	cfg := config(base)
	cfg.Patience = 20 * time.Millisecond
	var lost error
	cfg.Lost = func(reason error, _ time.Duration) { lost = reason }
	handle, _ := until(1)
	if err := stream(t, cfg).Run(t.Context(), handle); !errors.Is(err, errDone) || !errors.Is(lost, client.ErrSilent) {
		t.Errorf("%v, lost: %v", err, lost)
	}
	close(gone)
}

func TestABadConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	for _, cfg := range []client.Config{
		{BaseURL: "localhost:8080", Token: token},
		{BaseURL: "ftp://localhost", Token: token},
		{BaseURL: "http://", Token: token},
		{BaseURL: "http://local host", Token: token},
		{BaseURL: "http://localhost"},
	} {
		if _, err := client.New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

func TestIDsAreRememberedUpToABound(t *testing.T) {
	t.Parallel()
	var r client.Recent
	for n := range client.MaxRecent {
		if !r.Add(strconv.Itoa(n)) {
			t.Fatalf("%d is known", n)
		}
	}
	if r.Add("0") || r.Add(strconv.Itoa(client.MaxRecent-1)) {
		t.Error("an id is forgotten too early")
	}
	if !r.Add("next") || !r.Add("0") || !r.Add("1") {
		t.Error("the oldest ids stay")
	}
	if r.Add("3") || r.Add("next") {
		t.Error("a younger id is forgotten")
	}
}
