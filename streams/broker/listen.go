package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxFrame bounds a request; more than any client sends by default for one
	// broker, and the broker makes room for it before it is there.
	maxFrame = 32 << 20
	// minFrame is the head of a request: key, version, correlation id.
	minFrame = 8
	// maxConns bounds the connections; full: the next is closed at once.
	maxConns = 1024
)

// port is where the broker listens. It takes the place of the broker's own
// listening, which knows only the loopback and believes whatever comes.
type port struct {
	addr      string // to listen on; with a port once that is known
	advertise string
	real      net.Addr
	err       error // of the last listen

	open sync.WaitGroup // listeners and connections that are not closed
}

// newPort looks whether the address can be listened on, and which port it is.
func newPort(ctx context.Context, addr, advertise string) (*port, error) {
	p := &port{addr: addr, advertise: advertise}
	l, err := p.bind(ctx)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	host, _, err := net.SplitHostPort(addr)
	if err = errors.Join(err, l.Close()); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	p.real = l.Addr()
	tcp, ok := p.real.(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("listen on %s: not a TCP address", addr)
	}
	p.addr = net.JoinHostPort(host, strconv.Itoa(tcp.Port))
	if p.advertise == "" {
		p.advertise = tcp.IP.String()
		if tcp.IP.IsUnspecified() {
			if p.advertise, err = os.Hostname(); err != nil {
				return nil, fmt.Errorf("name this machine: %w", err)
			}
		}
	}
	p.advertise = net.JoinHostPort(p.advertise, strconv.Itoa(tcp.Port))
	return p, nil
}

func (p *port) bind(ctx context.Context) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", p.addr) //nolint:wrapcheck // wrapped by the callers, who know why
}

// listen is for kfake.ListenFn.
func (p *port) listen(string, string) (net.Listener, error) {
	l, err := p.bind(context.Background())
	if p.err = err; err != nil {
		return nil, err
	}
	p.real = l.Addr()
	p.open.Add(1)
	return &listener{Listener: l, port: p, free: make(chan struct{}, maxConns), closed: sync.OnceFunc(p.open.Done)}, nil
}

// wait returns when everything is closed.
func (p *port) wait() { p.open.Wait() }

// client returns the options of a client that dials the port, whatever name the
// broker goes by.
func (p *port) client() []kgo.Opt {
	tcp, _ := p.real.(*net.TCPAddr) // newPort has seen that it is
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	addr := net.JoinHostPort(host, strconv.Itoa(tcp.Port))
	return []kgo.Opt{kgo.SeedBrokers(addr), kgo.Dialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr) //nolint:wrapcheck // the client wraps it
	})}
}

type listener struct {
	net.Listener

	port   *port
	free   chan struct{} // holds one for each connection
	closed func()
}

// Addr returns what the broker tells its clients to connect to.
func (l *listener) Addr() net.Addr { return advertised(l.port.advertise) }

// Close closes the listener; again is harmless.
func (l *listener) Close() error {
	err := l.Listener.Close()
	l.closed()
	return err //nolint:wrapcheck // the broker ignores it
}

// Accept returns the next connection there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // the broker ends by it
		}
		select {
		case l.free <- struct{}{}:
		default:
			_ = c.Close() // full; the client comes again
			continue
		}
		l.port.open.Add(1)
		return &conn{Conn: c, closed: sync.OnceFunc(func() {
			<-l.free
			l.port.open.Done()
		})}, nil
	}
}

type advertised string

// Network implements net.Addr.
func (advertised) Network() string { return "tcp" }

// String implements net.Addr.
func (a advertised) String() string { return string(a) }

// errFrame ends a connection on which no Kafka client speaks.
var errFrame = errors.New("broker: not a request of Kafka")

// conn hands on whole requests of kinds that there are: the broker makes room
// for as many bytes as the first four say, and a kind that it does not know ends
// the process.
type conn struct {
	net.Conn

	head   []byte // of the frame, not yet handed on
	left   int    // bytes of the frame that are to come
	closed func()
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.head) == 0 && c.left == 0 {
		head := make([]byte, 4+4)
		if _, err := io.ReadFull(c.Conn, head); err != nil {
			return 0, err //nolint:wrapcheck // the end of a connection, which the broker knows
		}
		size := binary.BigEndian.Uint32(head)
		if size < minFrame || size > maxFrame || !known(int16(binary.BigEndian.Uint16(head[4:])), int16(binary.BigEndian.Uint16(head[6:]))) { //nolint:gosec // as Kafka has them
			return 0, errFrame
		}
		c.head, c.left = head, int(size)-4
	}
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err //nolint:wrapcheck // the broker knows the errors of connections
}

// Close closes the connection; again is harmless.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.closed()
	return err //nolint:wrapcheck // the broker ignores it
}

// known reports whether there is a request of this kind and version. A client
// may ask for the versions in one that is newer than all.
func known(key, version int16) bool {
	request := kmsg.RequestForKey(key)
	return request != nil && version >= 0 && (version <= request.MaxVersion() || key == kmsg.ApiVersions.Int16())
}
