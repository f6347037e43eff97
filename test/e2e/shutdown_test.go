package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kith/test/kithtest"
)

// jsonObject reports whether a text is one JSON object.
func jsonObject(text string) bool {
	var object map[string]any
	return json.Unmarshal([]byte(text), &object) == nil
}

// halfway is a request whose head the server has read, and whose body it waits
// for.
type halfway struct {
	conn net.Conn
	in   *bufio.Reader
	body string
}

// begin sends the head of a registration and waits until the server asks for the
// body.
func begin(t *testing.T, s *kithtest.Server, username string) *halfway {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the server may have closed it first
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	h := &halfway{conn: conn, in: bufio.NewReader(conn), body: fmt.Sprintf(`{"username":%q,"name":"N","password":%q}`, username, password)}
	if _, err := fmt.Fprintf(conn, "POST /auth/register HTTP/1.1\r\nHost: kith\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(h.body)); err != nil {
		t.Fatal(err)
	}
	line, err := h.in.ReadString('\n')
	if err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("the server does not ask for the body: %v %q", err, line)
	}
	if line, err := h.in.ReadString('\n'); err != nil || strings.TrimSpace(line) != "" {
		t.Fatalf("behind 100: %v %q", err, line)
	}
	return h
}

// finish sends the body and returns the status of the answer.
func (h *halfway) finish(t *testing.T) int {
	t.Helper()
	if _, err := io.WriteString(h.conn, h.body); err != nil {
		t.Error(err)
		return 0
	}
	answer, err := http.ReadResponse(h.in, nil)
	if err != nil {
		t.Errorf("no answer: %v", err)
		return 0
	}
	b, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil || !jsonObject(string(b)) {
		t.Errorf("no whole answer: %v %q", err, b)
	}
	return answer.StatusCode
}

// closed waits until nobody listens any more.
func closed(t *testing.T, s *kithtest.Server) {
	t.Helper()
	if !eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
		if err == nil {
			_ = conn.Close() // it was only a question
		}
		return err != nil
	}) {
		t.Error("the server still listens 5 s after SIGTERM")
	}
}

// SIGTERM: nobody new is let in, who is in gets an answer, and what was answered
// is there afterwards.
func TestWhatIsInFlightIsAnsweredAfterSIGTERM(t *testing.T) {
	t.Parallel()
	s := kith.Start(t, kithtest.Options{})
	const inFlight = 8
	var requests []*halfway
	for i := range inFlight {
		requests = append(requests, begin(t, s, fmt.Sprintf("halfway_%d_zq", i)))
	}
	s.Terminate()
	closed(t, s)
	var all sync.WaitGroup
	for _, h := range requests {
		all.Go(func() {
			if status := h.finish(t); status != http.StatusCreated {
				t.Errorf("status of a request in flight is %d", status)
			}
		})
	}
	all.Wait()
	s.AwaitStopped()

	s.Launch()
	s.AwaitReady()
	for i := range inFlight {
		want(t, http.StatusOK)(s.Client().Login(t.Context(), fmt.Sprintf("halfway_%d_zq", i), password))
	}
	s.Settle()
}

// A client that never finishes its request does not keep the server from
// stopping in time.
func TestASilentClientDoesNotHoldUpSIGTERM(t *testing.T) {
	t.Parallel()
	s := kith.Start(t, kithtest.Options{})
	begin(t, s, "silent_zq")
	s.Stop()
	s.Launch()
	s.AwaitReady()
	s.Stop() // with nothing in flight
}
