package redis

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	breakAfter = 3 // failures in a row
	openFor    = time.Second
)

// breaker lets calls through until some fail in a row, and then one at a time,
// about once a second, until one succeeds.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int
	open     bool
	until    time.Time // when open: of the next probe
	probing  bool
}

type change int

const (
	unchanged change = iota
	opened
	closed
)

// enter reports whether a call may be made. Whoever may says leave afterwards,
// and whether it was the probe.
func (b *breaker) enter() (probe, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
		return false, true
	case b.probing || b.now().Before(b.until):
		return false, false
	}
	b.probing = true
	return true, true
}

func (b *breaker) leave(probe, succeeded bool) change {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	was := b.open
	switch {
	case succeeded && (probe || !b.open):
		b.failures, b.open = 0, false
	case succeeded: // of a call from before it opened: the probe is to say
	case b.open && !probe: // likewise
	default:
		if b.failures++; probe || b.failures >= breakAfter {
			b.open = true
			// Nodes that lost Redis together do not come back together.
			b.until = b.now().Add(openFor*3/4 + rand.N(openFor/2)) //nolint:gosec // a jitter
		}
	}
	switch {
	case b.open && !was:
		return opened
	case was && !b.open:
		return closed
	}
	return unchanged
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}
