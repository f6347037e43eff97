package streams

import (
	"sync/atomic"
	"time"
)

// Trial says for how long something is being tried. The zero Trial is not begun.
type Trial struct {
	since atomic.Int64 // unix nanoseconds; 0: it is not tried
}

// Begin notes that it is tried from now on.
func (t *Trial) Begin(now time.Time) { t.since.Store(now.UnixNano()) }

// End notes that it succeeded, or was given up.
func (t *Trial) End() { t.since.Store(0) }

// Lasts returns for how long it has been tried, 0 when it is not.
func (t *Trial) Lasts(now time.Time) time.Duration {
	since := t.since.Load()
	if since == 0 {
		return 0
	}
	return now.Sub(time.Unix(0, since))
}
