package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"
)

// profile fetches a CPU profile of kith, for about as long as a round lasts, when
// one was asked for. The function that it returns waits for it.
func (b *bench) profile(ctx context.Context, s *server, name string, d time.Duration) (wait func() error) {
	if b.profileDir == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.ops, max(1, int(math.Round(d.Seconds()))))
		body, err := get(ctx, url)
		if err == nil {
			err = os.WriteFile(filepath.Join(b.profileDir, name+".pprof"), body, 0o600)
		}
		done <- err
	}()
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("profile kith: %w", err)
		}
		return nil
	}
}
