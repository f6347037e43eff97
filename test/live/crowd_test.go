package live_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kith/test/kithtest"
)

const (
	// crowdTime bounds how long the gauge may be wrong: of who does not answer it is
	// known after two heartbeats of 25 s.
	crowdTime = time.Minute
	// mute are the sockets of a crowd that stay open and answer nothing.
	mute = 40
	// opening is how many sockets are opened, and users registered, at a time.
	opening = 16
)

// crowd is how many sockets come and go.
func crowd() int {
	if raced || testing.Short() {
		return 1000
	}
	return 5000
}

// once leaves a test of connections out on the second kind of stores, which they
// never touch.
func once(t *testing.T) {
	t.Helper()
	if kithtest.Production() {
		t.Skip("the same on all stores")
	}
}

// plainSocket is a connection behind its upgrade on which a test writes and reads bytes.
type plainSocket struct {
	*net.TCPConn
	in *bufio.Reader
}

// upgrade opens a socket without a library, and takes the first frame.
func (a *account) upgrade(ctx context.Context) (*plainSocket, error) {
	at, err := net.ResolveTCPAddr("tcp", strings.TrimPrefix(a.world.URL(), "http://"))
	if err != nil {
		return nil, err
	}
	c, err := (&net.Dialer{}).DialTCP(ctx, "tcp", netip.AddrPort{}, at.AddrPort())
	if err != nil {
		return nil, err
	}
	s := &plainSocket{c, bufio.NewReaderSize(c, 1<<10)}
	if err := s.greet(a.Token()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

func (s *plainSocket) greet(token string) error {
	if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s, "GET /ws HTTP/1.1\r\nHost: kith\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n", token); err != nil {
		return err
	}
	answer, err := http.ReadResponse(s.in, nil) //nolint:bodyclose // it is the socket
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		return fmt.Errorf("the answer is %s with %v", answer.Status, answer.Header)
	}
	head := make([]byte, 4) // of a text frame that is neither short nor long
	if _, err := io.ReadFull(s.in, head); err != nil {
		return err
	}
	if head[0] != 0x81 || head[1] != 126 {
		return fmt.Errorf("the first frame begins with %x", head)
	}
	if _, err := s.in.Discard(int(head[2])<<8 | int(head[3])); err != nil {
		return err
	}
	return s.SetDeadline(time.Time{})
}

// sockets returns how many sockets the server says are open.
func (w *world) sockets() int { return int(w.Metric("kith_live_sockets")) }

// Of thousands that vanish without a goodbye, and some that stay and answer
// nothing, none is counted for long; those who answer stay.
func TestACrowdThatVanishes(t *testing.T) {
	t.Parallel()
	once(t)
	w := start(t)
	users := crowd() / maxSockets
	loyal := w.register("loyal")
	stay := []*socket{loyal.live(), loyal.live()}
	var (
		mu   sync.Mutex
		open []*plainSocket
		all  sync.WaitGroup
		work = make(chan int)
	)
	for range opening {
		all.Go(func() {
			for i := range work {
				a, err := w.Client().Register(t.Context(), kithtest.Registration{Username: fmt.Sprintf("user_%d", i), Name: "Somebody", Password: password})
				if err != nil || a.Status != http.StatusCreated {
					t.Errorf("register: %v %s", err, a)
					continue
				}
				of := w.account(a)
				for range maxSockets {
					s, err := of.upgrade(t.Context())
					if err != nil {
						t.Errorf("open a socket: %v", err)
						continue
					}
					mu.Lock()
					open = append(open, s)
					mu.Unlock()
				}
			}
		})
	}
	for i := range users {
		work <- i
	}
	close(work)
	all.Wait()
	if got := w.sockets(); got != len(open)+len(stay) || t.Failed() {
		t.Fatalf("%d sockets are counted, %d are open", got, len(open)+len(stay))
	}
	from := time.Now()
	for _, s := range open[mute:] {
		if err := errors.Join(s.SetLinger(0), s.Close()); err != nil {
			t.Error(err)
		}
	}
	defer func() {
		for _, s := range open[:mute] {
			_ = s.Close() // the server has
		}
	}()
	ctx, cancel := context.WithDeadline(t.Context(), from.Add(crowdTime))
	defer cancel()
	if !kithtest.Poll(ctx, 100*time.Millisecond, func() bool { return w.sockets() <= mute+len(stay) }) {
		t.Fatalf("%d sockets are counted, %d are left", w.sockets(), mute+len(stay))
	}
	t.Logf("those that were reset were gone after %s", time.Since(from))
	if !kithtest.Poll(ctx, 100*time.Millisecond, func() bool { return w.sockets() <= len(stay) }) {
		t.Fatalf("%d sockets are counted, %d are left", w.sockets(), len(stay))
	}
	t.Logf("those that did not answer were gone after %s", time.Since(from))
	for _, s := range stay {
		s.quiet()
	}
	if got := w.sockets(); got != len(stay) {
		t.Errorf("%d sockets are counted, %d are left", got, len(stay))
	}
}

