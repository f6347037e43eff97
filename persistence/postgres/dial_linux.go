package postgres

import (
	"fmt"
	"strings"
	"syscall"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of linux/tcp.h.
const tcpUserTimeout = 0x12

// limitUnacknowledged ends a connection on which something was sent and not
// acknowledged for long. Without it the kernel goes on sending for a quarter of
// an hour.
func limitUnacknowledged(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	if err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(userTimeout.Milliseconds()))
	}); err != nil {
		return fmt.Errorf("set the user timeout: %w", err)
	}
	if failed != nil {
		return fmt.Errorf("set the user timeout: %w", failed)
	}
	return nil
}
