package live

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

const (
	// readBuffer and writeBuffer are what a socket has for the frames of its client,
	// few of which are larger, and for control frames of ours: those have at most 127
	// bytes.
	readBuffer  = 256
	writeBuffer = 256
	// parting is how long a closing connection has for its last bytes, and its client
	// to answer.
	parting = 5 * time.Second
)

// socket is a connection after the upgrade. The library reads from it, answers
// pings and closes; all that is written goes through the session, once there is
// one, so that no frame comes between the bytes of another.
type socket struct {
	net.Conn // of HTTP, with what the server had read of it already

	raw  syscall.RawConn // nil: the connection is not one of the operating system
	ws   *websocket.Conn
	pace pace

	heard atomic.Int64 // when something was last read, in Unix milliseconds

	// greeting is the answer to the upgrade while it waits for the first frame, with
	// which it is written at once. It belongs to the goroutine that begins the socket.
	greeting []byte

	mu      sync.Mutex
	session *Session
	parted  bool // the close frame is on its way: nothing may follow it
	watched watched
}

// accept upgrades a request. On an error the answer is written.
func accept(w http.ResponseWriter, r *http.Request) (*socket, error) {
	c := &socket{}
	c.hear()
	ws, err := websocket.Accept(&upgrade{ResponseWriter: w, socket: c}, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // who may is for the caller to say
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     c.pinged,
		OnPongReceived:     c.ponged,
	})
	if err != nil {
		return nil, fmt.Errorf("live: upgrade a connection: %w", err)
	}
	ws.SetReadLimit(-1) // Sockets bounds what it reads, and says so in its own way
	c.ws = ws
	_ = c.SetWriteDeadline(time.Now().Add(authTime)) // of what the library writes before the session
	return c, nil
}

// upgrade hands the library a connection that is our socket, with small buffers:
// those of net/http, which it lets go of, would be most of an idle socket. It keeps
// the answer back.
type upgrade struct {
	http.ResponseWriter

	socket *socket
	status int
}

// WriteHeader implements http.ResponseWriter.
func (u *upgrade) WriteHeader(status int) {
	if u.status = status; status != http.StatusSwitchingProtocols {
		u.ResponseWriter.WriteHeader(status)
	}
}

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take over the connection: %w", err)
	}
	early, err := buffered.Peek(buffered.Reader.Buffered())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read what the client sent: %w", err), conn.Close())
	}
	if len(early) > 0 {
		conn = &earlyConn{Conn: conn, early: append([]byte(nil), early...)}
	}
	c := u.socket
	c.Conn = conn
	if s, ok := conn.(syscall.Conn); ok {
		if c.raw, err = s.SyscallConn(); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("take over the connection: %w", err), conn.Close())
		}
	}
	var answer bytes.Buffer
	fmt.Fprintf(&answer, "HTTP/1.1 %d %s\r\n", u.status, http.StatusText(u.status))
	if err := u.Header().Write(&answer); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("write the header: %w", err), conn.Close())
	}
	answer.WriteString("\r\n")
	c.greeting = answer.Bytes()
	return c, bufio.NewReadWriter(bufio.NewReaderSize(c, readBuffer), bufio.NewWriterSize(c, writeBuffer)), nil
}

// greet writes the answer to the upgrade by itself.
func (c *socket) greet() error {
	_, err := c.Conn.Write(c.greeting)
	c.greeting = nil
	if err != nil {
		return fmt.Errorf("live: answer the upgrade: %w", err)
	}
	return nil
}

// earlyConn is a connection of which some was read already.
type earlyConn struct {
	net.Conn

	early []byte
}

// Read implements net.Conn.
func (c *earlyConn) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(b) //nolint:wrapcheck // it is that connection
}

// SyscallConn implements syscall.Conn.
func (c *earlyConn) SyscallConn() (syscall.RawConn, error) {
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.SyscallConn() //nolint:wrapcheck // it is that connection
}

// begin sends what the library writes through a session from now on.
func (c *socket) begin(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
}

// patient lifts what bounds writing to a stranger: a session does not wait.
func (c *socket) patient() { _ = c.SetWriteDeadline(time.Time{}) }

// Write is for the library: it writes whole control frames.
func (c *socket) Write(b []byte) (int, error) {
	c.mu.Lock()
	s, parted := c.session, c.parted
	c.mu.Unlock()
	switch {
	case parted: // the close frame was the last
	case s != nil:
		s.SendControl(b)
	default:
		return c.Conn.Write(b) //nolint:wrapcheck // it is that connection
	}
	return len(b), nil
}

// transport is the socket as a session writes to it.
type transport struct{ *socket }

// Write implements Transport.
func (t transport) Write(b []byte) (n int, err error) { return t.writeNow(b) }

// Close implements Transport.
func (t transport) Close(rest []byte, code CloseCode, reason string) { t.part(rest, code, reason) }

// writeNow writes what there is room for.
func (c *socket) writeNow(b []byte) (n int, err error) {
	if c.raw == nil {
		return c.Conn.Write(b) //nolint:wrapcheck // it is that connection
	}
	failed := c.raw.Write(func(fd uintptr) bool {
		for {
			n, err = syscall.Write(int(fd), b)
			if !errors.Is(err, syscall.EINTR) {
				return true
			}
		}
	})
	if errors.Is(err, syscall.EAGAIN) {
		return 0, nil
	}
	if err = errors.Join(failed, err); err != nil {
		return 0, fmt.Errorf("live: write to a socket: %w", err)
	}
	return n, nil
}

// part ends the connection with a close frame, and has whoever reads from it come
// to an end soon.
func (c *socket) part(rest []byte, code CloseCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parted {
		return
	}
	c.parted = true
	last := append(slices.Clip(rest), closeFrame(code, reason)...)
	_ = c.SetReadDeadline(time.Now().Add(parting)) // fails on a closed one alone
	n, err := c.writeNow(last)
	if err == nil && n == len(last) {
		return // the client answers with a close frame, or the deadline passes
	}
	go c.partLate(last[n:])
}

// partLate waits for room for the last bytes.
func (c *socket) partLate(last []byte) {
	_ = c.SetWriteDeadline(time.Now().Add(parting))
	_, _ = c.Conn.Write(last)
}

// end closes the connection. Whoever read from it calls it.
func (c *socket) end() { _ = c.ws.CloseNow() }

// cut closes the connection of a client who is gone.
func (c *socket) cut() { _ = c.Close() }

func (c *socket) hear() { c.heard.Store(time.Now().UnixMilli()) }

// closeFrame returns a close frame; the reason has at most 123 bytes.
func closeFrame(code CloseCode, reason string) []byte {
	const finalClose = 0x88
	b := []byte{finalClose, byte(2 + len(reason))} //nolint:gosec // short
	b = binary.BigEndian.AppendUint16(b, uint16(code))
	return append(b, reason...)
}
