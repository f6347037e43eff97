package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// floorConfig is what the process of the floor is told.
type floorConfig struct {
	Addr string
	// Frame is what every socket is written for each event that anybody records.
	Frame []byte
}

// floor is the least that a server of WebSockets does: it upgrades whoever comes,
// reads from them in a goroutine that does nothing else, and writes the same bytes
// to all, with one Write for each frame and socket.
type floor struct {
	frame []byte

	mu      sync.Mutex
	sockets map[*websocket.Conn]struct{}
	// ctx is that of reads and writes: one that never ends costs no timers.
	ctx context.Context //nolint:containedctx // sockets outlive their requests
}

// floorReady takes the place of the first frame of kith.
const floorReady = readyFrame + `"data":{"resumed":false}}`

// serveFloor is the process of the floor: it serves until ctx ends.
func serveFloor(ctx context.Context, in io.Reader) error {
	var cfg floorConfig
	if err := json.NewDecoder(in).Decode(&cfg); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	f := newFloor(ctx, cfg.Frame)
	server := &http.Server{
		Addr: cfg.Addr, Handler: f.handler(), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return f.ctx },
		ErrorLog:    slog.NewLogLogger(slog.NewTextHandler(os.Stderr, nil), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	if err := errors.Join(server.Close(), f.close()); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

func newFloor(ctx context.Context, frame []byte) *floor {
	return &floor{frame: frame, sockets: make(map[*websocket.Conn]struct{}), ctx: context.WithoutCancel(ctx)}
}

func (f *floor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET "+collectPath, func(http.ResponseWriter, *http.Request) { runtime.GC() })
	mux.HandleFunc("GET /ws", f.accept)
	mux.HandleFunc("POST /users/self/events", f.tell)
	return mux
}

func (f *floor) accept(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // the answer is written
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sockets[c] = struct{}{}
	go f.listen(c)
	if err := c.Write(f.ctx, websocket.MessageText, []byte(floorReady)); err != nil { //nolint:contextcheck // one that ends would cost a timer
		_ = c.CloseNow() // whoever reads finds out
	}
}

// listen reads until the connection ends.
func (f *floor) listen(c *websocket.Conn) {
	for {
		if _, _, err := c.Read(f.ctx); err != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.sockets, c)
			return
		}
	}
}

// tell writes the frame to all for each event in the request, and answers as kith
// does when the last is written.
func (f *floor) tell(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	n := bytes.Count(body, []byte(`"event_id":`))
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		for c := range f.sockets {
			if err := c.Write(f.ctx, websocket.MessageText, f.frame); err != nil { //nolint:contextcheck // as above
				_ = c.CloseNow() // whoever reads finds out, and so does the other side
			}
		}
	}
	status, answer := http.StatusOK, `"status":"created"`
	if n == 1 {
		status, answer = http.StatusCreated, `"event":{`
	}
	w.WriteHeader(status)
	_, _ = w.Write(bytes.Repeat([]byte(answer), n)) // nobody else can be told
}

func (f *floor) close() (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.sockets {
		err = errors.Join(err, c.CloseNow())
	}
	return err
}

// startFloor starts the floor for the users of a setup.
func startFloor(ctx context.Context, on *setup, frame []byte) (*server, error) {
	addrs, err := freeAddrs(ctx, 1)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find ourselves: %w", err)
	}
	p, err := start(ctx, command{name: "floor", path: self, args: []string{roleFloor}, dir: on.dir})
	if err != nil {
		return nil, err
	}
	s := &server{process: p, setup: *on, addr: addrs[0], began: time.Now()}
	if err := p.send(floorConfig{Addr: s.addr, Frame: frame}); err != nil {
		return s, err
	}
	return s, s.await(ctx)
}
