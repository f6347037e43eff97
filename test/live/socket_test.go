package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// The close codes.
const (
	codeGoingAway     websocket.StatusCode = 1001
	codeNotAuthorised websocket.StatusCode = 4001
	codeTokenExpired  websocket.StatusCode = 4002
	codeSessionEnded  websocket.StatusCode = 4003
	codeMalformed     websocket.StatusCode = 4004
	codeTooSlow       websocket.StatusCode = 4008
	codeTooMany       websocket.StatusCode = 4009
)

// frame is a frame of the server.
type frame struct {
	Type string    `json:"type"`
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	Data row       `json:"data"`
	raw  string
}

// event returns the id of the event that an activity or its deletion names.
func (f *frame) event() string {
	id, _ := f.Data["event_id"].(string)
	if e, ok := f.Data["event"].(map[string]any); ok {
		id, _ = e["event_id"].(string)
	}
	return id
}

// username returns the name of the user whom a frame shows.
func (f *frame) username() string {
	name, _ := f.Data["username"].(string)
	if u, ok := f.Data["user"].(map[string]any); ok {
		name, _ = u["username"].(string)
	}
	return name
}

// has wants exactly these fields in the frame and in its data, each list sorted.
func (f *frame) has(t *testing.T, fields, data string) {
	t.Helper()
	var whole map[string]json.RawMessage
	if err := json.Unmarshal([]byte(f.raw), &whole); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(slices.Sorted(maps.Keys(whole)), " "); got != fields {
		t.Errorf("the fields are %q, want %q: %s", got, fields, f.raw)
	}
	if got := strings.Join(slices.Sorted(maps.Keys(f.Data)), " "); got != data {
		t.Errorf("the fields of the data are %q, want %q: %s", got, data, f.raw)
	}
}

// maxFrames bounds the frames that wait to be looked at. Full: nothing is read.
const maxFrames = 1 << 15

// socket is one connection. Its frames are read all the time.
type socket struct {
	t      *testing.T
	ws     *websocket.Conn
	tcp    *net.TCPConn
	frames chan frame
	err    error     // why it ended, once frames is closed
	ended  time.Time // when
}

// dialing says how a socket is opened.
type dialing struct {
	token  string // in the header
	query  url.Values
	header http.Header
	silent bool // nothing is ever read, and so nothing answered
}

// dial opens a socket that the server must not refuse.
func (w *world) dial(d dialing) *socket {
	w.t.Helper()
	s, response, err := w.open(d) //nolint:bodyclose // Dial does not leave it to us
	if err != nil {
		w.t.Fatalf("dial: %v, %v", err, response)
	}
	return s
}

// open opens a socket. Its end is the end of the test. Without one there may be
// the server's answer, whose body can be read.
func (w *world) open(d dialing) (*socket, *http.Response, error) {
	s := &socket{t: w.t, frames: make(chan frame, maxFrames)}
	header := d.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if d.token != "" {
		header.Set("Authorization", "Bearer "+d.token)
	}
	at := w.URL() + "/ws"
	if len(d.query) > 0 {
		at += "?" + d.query.Encode()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), patience)
	defer cancel()
	var response *http.Response
	var err error
	s.ws, response, err = websocket.Dial(ctx, at, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				s.tcp, _ = c.(*net.TCPConn)
				return c, err
			},
		}},
		HTTPHeader: header,
	})
	if err != nil {
		return nil, response, err
	}
	s.ws.SetReadLimit(1 << 20)
	ended := make(chan struct{})
	if d.silent {
		close(ended)
	} else {
		go func() { defer close(ended); s.read() }()
	}
	w.t.Cleanup(func() {
		_ = s.ws.CloseNow() // it may have ended
		<-ended
	})
	return s, response, nil
}

// read reads until the connection ends.
func (s *socket) read() {
	defer close(s.frames)
	defer func() { s.ended = time.Now() }()
	for {
		kind, b, err := s.ws.Read(context.Background())
		f := frame{raw: string(b)}
		switch {
		case err != nil:
			s.err = err
			return
		case kind != websocket.MessageText:
			s.err = errors.New("a frame that is not text")
			return
		}
		if err := json.Unmarshal(b, &f); err != nil {
			s.err = err
			return
		}
		s.frames <- f
	}
}

