package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"kith/actors/user"
)

const (
	// authTime is how long a client has for its first frame.
	authTime = 5 * time.Second
	// attachTime bounds what a session reads to begin, and callTime what it reads
	// later.
	attachTime = 15 * time.Second
	callTime   = 5 * time.Second
	// maxStrangers is how many sockets may wait for their first frame at once, and
	// maxStrangersEach how many of one address.
	maxStrangers     = 8192
	maxStrangersEach = 4096
)

// Bearer is whom a token speaks for.
type Bearer struct {
	User    user.ID
	Login   SessionID
	Expires time.Time
}

// What an Authority refuses.
var (
	ErrUnauthorised = errors.New("live: the token is not valid")
	ErrNoSuchUser   = errors.New("live: there is no such user")
)

// Authority says who clients are, and who bears a name.
type Authority interface {
	// Authorise returns who bears a token. The error is ErrUnauthorised, or that it
	// cannot be said now.
	Authorise(ctx context.Context, token string) (Bearer, error)
	// Ended reports whether a login has ended.
	Ended(ctx context.Context, login SessionID) (bool, error)
	// Find returns who bears a name, as it was written. The error is ErrNoSuchUser,
	// or that it cannot be said now.
	Find(ctx context.Context, username string) (user.ID, error)
}

// SocketsConfig is what Sockets needs.
type SocketsConfig struct {
	Hub       *Hub
	Authority Authority
	Logger    *slog.Logger
	Metrics   *Metrics         // nil: nothing is counted
	Now       func() time.Time // the clock of tokens, time.Now when nil
}

// Sockets are the WebSockets of a hub.
type Sockets struct {
	cfg    SocketsConfig
	keeper *keeper

	stop context.CancelFunc // of ctx
	ctx  context.Context    //nolint:containedctx // of the goroutines of sockets, which outlive their requests

	mu        sync.Mutex
	stopped   bool
	running   sync.WaitGroup
	opening   int                  // sockets that wait for their first frame, or to be upgraded before it
	openingOf map[string]int       // by address
	strangers map[*socket]struct{} // that wait for their first frame
}

// NewSockets makes Sockets. Run runs them.
func NewSockets(cfg SocketsConfig) (*Sockets, error) {
	if cfg.Hub == nil || cfg.Authority == nil || cfg.Logger == nil {
		return nil, errors.New("live: sockets need a hub, an authority and a logger")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Sockets{cfg: cfg, keeper: newKeeper(), strangers: make(map[*socket]struct{}), openingOf: make(map[string]int)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Run runs the hub and its sockets until ctx ends; then it closes them and waits for
// their ends.
func (s *Sockets) Run(ctx context.Context) error {
	var (
		hub    error
		others sync.WaitGroup
	)
	others.Go(func() { hub = s.cfg.Hub.Run(ctx) })
	s.keeper.run(ctx, s.cfg.Now)
	s.mu.Lock()
	s.stopped = true
	for c := range s.strangers {
		c.part(nil, CloseGoingAway, "going away")
	}
	s.mu.Unlock()
	others.Wait()
	ended := make(chan struct{})
	go func() { s.running.Wait(); close(ended) }()
	late := time.NewTimer(parting)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		s.keeper.cut()
	}
	s.stop()
	<-ended
	return hub
}

// EndLogins closes the sockets of logins that ended.
func (s *Sockets) EndLogins(logins []SessionID) { s.keeper.end(logins) }

// ErrBusy is that too many sockets wait for their first frame.
var ErrBusy = errors.New("live: too many sockets are not authorised yet")

// Request is a request for a socket.
type Request struct {
	Writer http.ResponseWriter
	HTTP   *http.Request
	// Address is whose sockets are counted together until they say who they are.
	Address string
	// Bearer is who it is; nil when the first frame is to say so.
	Bearer *Bearer
	Cursor string // "": none
}

// Accept upgrades a request and serves the socket, also after it returned. After an
// error other than ErrBusy and ErrStopped the answer is written.
func (s *Sockets) Accept(r Request) error {
	if err := s.enter(&r); err != nil {
		return err
	}
	c, err := accept(r.Writer, r.HTTP)
	if err != nil {
		s.leave(&r)
		return err
	}
	s.cfg.Metrics.opened()
	r.Writer, r.HTTP = nil, nil // they are not ours any longer
	if r.Bearer != nil {
		s.begin(c, *r.Bearer, r.Cursor) // here, where the stack has grown already
		return nil
	}
	go func() {
		if who, cursor, ok := s.meet(c, &r); ok {
			s.begin(c, who, cursor)
		} else {
			s.part(c)
		}
	}()
	return nil
}

// enter takes a place for a socket.
func (s *Sockets) enter(r *Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return ErrStopped
	case r.Bearer != nil:
	case s.opening >= maxStrangers || s.openingOf[r.Address] >= maxStrangersEach:
		return ErrBusy
	default:
		s.opening++
		s.openingOf[r.Address]++
	}
	s.running.Add(1)
	return nil
}

// leave gives up the place of a socket that was not upgraded.
func (s *Sockets) leave(r *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Bearer == nil {
		s.openedLocked(r.Address)
	}
	s.running.Done()
}

// openedLocked gives up the place of a stranger.
func (s *Sockets) openedLocked(address string) {
	s.opening--
	if s.openingOf[address]--; s.openingOf[address] == 0 {
		delete(s.openingOf, address)
	}
}

// begin begins the session of a socket. Its life is another goroutine, whose stack is
// small: what reading for a session took is not given back.
func (s *Sockets) begin(c *socket, who Bearer, cursor string) {
	session, err := s.attach(c, who.User, cursor)
	if err != nil {
		go s.part(c)
		return
	}
	s.keeper.add(c, session, who, s.cfg.Now())
	// A login that ended before the keeper knew of the socket.
	if ended, err := s.cfg.Authority.Ended(s.ctx, who.Login); err == nil && ended {
		session.Close(CloseSessionEnded, "the session ended")
	}
	go s.live(c, session, who.User)
}

// part waits for the end of a socket that was refused.
func (s *Sockets) part(c *socket) {
	c.linger()
	s.end(c)
}

// live is the life of a socket.
func (s *Sockets) live(c *socket, session *Session, id user.ID) {
	s.listen(c, session, id)
	s.keeper.remove(c)
	session.Detach()
	s.end(c)
}

// end closes the connection of a socket that nobody reads from any more.
func (s *Sockets) end(c *socket) {
	c.end()
	s.cfg.Metrics.ended()
	s.running.Done()
}

// meet finds out who a stranger is.
func (s *Sockets) meet(c *socket, r *Request) (who Bearer, at string, ok bool) {
	s.mu.Lock()
	s.strangers[c] = struct{}{}
	if s.stopped {
		c.part(nil, CloseGoingAway, "going away")
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.strangers, c)
		s.openedLocked(r.Address)
	}()
	return s.ask(c, r.Cursor)
}

