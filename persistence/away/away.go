// Package away knows whether a server outside answers: Watch looks at it every so
// often, and at once when a call to it has failed, so that others need not wait for
// one that is away, and it is used again soon after it is back.
package away

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// probeEvery is how often a server is looked at while all is well, and awayEvery
	// while it is not.
	probeEvery = 10 * time.Second
	awayEvery  = time.Second
	// failsAway is after how many calls in a row that failed a server counts as away
	// though it answers when it is looked at, until it is looked at the next time.
	failsAway = 3
)

// errFails is told of such a server.
var errFails = errors.New("calls fail in a row, though it answers")

// Watch looks at one server. It answers until it was found not to.
type Watch struct {
	probe   func(ctx context.Context) error
	told    func(err error)
	timeout time.Duration

	away    atomic.Bool   // as it was found when it was last looked at
	failed  atomic.Int64  // calls in a row, see Failed
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

// Worked notes that a call has succeeded.
func (w *Watch) Worked() {
	if w.failed.Load() > 0 { // mostly it is not: no write that others wait for
		w.failed.Store(0)
	}
}

// Failed has the server looked at, since a call has failed that should have worked
// whatever it was about: several in a row make it away. It goes with Worked.
func (w *Watch) Failed() {
	w.failed.Add(1)
	w.Suspect()
}

// Suspect has the server looked at, since a call has failed. That may be for what it
// was about, so it does not count.
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
		timer.Reset(w.look(ctx))
	}
}

// look looks at the server and returns when to do it again.
func (w *Watch) look(ctx context.Context) time.Duration {
	bounded, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	err, next := w.probe(bounded), awayEvery
	if ctx.Err() != nil {
		return next
	}
	if err == nil {
		next = probeEvery
		if w.failed.Load() >= failsAway {
			w.failed.Store(0)
			err = errFails
		}
	}
	if was := w.away.Swap(err != nil); was != (err != nil) {
		w.told(err)
	}
	return next
}
