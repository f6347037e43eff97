package lanes

import (
	"sync"

	"kith/persistence"
)

// Ring holds the newest records of one lane. It is bounded: when full, the
// oldest record falls out, and who still needs it reads the database.
type Ring struct {
	mu      sync.RWMutex
	records []persistence.Record // circular; records[(pos-1)%len] holds pos
	first   uint64               // lowest position held; first > last: empty
	last    uint64               // highest position committed
}

func newRing(size int, head uint64) *Ring {
	return &Ring{records: make([]persistence.Record, size), first: head + 1, last: head}
}

// append adds records that follow each other. A gap, which an unknown outcome
// can leave, empties the ring first.
func (r *Ring) append(records []persistence.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := uint64(len(r.records))
	for i := range records {
		pos := records[i].Pos
		if pos != r.last+1 {
			r.first = pos
		}
		r.records[(pos-1)%size] = records[i]
		r.last = pos
		if r.last-r.first >= size {
			r.first = r.last - size + 1
		}
	}
}

// reset empties the ring and sets the head of its lane.
func (r *Ring) reset(head uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.records)
	r.first, r.last = head+1, head
}

// After appends to buf up to limit records above pos, in order. ok is false when
// the ring no longer holds the record at pos+1: read the database instead.
func (r *Ring) After(pos uint64, buf []persistence.Record, limit int) (records []persistence.Record, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if pos >= r.last {
		return buf, true
	}
	if pos+1 < r.first {
		return buf, false
	}
	size := uint64(len(r.records))
	for p := pos + 1; p <= r.last && limit > 0; p, limit = p+1, limit-1 {
		buf = append(buf, r.records[(p-1)%size])
	}
	return buf, true
}

// Head returns the highest committed position that the ring knows.
func (r *Ring) Head() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.last
}
