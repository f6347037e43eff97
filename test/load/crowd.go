package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// crowd is many sockets of GET /ws, all read by one goroutine, which counts frames
// and looks into few: it takes less of the machine than the server that it
// measures.
type crowd struct {
	addr   string
	people *population
	poll   *poller
	buffer []byte // of the loop

	mu      sync.Mutex // guards what follows
	byFD    []*socket
	sockets []*socket  // that are kept open; those that the server closed too
	cursors []cursorOf // with which sockets resume
	opening int        // not ready yet, or not finished
	timed   bool       // the times in frames are looked at
	want    int        // frames of activity that each socket is to get
	reached int        // sockets that have got them, or never will
	got     streamed
	failed  error
	waiting *waiter
}

// waiter is who waits until something has arrived.
type waiter struct {
	ready func() bool
	done  chan struct{}
}

// socket is one connection. It belongs to the crowd's lock.
type socket struct {
	fd       int
	user     int // index into People
	split    splitter
	ready    bool
	closed   bool
	activity int
	cursor   string // that ready named
	// missed is how many frames of activity a reconnect waits for, before it hangs
	// up; -1: it stays.
	missed int
}

// cursorOf is a cursor that a user was given.
type cursorOf struct {
	user   int
	cursor string
}

const (
	crowdBuffer  = 256 << 10
	crowdPace    = 100 * time.Millisecond // how often it looks whether it is to end
	crowdTimeout = 60 * time.Second
	openAtOnce   = 256
)

func newCrowd(j *crowdJob) (*crowd, error) {
	people, err := loadPopulation(j.People)
	if err != nil {
		return nil, err
	}
	if err := enoughFiles(j.Sockets + 500); err != nil {
		return nil, err
	}
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &crowd{addr: j.Addr, people: people, poll: poll, buffer: make([]byte, crowdBuffer)}, nil
}