// Whoever reads nothing is closed; nobody else waits for it, and it loses nothing.
func TestWhoReadsNothingIsClosed(t *testing.T) {
	t.Parallel()
	once(t)
	const inBatch, most = 50, 60 // reviews of 9,000 characters: far more than any buffer holds
	w := start(t)
	ada, bob, eve := w.register("ada"), w.register("bob"), w.register("eve")
	bob.follow(ada)
	eve.follow(ada)
	w.steady()
	cursor := bob.live().cursor()
	beside, other := bob.live(), eve.live()
	slowly := w.dial(dialing{token: bob.Token(), silent: true})
	text := strings.Repeat("long ", 1800)
	written := 0
	for ; w.Metric(`kith_live_closes_total{code="4008"}`) == 0; written += inBatch {
		if written == most*inBatch {
			t.Fatal("who reads nothing is never closed")
		}
		var events []map[string]any
		for i := range inBatch {
			events = append(events, map[string]any{"event_id": fmt.Sprintf("review-%d", written+i), "type": "review", "movie_id": 1, "review": text})
		}
		ada.do(http.MethodPost, "/users/self/events", map[string]any{"events": events})
		for i := range inBatch {
			beside.activity(fmt.Sprintf("review-%d", written+i))
			other.activity(fmt.Sprintf("review-%d", written+i))
		}
	}
	if got := w.Metric(`kith_live_closes_total{code="4008"}`); got != 1 {
		t.Errorf("%v sockets are closed as too slow", got)
	}
	beside.quiet()
	other.quiet()
	// It finds what was sent, in whole frames, and that it was too slow, unless that
	// was cut off.
	slowly.read()
	var next int
	for f := range slowly.frames {
		if f.Type == "activity" {
			if f.event() != fmt.Sprintf("review-%d", next) {
				t.Fatalf("the %dth activity is %s", next, f.event())
			}
			next++
		}
	}
	if code := websocket.CloseStatus(slowly.err); code != codeTooSlow && code != -1 {
		t.Errorf("it was closed with %d: %v", code, slowly.err)
	}
	if next >= written {
		t.Errorf("it was sent all of %d", next)
	}
	t.Logf("it was sent %d of %d, then %v", next, written, slowly.err)
	again, ready := bob.resume(cursor)
	if ready.Data["resumed"] != true {
		t.Errorf("ready is %s", ready.raw)
	}
	for i := range written {
		again.activity(fmt.Sprintf("review-%d", i))
	}
}

// Who floods the server with pings waits for itself alone.
func TestAFloodOfPings(t *testing.T) {
	t.Parallel()
	once(t)
	const events = 100
	deadline := slowed(2 * time.Second)
	w := start(t)
	ada, bob, eve := w.register("ada"), w.register("bob"), w.register("eve")
	bob.follow(ada)
	eve.follow(ada)
	w.steady()
	s := bob.live()
	// With a mask of zeros, which leaves a payload as it is.
	const mask = "\x00\x00\x00\x00"
	floods := map[string]string{"pings": "\x89\x80" + mask, "frames": "\x81\x8f" + mask + `{"type":"ping"}`, "cursors": "\x81\x91" + mask + `{"type":"cursor"}`}
	var flooding sync.WaitGroup
	defer flooding.Wait()
	for what, one := range floods {
		c, err := eve.upgrade(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }() // the server may have closed it
		flooding.Go(func() { _, _ = io.Copy(io.Discard, c.in) })
		begun := make(chan struct{})
		flooding.Go(func() {
			many := []byte(strings.Repeat(one, 500))
			for n := 0; ; n++ {
				if n == 2 {
					close(begun)
				}
				if _, err := c.Write(many); err != nil {
					return // at the end
				}
			}
		})
		select {
		case <-begun:
		case <-time.After(patience):
			t.Fatalf("there is no flood of %s", what)
		}
	}
	worst := time.Duration(0)
	for i := range events {
		id := fmt.Sprintf("event-%d", i)
		ada.rate(id)
		from := time.Now()
		s.activity(id)
		worst = max(worst, time.Since(from))
	}
	t.Logf("the slowest frame took %s", worst)
	if worst > deadline {
		t.Errorf("a frame took %s", worst)
	}
}
