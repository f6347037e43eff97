package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"kith/test/services/server"
)

// exclusive is a server that tests have one after another, also those of other
// processes of this machine, because the names in it are the same for all.
type exclusive struct {
	kind     server.Kind
	variable string // that names one; "" for none
	// at returns where it is.
	at func() (string, error)
	// forget removes what tests before have left.
	forget func(ctx context.Context, at string) error
	// free is held by the test of this process that has the server.
	free chan struct{}
}

// oneByOne returns a server that tests have one after another.
func oneByOne(k server.Kind, variable string, start func(*server.Yard) (string, error), forget func(ctx context.Context, at string) error) *exclusive {
	return &exclusive{kind: k, variable: variable, at: shared(variable, start), forget: forget, free: make(chan struct{}, 1)}
}

// take waits for the server, which the test then has for itself, and empties it.
func (e *exclusive) take(tb testing.TB) (at string) {
	tb.Helper()
	configured := os.Getenv(e.variable) != ""
	if !configured {
		_, err := server.Find(e.kind)
		must(tb, e.kind, err)
	}
	e.free <- struct{}{}
	tb.Cleanup(func() { <-e.free })
	at, err := e.at()
	must(tb, e.kind, err)
	if configured { // one's own is known to nobody else
		lock, err := e.lock(at)
		must(tb, e.kind, err)
		tb.Cleanup(func() { check(tb, lock.Close()) })
	}
	check(tb, e.forget(tb.Context(), at))
	return at
}

// lock keeps other processes of this machine from the server until the file is
// closed.
func (e *exclusive) lock(at string) (*os.File, error) {
	sum := sha256.Sum256([]byte(at))
	path := filepath.Join(os.TempDir(), "kith-server-"+hex.EncodeToString(sum[:6])+".lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // ours
	if err != nil {
		return nil, fmt.Errorf("services: lock %s: %w", e.kind, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("services: lock %s: %w", e.kind, err), f.Close())
	}
	return f, nil
}

// shared returns where a server is that the tests of a process share: the one that a
// variable names, or one that is started, by the first that asks.
func shared(variable string, start func(*server.Yard) (string, error)) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		if configured := os.Getenv(variable); configured != "" {
			return configured, nil
		}
		y, err := yard()
		if err != nil {
			return "", err
		}
		return start(y)
	})
}