// ask reads the first frame.
func (s *Sockets) ask(c *socket, cursor string) (who Bearer, at string, ok bool) {
	if c.greet() != nil {
		return who, "", false
	}
	late := time.AfterFunc(authTime, func() { s.refuse(c, CloseNotAuthorised, "no auth frame came in time") })
	defer late.Stop()
	b, err := c.read()
	if errors.Is(err, ErrMalformed) {
		s.refuse(c, CloseMalformed, "not one JSON object of at most 4 KiB")
	}
	if err != nil {
		return who, "", false
	}
	f, err := ParseClientFrame(b)
	switch {
	case errors.Is(err, ErrMalformed):
		s.refuse(c, CloseMalformed, "not one JSON object of at most 4 KiB")
		return who, "", false
	case err != nil || f.Type != ClientAuth:
		s.refuse(c, CloseNotAuthorised, "the first frame must be auth")
		return who, "", false
	}
	if f.Cursor != "" {
		cursor = f.Cursor
	}
	ctx, cancel := context.WithTimeout(s.ctx, callTime)
	defer cancel()
	who, err = s.cfg.Authority.Authorise(ctx, f.Token)
	switch {
	case errors.Is(err, ErrUnauthorised):
		s.refuse(c, CloseNotAuthorised, "the token is not valid")
		return who, "", false
	case err != nil:
		s.cfg.Logger.Warn("a socket cannot be authorised", "error", err)
		s.refuse(c, CloseGoingAway, "try again later")
		return who, "", false
	}
	return who, cursor, late.Stop()
}

// attach begins the session of a socket.
func (s *Sockets) attach(c *socket, id user.ID, cursor string) (*Session, error) {
	ctx, cancel := context.WithTimeout(s.ctx, attachTime)
	defer cancel()
	c.patient()
	session, err := s.cfg.Hub.Attach(ctx, id, cursor, transport{c}, c.greeting)
	switch {
	case err == nil:
		c.greeting = nil
		c.begin(session)
	case errors.Is(err, ErrTooManySockets):
		s.refuse(c, CloseTooManySockets, "too many sockets of this user")
	case errors.Is(err, ErrGone):
		s.refuse(c, CloseSessionEnded, "the account was deleted")
	case errors.Is(err, ErrStopped):
		s.refuse(c, CloseGoingAway, "going away")
	default:
		s.cfg.Logger.Warn("a socket cannot begin; its client is asked to come back", "user_id", uint64(id), "error", err)
		s.refuse(c, CloseGoingAway, "try again later")
	}
	return session, err
}

