package browser_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// network is a TCP proxy in front of a server, which can be cut.
type network struct {
	t        *testing.T
	listener net.Listener
	upstream string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

// newNetwork makes a way to the server at a URL.
func newNetwork(t *testing.T, to string) *network {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{t: t, listener: l, conns: make(map[net.Conn]struct{})}
	n.to(to)
	n.wg.Go(n.accept)
	t.Cleanup(func() {
		_ = l.Close() // ends accept
		n.drop(true)
		n.wg.Wait()
	})
	return n
}

// URL is where the server is, by this way.
func (n *network) URL() string { return "http://" + n.listener.Addr().String() }

// Cut breaks every connection, and all to come.
func (n *network) Cut() { n.drop(true) }

// to leads to another server from now on.
func (n *network) to(base string) {
	n.t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.upstream = u.Host
}

// Heal lets connections through again.
func (n *network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = false
}

func (n *network) drop(cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = cut
	for c := range n.conns {
		_ = c.Close() // which is the purpose
	}
}

// keep notes a connection to break, or tells that it must not be.
func (n *network) keep(c net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.cut {
		n.conns[c] = struct{}{}
	}
	return !n.cut
}

func (n *network) leave(c net.Conn) {
	_ = c.Close() // it may be closed
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

func (n *network) accept() {
	for {
		c, err := n.listener.Accept()
		if err != nil {
			return
		}
		n.wg.Go(func() { n.carry(c) })
	}
}

// carry carries a connection until one side ends it.
func (n *network) carry(c net.Conn) {
	defer n.leave(c)
	if !n.keep(c) {
		return
	}
	n.mu.Lock()
	upstream := n.upstream
	n.mu.Unlock()
	up, err := new(net.Dialer).DialContext(n.t.Context(), "tcp", upstream)
	if err != nil {
		return // the server is away, which the client finds out
	}
	defer n.leave(up)
	if !n.keep(up) {
		return
	}
	done := make(chan struct{}, 2)
	one := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // an end is an end
		done <- struct{}{}
	}
	go one(up, c)
	go one(c, up)
	<-done
	n.leave(c) // which ends the other direction
	n.leave(up)
	<-done
}