// cut ends the connection without a word.
func (s *socket) cut() {
	_ = s.tcp.SetLinger(0)
	_ = s.tcp.Close()
}

// say sends a text frame.
func (s *socket) say(text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatalf("say %.100s: %v", text, err)
	}
}

// next returns the next frame, whatever it is.
func (s *socket) next() frame {
	s.t.Helper()
	select {
	case f, ok := <-s.frames:
		if !ok {
			s.t.Fatalf("the socket ended: %v", s.err)
		}
		return f
	case <-time.After(patience):
		s.t.Fatal("no frame came")
		return frame{}
	}
}

// want wants that the next frame is of a type; cursors and counters may come
// between any two and are passed over, unless it is they who are wanted.
func (s *socket) want(kind string) frame {
	s.t.Helper()
	for {
		f := s.next()
		switch {
		case f.Type == kind:
			return f
		case f.Type != "cursor" && f.Type != "counters":
			s.t.Fatalf("the frame is not of type %s: %s", kind, f.raw)
		}
	}
}

// await passes over frames until one is as is asked for.
func (s *socket) await(what func(*frame) bool) frame {
	s.t.Helper()
	for {
		if f := s.next(); what(&f) {
			return f
		}
	}
}

// activity wants that the next frame shows an event, and nothing else came before.
func (s *socket) activity(eventID string) frame {
	s.t.Helper()
	f := s.want("activity")
	if f.event() != eventID {
		s.t.Fatalf("the activity is not %s: %s", eventID, f.raw)
	}
	return f
}

// refused wants an error frame with a code.
func (s *socket) refused(code string) {
	s.t.Helper()
	f := s.want("error")
	f.has(s.t, "data type", "code message")
	if f.Data["code"] != code || f.Data["message"] == "" {
		s.t.Errorf("the error is not %s: %s", code, f.raw)
	}
}

// quiet wants that nothing waits for the client. The server answers behind all that
// it has sent already.
func (s *socket) quiet() {
	s.t.Helper()
	s.say(`{"type":"ping"}`)
	f := s.want("pong")
	f.has(s.t, "type", "")
}

// closes wants that the server closes the socket with a code. Frames before that
// are passed over.
func (s *socket) closes(code websocket.StatusCode) {
	s.t.Helper()
	s.closesWithin(patience, code)
}

func (s *socket) closesWithin(d time.Duration, code websocket.StatusCode) {
	s.t.Helper()
	late := time.NewTimer(d)
	defer late.Stop()
	for {
		select {
		case _, open := <-s.frames:
			if open {
				continue
			}
			if got := websocket.CloseStatus(s.err); got != code {
				s.t.Errorf("the socket ended with %d, want %d: %v", got, code, s.err)
			}
			return
		case <-late.C:
			s.t.Fatalf("the socket was not closed within %s", d)
		}
	}
}

// cursor asks for a cursor, and returns it; frames before it are passed over.
func (s *socket) cursor() string {
	s.t.Helper()
	s.quiet() // so that the next is the one that is asked for
	s.say(`{"type":"cursor"}`)
	f := s.want("cursor")
	f.has(s.t, "data type", "cursor")
	text, _ := f.Data["cursor"].(string)
	return text
}

// live opens a socket of an account and takes its first frame.
func (a *account) live() *socket {
	a.world.t.Helper()
	s, _ := a.resume("")
	return s
}

// resume opens a socket with a cursor and takes its first frame.
func (a *account) resume(cursor string) (*socket, frame) {
	a.world.t.Helper()
	d := dialing{token: a.Token()}
	if cursor != "" {
		d.query = url.Values{"cursor": {cursor}}
	}
	s := a.world.dial(d)
	ready := s.next()
	if ready.Type != "ready" || ready.username() != a.username {
		a.world.t.Fatalf("the first frame is not ready: %s", ready.raw)
	}
	return s, ready
}

// same wants that two JSON values are equal.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n%v\nwant\n%v", what, got, want)
	}
}
