package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// The first and the last port for servers: below those that systems give to
// connections that go out, or a port could be taken while its server restarts.
const (
	firstPort, lastPort = 12_000, 20_000
	portTries           = 100
	// startTries is how often a server may find its port taken after all.
	startTries = 5
)

// reserved are the ports of this process. Each is a byte of one file, locked for as long
// as the process lives: nobody listens on the port of a server that is down, and it must
// come back there.
var reserved struct { //nolint:gochecknoglobals // of the process, as said
	sync.Mutex

	file  *os.File // never closed, which would end the locks
	ports map[int]bool
}

// reserve keeps a port for this process, and reports whether it could.
func reserve(port int) (ours bool, err error) {
	reserved.Lock()
	defer reserved.Unlock()
	if reserved.file == nil {
		path := filepath.Join(os.TempDir(), fmt.Sprintf("kith-ports-of-%d.lock", os.Getuid()))
		if reserved.file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil { //nolint:gosec // ours
			return false, fmt.Errorf("server: reserve a port: %w", err)
		}
		reserved.ports = make(map[int]bool)
	}
	if reserved.ports[port] {
		return false, nil
	}
	one := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart, Start: int64(port), Len: 1}
	err = syscall.FcntlFlock(reserved.file.Fd(), syscall.F_SETLK, &one)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("server: reserve a port: %w", err)
	}
	reserved.ports[port] = true
	return true, nil
}

// freePort returns a port of 127.0.0.1 on which nobody listens, and which no other
// server of tests will be given while this process lives.
func freePort(ctx context.Context) (int, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // any will do
		if ours, err := reserve(port); err != nil {
			return 0, err
		} else if !ours {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("server: look for a free port: %w", err)
		}
		return port, nil
	}
	return 0, fmt.Errorf("server: none of %d ports is free", portTries)
}

// dial reports whether somebody listens.
func dial(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("close a connection: %w", err)
	}
	return nil
}

// portTaken reports whether a log says so.
func portTaken(log string) bool {
	text := logEnd(log)
	return strings.Contains(text, "Address already in use") || strings.Contains(text, "could not bind")
}

// logEnd returns the end of a log, for an error.
func logEnd(path string) string {
	const shown = 4 << 10
	content, err := os.ReadFile(path) //nolint:gosec // of a server
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content[max(0, len(content)-shown):]))
}
