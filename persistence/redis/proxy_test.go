package redis_test

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// proxy stands before a server, and can cut or hang what goes through.
type proxy struct {
	listener net.Listener
	target   string
	database string
	running  sync.WaitGroup

	mu       sync.Mutex
	mode     mode
	accepted int
	open     map[net.Conn]struct{}
}

type mode int

const (
	passing mode = iota
	hanging      // connections are taken, and nothing goes through any more
	cut          // connections are closed
)

// startProxy starts a proxy to an empty database, whose URL without it is direct.
func startProxy(t *testing.T) (p *proxy, direct string) {
	t.Helper()
	direct = database(t)
	target, db, _ := strings.Cut(strings.TrimPrefix(direct, "redis://"), "/")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	p = &proxy{listener: l, target: target, database: db, open: make(map[net.Conn]struct{})}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.set(cut)
		p.running.Wait()
	})
	return p, direct
}

func (p *proxy) url() string { return "redis://" + p.listener.Addr().String() + "/" + p.database }

// set changes the mode, for the connections there are too.
func (p *proxy) set(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
	if m != hanging { // what hung does not go on
		for c := range p.open {
			_ = c.Close()
		}
	}
}

func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

func (p *proxy) accept() {
	for {
		down, err := p.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", p.target) //nolint:noctx // ends with the proxy
		if err != nil {
			_ = down.Close()
			continue
		}
		p.mu.Lock()
		p.accepted++
		if p.mode == cut {
			_, _ = down.Close(), up.Close()
		} else {
			p.open[down], p.open[up] = struct{}{}, struct{}{}
			p.running.Go(func() { p.pump(down, up) })
			p.running.Go(func() { p.pump(up, down) })
		}
		p.mu.Unlock()
	}
}

func (p *proxy) pump(to, from net.Conn) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, to)
		delete(p.open, from)
	}()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		hangs := p.mode == hanging
		p.mu.Unlock()
		if n > 0 && !hangs {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
