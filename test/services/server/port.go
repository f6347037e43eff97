package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
)

// The first and the last port for servers: below those that systems give to
// connections that go out, or a port could be taken while its server restarts.
const (
	firstPort, lastPort = 12_000, 20_000
	portTries           = 100
	// startTries is how often a server may find its port taken after all.
	startTries = 5
)

// freePort returns a port of 127.0.0.1 on which nobody listens.
func freePort(ctx context.Context) (int, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // any will do
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
