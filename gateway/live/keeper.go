package live

import (
	"context"
	"sync"
	"time"
)

const (
	// heartbeat is how often a socket is pinged. One that has said nothing between
	// two pings is cut.
	heartbeat = 25 * time.Second
	// keepEvery is how precise heartbeats and expiries are.
	keepEvery = 250 * time.Millisecond
	// warnBefore is how long before its token expires a client is told.
	warnBefore = time.Minute
)

// SessionID names what a token ends with: a login.
type SessionID = [16]byte

// keeper pings the sockets, and closes those whose tokens or logins end: one timer
// for all.
type keeper struct {
	mu      sync.Mutex
	sockets []*socket // in no order; each knows its place
	logins  map[SessionID]map[*socket]struct{}
}

// watched is what the keeper knows of a socket. It belongs to the keeper's lock.
type watched struct {
	place   int // in sockets
	session *Session
	login   SessionID
	expires time.Time
	warned  bool
	pinged  time.Time // zero: not yet
	pingAt  time.Time
}

func newKeeper() *keeper { return &keeper{logins: make(map[SessionID]map[*socket]struct{})} }

// add begins to watch over a socket.
func (k *keeper) add(c *socket, s *Session, b Bearer, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.watched = watched{place: len(k.sockets), session: s, pingAt: now.Add(heartbeat)}
	k.sockets = append(k.sockets, c)
	k.bind(c, b)
}

// renew notes another token.
func (k *keeper) renew(c *socket, b Bearer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unbind(c)
	k.bind(c, b)
	c.watched.warned = false
}

func (k *keeper) bind(c *socket, b Bearer) {
	c.watched.login, c.watched.expires = b.Login, b.Expires
	if k.logins[b.Login] == nil {
		k.logins[b.Login] = make(map[*socket]struct{}, 1)
	}
	k.logins[b.Login][c] = struct{}{}
}

func (k *keeper) unbind(c *socket) {
	login := c.watched.login
	delete(k.logins[login], c)
	if len(k.logins[login]) == 0 {
		delete(k.logins, login)
	}
}

// remove forgets a socket.
func (k *keeper) remove(c *socket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unbind(c)
	last := len(k.sockets) - 1
	moved := k.sockets[last]
	k.sockets[c.watched.place] = moved
	moved.watched.place = c.watched.place
	k.sockets[last] = nil
	k.sockets = k.sockets[:last]
}

// end closes the sockets of logins that ended.
func (k *keeper) end(logins []SessionID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, login := range logins {
		for c := range k.logins[login] {
			c.watched.session.Close(CloseSessionEnded, "the session ended")
		}
	}
}

// run watches until ctx ends.
func (k *keeper) run(ctx context.Context, now func() time.Time) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	ping := &Frame{whole: PingFrame()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k.look(now(), ping)
	}
}

func (k *keeper) look(now time.Time, ping *Frame) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.sockets {
		w := &c.watched
		switch left := w.expires.Sub(now); {
		case left <= 0:
			w.session.Close(CloseTokenExpired, "the token expired")
			continue
		case left <= warnBefore && !w.warned:
			w.warned = true
			w.session.Send(AuthExpiring(left))
		}
		if now.Before(w.pingAt) {
			continue
		}
		if !w.pinged.IsZero() && c.heard.Load() < w.pinged.UnixMilli() {
			c.cut() // whoever reads from it finds out
			continue
		}
		w.pinged, w.pingAt = now, now.Add(heartbeat)
		w.session.Send(ping)
	}
}

// cut ends all connections.
func (k *keeper) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.sockets {
		c.cut()
	}
}