// run reads until ctx ends, and then hangs up.
func (c *crowd) run(ctx context.Context) error {
	for ctx.Err() == nil {
		ready, err := c.poll.wait(crowdPace)
		c.mu.Lock()
		for _, fd := range ready {
			// One that was hung up meanwhile is there no more.
			if s := c.byFD[fd]; s != nil && err == nil {
				err = c.read(s)
			}
		}
		c.failed = errors.Join(c.failed, err)
		if w := c.waiting; w != nil && (c.failed != nil || w.ready()) {
			c.waiting = nil
			close(w.done)
		}
		c.mu.Unlock()
		if err != nil {
			break // whoever waits, or is about to, is told
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.hangUp(), c.poll.close())
}

// await waits until ready, which is called under the lock, says that enough has
// arrived.
func (c *crowd) await(ctx context.Context, ready func() bool) error {
	w := &waiter{ready: ready, done: make(chan struct{})}
	c.mu.Lock()
	if c.failed != nil || ready() {
		close(w.done)
	} else {
		c.waiting = w
	}
	c.mu.Unlock()
	timeout := time.NewTimer(crowdTimeout)
	defer timeout.Stop()
	select {
	case <-w.done:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.failed
	case <-ctx.Done():
		return fmt.Errorf("wait for frames: %w", ctx.Err())
	case <-timeout.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = nil
	return fmt.Errorf("wait for frames: not there after %s: %d sockets of %d opening, %d have their %d frames; %d frames, closed %v",
		crowdTimeout, c.opening, len(c.sockets), c.reached, c.want, c.got.Frames, c.got.Closes)
}

// connect opens a socket of a user. missed is as in socket.
func (c *crowd) connect(u int, cursor string, missed int) error {
	query := ""
	if cursor != "" {
		query = "?cursor=" + url.QueryEscape(cursor)
	}
	request := appendRequest(nil, http.MethodGet, "/ws", query, c.people.People[u].Token, nil)
	request = append(bytes.TrimSuffix(request, []byte("\r\n")),
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"...)
	fd, err := connectTo(c.addr, request)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &socket{fd: fd, user: u, missed: missed}
	for len(c.byFD) <= fd {
		c.byFD = append(c.byFD, nil)
	}
	c.byFD[fd] = s
	c.opening++
	if missed < 0 {
		c.sockets = append(c.sockets, s)
	}
	return c.poll.add(fd)
}

// read takes what has arrived on a socket.
func (c *crowd) read(s *socket) error {
	n, ended := readNow(s.fd, c.buffer)
	if ended {
		const abnormal = 1006
		return c.lose(s, abnormal)
	}
	now := time.Now()
	c.got.Bytes += int64(n)
	for s.split.take(c.buffer[:n]); ; {
		first, payload, ok, err := s.split.next()
		if err != nil {
			return err
		}
		if !ok || s.closed {
			break
		}
		if err := c.frame(s, first, payload, now); err != nil {
			return err
		}
	}
	return c.finish(s)
}

// lose notes a socket that the server closed.
func (c *crowd) lose(s *socket, code int) error {
	if c.got.Closes == nil {
		c.got.Closes = make(map[int]int)
	}
	c.got.Closes[code]++
	if !s.ready || s.missed >= 0 {
		c.opening--
	}
	if s.activity < c.want {
		c.reached++
	}
	return c.shut(s)
}

func (c *crowd) shut(s *socket) error {
	s.closed = true
	c.byFD[s.fd] = nil
	return hangUp(s.fd)
}

// finish hangs up a reconnect that has got what it missed.
func (c *crowd) finish(s *socket) error {
	switch {
	case s.closed || s.missed < 0 || !s.ready || s.activity < s.missed:
		return nil
	case s.activity > s.missed:
		return fmt.Errorf("a reconnect got %d frames, it missed %d", s.activity, s.missed)
	}
	c.opening--
	c.got.Sessions++
	return c.shut(s)
}

// frame takes one frame.
func (c *crowd) frame(s *socket, first byte, payload []byte, now time.Time) error {
	c.got.All++
	switch first {
	case frameText:
		return c.text(s, payload, now)
	case framePing:
		return writeNow(s.fd, appendPong(nil, payload))
	case frameClose:
		c.got.All-- // the server does not count them either
		return c.lose(s, closeCode(payload))
	}
	return fmt.Errorf("%w: a frame that begins with %#x", errFrame, first)
}

// The beginnings of the frames that are looked at.
const (
	activityFrame = `{"type":"activity",`
	readyFrame    = `{"type":"ready",`
	gapFrame      = `{"type":"gap",`
	errorFrame    = `{"type":"error",`
)

func (c *crowd) text(s *socket, payload []byte, now time.Time) error {
	switch {
	case bytes.HasPrefix(payload, []byte(activityFrame)):
		return c.activity(s, payload, now)
	case bytes.HasPrefix(payload, []byte(readyFrame)):
		return c.begin(s, payload)
	case bytes.HasPrefix(payload, []byte(gapFrame)), bytes.HasPrefix(payload, []byte(errorFrame)):
		return fmt.Errorf("a socket is told %.300s", payload)
	}
	return nil
}

func (c *crowd) activity(s *socket, payload []byte, now time.Time) error {
	if s.activity++; s.activity == c.want {
		c.reached++
	}
	if c.got.Frames++; c.got.Sample == nil {
		c.got.Sample = bytes.Clone(payload)
	}
	if !c.timed {
		return nil
	}
	sent, recorded, err := timesOf(payload)
	if err != nil {
		return err
	}
	c.got.Sent.record(now.Sub(sent))
	c.got.Recorded.record(now.Sub(recorded))
	return nil
}

// begin takes the ready of a socket.
func (c *crowd) begin(s *socket, payload []byte) error {
	var f struct {
		Data struct {
			Resumed bool   `json:"resumed"`
			Cursor  string `json:"cursor"`
			User    struct {
				Username string `json:"username"`
			} `json:"user"`
		} `json:"data"`
	}
	if err := json.Unmarshal(payload, &f); err != nil {
		return fmt.Errorf("%w: %w: %.300s", errFrame, err, payload)
	}
	// The server to compare with knows no users.
	if name := f.Data.User.Username; name != "" && name != c.people.People[s.user].Username {
		return fmt.Errorf("a socket of %s is that of %s", c.people.People[s.user].Username, name)
	}
	if resumes := s.missed >= 0; f.Data.Resumed != resumes || s.ready {
		return fmt.Errorf("a socket whose resuming is %t is told %.300s", resumes, payload)
	}
	s.ready, s.cursor = true, f.Data.Cursor
	if s.missed < 0 {
		c.opening--
	}
	return nil
}

// hangUp ends all sockets.
func (c *crowd) hangUp() (err error) {
	for _, s := range c.byFD {
		if s != nil {
			err = errors.Join(err, c.shut(s))
		}
	}
	c.sockets, c.opening = nil, 0
	return err
}

// timesOf returns when the request of the event in a frame was sent, which its id
// begins with, and when it was recorded.
func timesOf(payload []byte) (sent, recorded time.Time, err error) {
	if sent, err = sentOf(payload); err != nil {
		return sent, recorded, fmt.Errorf("%w: %w", errFrame, err)
	}
	_, rest, _ := bytes.Cut(payload, []byte(`"time":"`))
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	if recorded, err = time.Parse(time.RFC3339Nano, string(text)); err != nil {
		return sent, recorded, fmt.Errorf("%w: %w: %.400s", errFrame, err, payload)
	}
	return sent, recorded, nil
}

// sentOf returns when the request of an event was sent, which its id begins with.
func sentOf(payload []byte) (time.Time, error) {
	_, rest, _ := bytes.Cut(payload, []byte(`"event_id":"`))
	digits, _, _ := bytes.Cut(rest, []byte("-"))
	ns, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("no time in the id of an event: %.400s", payload)
	}
	return time.Unix(0, ns), nil
}
