package live

import "time"

const (
	// graceTime is how long the index holds a reader who went: most come back, and
	// then nothing has to be read or entered again.
	graceTime = 2 * time.Minute
	// graceFollows bounds what is held for those who went: their follows, and one for
	// each of them.
	graceFollows = 2 << 20
	// forgetFollows bounds what is forgotten at once, some milliseconds under the
	// hub's lock: whole crowds go at the same moment.
	forgetFollows = 20_000
)

// departed are the readers who went. It belongs to the hub's lock.
type departed struct {
	index   *index
	order   fifo[departure] // oldest first; some are back, or went again
	follows int             // of all of order
}

type departure struct {
	reader  *reader
	at      time.Time
	follows int
}

// add notes that the last session of a reader went.
func (x *departed) add(r *reader, now time.Time) {
	if !r.begun { // it never knew whom it follows
		x.index.forget(r)
		return
	}
	r.left = now
	d := departure{reader: r, at: now, follows: 1 + len(r.follows)}
	x.order.push(d)
	for x.follows += d.follows; x.follows > graceFollows; {
		x.pop()
	}
}

// forget lets those go who went too long ago. What is more than it does at once is
// for the next time.
func (x *departed) forget(now time.Time) {
	for most := x.follows - forgetFollows; x.follows > most; {
		d, ok := x.order.first()
		if !ok || now.Sub(d.at) < graceTime {
			return
		}
		x.pop()
	}
}

func (x *departed) pop() {
	d, ok := x.order.pop()
	if !ok {
		return
	}
	x.follows -= d.follows
	if d.reader.left.Equal(d.at) && len(d.reader.sessions) == 0 && d.reader.person.reader == d.reader {
		x.index.forget(d.reader)
	}
}
