//go:build !linux

package postgres

import "syscall"

// limitUnacknowledged does nothing where the kernel has no such timeout: there
// the timeouts of the statements bound the wait.
func limitUnacknowledged(string, string, syscall.RawConn) error { return nil }
