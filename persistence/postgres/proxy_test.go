package postgres_test

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// proxy stands between the engine and the server, and cuts the connections when it
// is told to.
type proxy struct {
	tb       testing.TB
	listener net.Listener
	server   string

	mu      sync.Mutex
	cutting direction
	conns   map[net.Conn]struct{}
	running sync.WaitGroup
}

type direction int

const (
	neither direction = iota
	requests
	answers
)

// startProxy returns a proxy and the URL through it.
func startProxy(tb testing.TB, at string) (*proxy, string) {
	tb.Helper()
	u, err := url.Parse(at)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{tb: tb, listener: l, server: u.Host, conns: make(map[net.Conn]struct{})}
	p.running.Go(p.accept)
	tb.Cleanup(func() {
		_ = l.Close()
		p.cutAll()
		p.running.Wait()
	})
	u.Host = l.Addr().String()
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server) //nolint:noctx // of this machine
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.running.Go(func() { p.copy(server, client, requests) })
		p.running.Go(func() { p.copy(client, server, answers) })
	}
}

// cut has the next thing said in a direction lost, and the connection with it. It
// happens once.
func (p *proxy) cut(d direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutting = d
}

// cutAll ends all connections.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *proxy) copy(to, from net.Conn, d direction) {
	defer to.Close()   //nolint:errcheck // that it is gone is the point
	defer from.Close() //nolint:errcheck // that it is gone is the point
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.mu.Lock()
			cut := p.cutting == d
			if cut {
				p.cutting = neither
			}
			p.mu.Unlock()
			if cut {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
