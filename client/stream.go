package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config is what a Stream needs.
type Config struct {
	// BaseURL of the server, with http or https.
	BaseURL string
	// Token authorises the stream.
	Token string
	// Cursor to begin at, from an earlier stream of the same user; "": now.
	Cursor string

	// Ready is told of every connection. Lost is told why one ended, or was not to
	// be had, and when the next is tried. Nil: nobody is told.
	Ready func(Ready)
	Lost  func(reason error, wait time.Duration)

	// HTTPClient makes the connections; nil: http.DefaultClient.
	HTTPClient *http.Client
	// First and Most bound the wait after a failure, which doubles from one to the
	// other. Default half a second and half a minute.
	First, Most time.Duration
	// Patience is how long the server may take to answer a ping. Default 15 seconds.
	Patience time.Duration
	// Jitter returns a number from 0 to 1, at random by default: which part of the
	// second half of a wait is waited.
	Jitter func() float64
}

// steady is how long a connection lasts after which failures count from zero.
const steady = 10 * time.Second

// Stream is the live stream of one user.
type Stream struct {
	cfg      Config
	url      string
	cursor   string
	seen     recent
	failures int
}

// New makes a stream. Run connects it.
func New(cfg Config) (*Stream, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("client: the URL of the server is %q, not http://… or https://…", cfg.BaseURL)
	}
	if cfg.Token == "" {
		return nil, errors.New("client: a stream needs a token")
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = http.DefaultClient
	}
	if cfg.First == 0 {
		cfg.First = 500 * time.Millisecond
	}
	if cfg.Most == 0 {
		cfg.Most = 30 * time.Second
	}
	if cfg.Patience == 0 {
		cfg.Patience = 15 * time.Second
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	if cfg.Ready == nil {
		cfg.Ready = func(Ready) {}
	}
	if cfg.Lost == nil {
		cfg.Lost = func(error, time.Duration) {}
	}
	at := strings.TrimSuffix(base.JoinPath("ws").String(), "/")
	return &Stream{cfg: cfg, url: at, cursor: cfg.Cursor}, nil
}

// Run hands every frame to handle, of one connection after another, until ctx
// ends, which is no error, handle fails, whose error it returns, or the server
// refuses for good: ErrUnauthorized, ErrTokenExpired, ErrSessionEnded, ErrRejected.
// A frame that comes again after a reconnection is left out.
//
// While handle works, nothing is read: of who is slow, the server keeps a bounded
// number of frames and then closes, after which they come again.
func (s *Stream) Run(ctx context.Context, handle func(Frame) error) error {
	for ctx.Err() == nil {
		start := time.Now()
		reason, err := s.once(ctx, handle)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return nil //nolint:nilerr // this is the end that was asked for
		case final(reason):
			return reason
		}
		if time.Since(start) >= steady {
			s.failures = 0
		}
		wait := s.wait(reason)
		s.cfg.Lost(reason, wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return nil
}

// Cursor returns where the stream is: all before it was handled.
func (s *Stream) Cursor() string { return s.cursor }

// once runs one connection to its end. reason is why it ended, err what handle
// returned.
func (s *Stream) once(ctx context.Context, handle func(Frame) error) (reason, err error) {
	c, err := s.dial(ctx)
	if err != nil {
		return err, nil
	}
	s.cfg.Ready(c.ready)
	return c.follow(ctx, func(f Frame) error {
		if f.ID != "" && !s.seen.add(f.ID) {
			return nil
		}
		if err := handle(f); err != nil {
			return err
		}
		return s.advance(f)
	})
}

// advance notes where the stream is, once all up to there is handled.
func (s *Stream) advance(f Frame) error {
	switch f.Type {
	case TypeCursor:
		var at Cursor
		if err := f.Decode(&at); err != nil {
			return err
		}
		s.cursor = at.Cursor
	case TypeReady:
		var at Ready
		if err := f.Decode(&at); err != nil {
			return err
		}
		// A resumption that breaks before its first cursor begins where it began.
		if !at.Resumed {
			s.cursor = at.Cursor
		}
	}
	return nil
}

// wait is how long to wait after a failure: a half for sure and some of the other
// half, so that many clients do not come back at once.
func (s *Stream) wait(reason error) time.Duration {
	most := s.cfg.Most
	if n := s.failures; n < 32 && s.cfg.First<<n < most && s.cfg.First<<n > 0 {
		most = s.cfg.First << n
	}
	s.failures++
	var refused *statusError
	switch {
	case errors.Is(reason, ErrTooMany):
		most = s.cfg.Most // a place becomes free when somebody goes
	case errors.As(reason, &refused) && refused.wait > most:
		return min(refused.wait, 10*s.cfg.Most)
	}
	return most/2 + time.Duration(s.cfg.Jitter()*float64(most/2))
}
