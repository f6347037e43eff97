package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// dialTime bounds connecting, up to the first frame.
	dialTime = 15 * time.Second
	// partingTime bounds the closing handshake.
	partingTime = time.Second
	// maxFrame bounds a frame: a review of 10,000 characters and 4 KiB of details,
	// escaped, are far below.
	maxFrame = 1 << 20
	// Bounds of what is made of the server's heartbeat.
	minHeartbeat = time.Second
	maxHeartbeat = 5 * time.Minute
)

// conn is one connection, past its first frame.
type conn struct {
	ws       *websocket.Conn
	ready    Ready
	first    Frame
	patience time.Duration
}

// dial connects and reads the first frame.
func (s *Stream) dial(ctx context.Context) (_ *conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	at := s.url
	if s.cursor != "" {
		at += "?" + url.Values{"cursor": {s.cursor}}.Encode()
	}
	ws, response, err := websocket.Dial(ctx, at, &websocket.DialOptions{ //nolint:bodyclose // Dial does not leave it to us
		HTTPClient: s.cfg.HTTPClient,
		HTTPHeader: http.Header{"Authorization": {"Bearer " + s.cfg.Token}},
	})
	if err != nil {
		return nil, undialled(response, err)
	}
	ws.SetReadLimit(maxFrame)
	c := &conn{ws: ws, patience: s.cfg.Patience}
	if c.first, err = c.read(ctx); err != nil {
		_ = ws.CloseNow() // the error to tell is the other one
		return nil, closed(err)
	}
	if c.first.Type != TypeReady {
		return nil, errors.Join(fmt.Errorf("the first frame is %q", c.first.Type), ws.CloseNow())
	}
	if err := c.first.Decode(&c.ready); err != nil {
		return nil, errors.Join(err, ws.CloseNow())
	}
	return c, nil
}

// read returns the next frame.
func (c *conn) read(ctx context.Context) (f Frame, err error) {
	kind, b, err := c.ws.Read(ctx)
	if err != nil {
		return f, err //nolint:wrapcheck // closed says what it means
	}
	if kind != websocket.MessageText {
		return f, errors.New("a frame that is not text")
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, fmt.Errorf("a frame that is not JSON: %w", err)
	}
	f.Raw = b
	return f, nil
}

// follow hands every frame to handle until the connection ends, whose reason it
// returns, or until handle fails, whose error it returns as handled.
func (c *conn) follow(ctx context.Context, handle func(Frame) error) (reason, handled error) {
	// Reading is not ended by ctx but by closing, so that the server is told.
	reading, abandon := context.WithCancel(context.WithoutCancel(ctx))
	alive, stop := context.WithCancel(ctx)
	dead := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { c.watch(alive, dead, abandon) })
	defer wg.Wait()
	defer stop()
	for f := c.first; ; {
		if err := handle(f); err != nil {
			_ = c.ws.CloseNow() // the error to tell is the other one
			return nil, err
		}
		var err error
		if f, err = c.read(reading); err != nil {
			select {
			case <-dead:
				return ErrSilent, nil
			default:
				return closed(err), nil
			}
		}
	}
}

// watch closes the connection when ctx ends, and when the server does not answer.
// abandon ends reading, and with it the connection.
func (c *conn) watch(ctx context.Context, dead chan<- struct{}, abandon context.CancelFunc) {
	defer abandon()
	heartbeat := min(max(time.Duration(c.ready.Heartbeat)*time.Second, minHeartbeat), maxHeartbeat)
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			// Says goodbye, to a server that listens.
			impatient := time.AfterFunc(partingTime, abandon)
			defer impatient.Stop()
			_ = c.ws.Close(websocket.StatusNormalClosure, "") // nothing follows, so it may fail
			return
		case <-ticker.C:
			limited, cancel := context.WithTimeout(ctx, c.patience)
			err := c.ws.Ping(limited)
			cancel()
			if err != nil && ctx.Err() == nil {
				close(dead)
				_ = c.ws.CloseNow() // it is dead
				return
			}
		}
	}
}
