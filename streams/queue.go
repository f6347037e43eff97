package streams

import (
	"context"
	"sync"
	"time"

	"kith/persistence"
)

// Queue holds records between the tail that hands them out, whose MaxInFlight bounds
// it, and a goroutine of the handler that works on them in rounds.
type Queue struct {
	mu      sync.Mutex
	pending []persistence.Record // in order per lane
	more    chan struct{}        // there may be some
}

// NewQueue makes an empty queue.
func NewQueue() *Queue { return &Queue{more: make(chan struct{}, 1)} }

// Put appends records. It never waits, and does not keep the slice.
func (q *Queue) Put(records []persistence.Record) {
	q.mu.Lock()
	q.pending = append(q.pending, records...)
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// Take removes and returns the next records for a round, none when none wait: at most
// maxRecords, and no more once their payloads have maxBytes.
func (q *Queue) Take(maxRecords, maxBytes int) []persistence.Record {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for n < len(q.pending) && n < maxRecords && bytes < maxBytes {
		bytes += len(q.pending[n].Payload)
		n++
	}
	taken := q.pending[:n:n]
	if q.pending = q.pending[n:]; len(q.pending) == 0 {
		q.pending = nil // let go of payloads
	}
	return taken
}

// Await returns when records wait, and not before pause is over, in which those that
// trickle in gather; or when ctx ends.
func (q *Queue) Await(ctx context.Context, pause time.Duration) {
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
	q.mu.Lock()
	waiting := len(q.pending)
	q.mu.Unlock()
	if waiting > 0 {
		return
	}
	select {
	case <-q.more:
	case <-ctx.Done():
	}
}
