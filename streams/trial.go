package streams

import (
	"fmt"
	"sync/atomic"
	"time"
)

// unwell is how long something may be tried until Health says so.
const unwell = 5 * time.Second

// Trial says for how long something is being tried. The zero Trial is not begun.
type Trial struct {
	since atomic.Int64 // unix nanoseconds; 0: it is not tried
}

// Begin notes that it is tried from now on.
func (t *Trial) Begin(now time.Time) { t.since.Store(now.UnixNano()) }

// End notes that it succeeded, or was given up.
func (t *Trial) End() { t.since.Store(0) }

// Health returns nil unless it has been tried for long: then away, and for how long.
func (t *Trial) Health(now time.Time, away error) error {
	since := t.since.Load()
	if since == 0 {
		return nil
	}
	if d := now.Sub(time.Unix(0, since)); d > unwell {
		return fmt.Errorf("%w for %s", away, d.Round(time.Second))
	}
	return nil
}
