package streams

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the pause before something is tried again. It doubles from Min to
// Max; a quarter of it is random, so that what failed together does not return
// together. The zero pause is Min.
type Backoff struct {
	Min, Max time.Duration
	next     time.Duration
}

// Next returns how long to wait now.
func (b *Backoff) Next() time.Duration {
	d := max(b.next, b.Min)
	b.next = min(2*d, b.Max)
	return d - rand.N(d/4+1) //nolint:gosec // spreads load
}

// Reset starts from Min again.
func (b *Backoff) Reset() { b.next = 0 }

// Wait waits for Next and reports whether ctx is still open.
func (b *Backoff) Wait(ctx context.Context) bool {
	timer := time.NewTimer(b.Next())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
