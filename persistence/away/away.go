// Package away knows whether a server outside answers: Watch looks at it every so
// often, and at once when a call to it has failed, so that others need not wait for
// one that is away, and it is used again soon after it is back.
package away

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// probeEvery is how often a server is looked at while all is well, and awayEvery
	// while it is not.
	probeEvery = 10 * time.Second
	awayEvery  = time.Second
)

// Watch looks at one server. It answers until it was found not to.
type Watch struct {
	probe   func(ctx context.Context) error
	told    func(err error)
	timeout time.Duration

	away    atomic.Bool   // as the last probe found it
	suspect chan struct{} // has one when a call failed since
}

// New makes a Watch; Run looks. A probe is what calls do: it returns nil when they
// would work, and ends within timeout. told is called with its error when the server
// has gone, and with nil when it is back.
func New(timeout time.Duration, probe func(ctx context.Context) error, told func(err error)) *Watch {
	return &Watch{probe: probe, told: told, timeout: timeout, suspect: make(chan struct{}, 1)}
}

// Away reports whether the server was away when it was last looked at.
func (w *Watch) Away() bool { return w.away.Load() }

// Suspect has the server looked at, since a call has failed.
func (w *Watch) Suspect() {
	select {
	case w.suspect <- struct{}{}:
	default: // it is being looked into
	}
}

// Run looks at the server until ctx ends, first at once.
func (w *Watch) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-w.suspect:
		case <-ctx.Done():
			return nil
		}
		w.look(ctx)
		if w.away.Load() {
			timer.Reset(awayEvery)
		} else {
			timer.Reset(probeEvery)
		}
	}
}

func (w *Watch) look(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	err := w.probe(bounded)
	if ctx.Err() != nil {
		return
	}
	if was := w.away.Swap(err != nil); was != (err != nil) {
		w.told(err)
	}
}