// refuse closes a socket that has no session.
func (s *Sockets) refuse(c *socket, code CloseCode, reason string) {
	s.cfg.Metrics.closed(code)
	c.part(c.greeting, code, reason)
}

// linger waits for the client's answer to a close frame.
func (c *socket) linger() {
	for {
		if _, err := c.read(); err != nil && !errors.Is(err, ErrMalformed) {
			return
		}
	}
}

// listen answers the frames of a client until the connection ends.
func (s *Sockets) listen(c *socket, session *Session, id user.ID) {
	for {
		b, err := c.read()
		if errors.Is(err, ErrMalformed) {
			session.Close(CloseMalformed, "not one JSON object of at most 4 KiB")
			continue // until the client answers
		}
		if err != nil {
			return
		}
		c.hear()
		c.pace.take(s.ctx)
		f, err := ParseClientFrame(b)
		if err == nil {
			err = s.obey(c, session, id, f)
		}
		var refused *RefusedError
		switch {
		case err == nil:
		case errors.As(err, &refused):
			session.Send(refused.Frame())
		case errors.Is(err, ErrMalformed):
			session.Close(CloseMalformed, "not one JSON object of at most 4 KiB")
		default:
			s.cfg.Logger.Warn("a frame of a client cannot be served", "type", string(f.Type), "error", err)
			session.Send(ErrorFrame(CodeUnavailable, "try again later"))
		}
	}
}

// read returns the next message. The error is ErrMalformed, after which reading
// goes on, or that the connection ended.
func (c *socket) read() ([]byte, error) {
	kind, r, err := c.ws.Reader(context.Background()) // one that ends would cost each read a timer
	if err != nil {
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(r, MaxClientFrame+1))
	if err != nil {
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	if kind == websocket.MessageText && len(b) <= MaxClientFrame {
		return b, nil
	}
	// The rest has to be taken before the next can be.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	return nil, ErrMalformed
}

// obey does what a client asks. The error is a *RefusedError, or that it cannot be
// done now.
func (s *Sockets) obey(c *socket, session *Session, id user.ID, f ClientFrame) error {
	switch f.Type {
	case ClientPing:
		session.Send(pong)
	case ClientCursor:
		session.SendCursor()
	case ClientAuth:
		return s.renew(c, session, id, f)
	case ClientWatch, ClientUnwatch:
		return s.watch(session, f)
	}
	return nil
}

var pong = Pong() //nolint:gochecknoglobals // a constant, encoded once

// renew takes another token of the same user.
func (s *Sockets) renew(c *socket, session *Session, id user.ID, f ClientFrame) error {
	if f.Cursor != "" {
		return badField("cursor", "belongs to the first frame alone")
	}
	ctx, cancel := context.WithTimeout(s.ctx, callTime)
	defer cancel()
	b, err := s.cfg.Authority.Authorise(ctx, f.Token)
	switch {
	case errors.Is(err, ErrUnauthorised) || err == nil && b.User != id:
		return &RefusedError{Code: CodeUnauthorised, Message: "the token is not a valid one of this user; the one before holds"}
	case err != nil:
		return fmt.Errorf("authorise: %w", err)
	}
	s.keeper.renew(c, b)
	if ended, err := s.cfg.Authority.Ended(ctx, b.Login); err == nil && ended {
		session.Close(CloseSessionEnded, "the session ended")
	}
	return nil
}

// watch begins or ends a watch.
func (s *Sockets) watch(session *Session, f ClientFrame) error {
	ctx, cancel := context.WithTimeout(s.ctx, callTime)
	defer cancel()
	id, err := s.cfg.Authority.Find(ctx, f.Username)
	switch {
	case errors.Is(err, ErrNoSuchUser):
		if f.Type == ClientUnwatch {
			return nil // whoever it was is watched no longer
		}
		return &RefusedError{Code: CodeUserNotFound, Message: "there is no such user"}
	case err != nil:
		return fmt.Errorf("find a user: %w", err)
	}
	if f.Type == ClientUnwatch {
		session.Unwatch(id)
		return nil
	}
	if errors.Is(session.Watch(id), ErrTooManyWatches) {
		return &RefusedError{Code: CodeTooManyWatches, Message: "100 users are watched already"}
	}
	return nil
}
