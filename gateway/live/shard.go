package live

import (
	"context"
	"sync"
	"time"

	"kith/actors/user"
)

// Transport is the connection of a session. Neither method waits for the network,
// or calls the session.
// Write is called by one goroutine at a time, and not after Close, which is called
// at most once.
type Transport interface {
	// Write writes as much of b as there is room for now. n below len(b) without
	// an error means that there is no more; the rest is tried again.
	Write(b []byte) (n int, err error)
	// Close closes the connection, whoever reads from it learns of it.
	Close(code CloseCode, reason string)
}

const (
	// maxPending bounds the live bytes that wait for one session. Full: it is
	// closed as slow, and resumes from its cursor.
	maxPending = 256 << 10
	// retryEvery is how often a connection without room is tried again.
	retryEvery = 10 * time.Millisecond
)

// shard owns the buffers of its sessions and writes them out.
type shard struct {
	mu     sync.Mutex
	dirty  []*Session    // have something to write; each once
	flowed []*Session    // were sent a frame since their last cursor; each once
	wake   chan struct{} // holds one
}

func newShard() *shard { return &shard{wake: make(chan struct{}, 1)} }

// outbox is what waits for one session. All of it is the shard's.
type outbox struct {
	queue   []*Frame
	written int // bytes of queue[0] that are through
	bytes   int // of the live frames in queue
	replay  int // leading frames of queue that do not count into bytes
	// counters holds the newest of each user, sent after the queue: older ones are
	// of no use to anybody.
	counters map[user.ID]*Frame
	held     bool // the replay comes first
	closed   bool
	dirty    bool
	flowed   bool
}

// push queues a frame for a session.
func (s *Session) push(f *Frame) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.pushLocked(f)
	s.flowLocked()
}

// flowLocked asks for a cursor.
func (s *Session) flowLocked() {
	if !s.out.flowed && !s.out.closed {
		s.out.flowed = true
		s.shard.flowed = append(s.shard.flowed, s)
	}
}

func (s *Session) pushLocked(f *Frame) {
	o := &s.out
	if o.closed {
		return
	}
	if o.bytes+len(f.whole) > maxPending && !o.held {
		s.drain() // the connection may have room, and the writer's turn not come yet
	}
	if o.closed {
		return
	}
	if o.bytes+len(f.whole) > maxPending {
		s.closeLocked(CloseTooSlow, "too slow")
		return
	}
	o.queue = append(o.queue, f)
	o.bytes += len(f.whole)
	s.markLocked()
}

// pushCounters queues the newest counters of a user in place of older ones.
func (s *Session) pushCounters(of user.ID, f *Frame) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if s.out.closed {
		return
	}
	if s.out.counters == nil {
		s.out.counters = make(map[user.ID]*Frame)
	}
	s.out.counters[of] = f // as many as a session can watch, and its own
	s.markLocked()
}

// release lets go of what was held: first frames, then what came meanwhile and is
// not among them.
func (s *Session) release(first []*Frame) {
	seen := make(map[recordID]struct{}, len(first))
	for _, f := range first {
		seen[f.id()] = struct{}{}
	}
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	o := &s.out
	if o.closed || !o.held {
		return
	}
	o.held = false
	queue := append(make([]*Frame, 0, len(first)+len(o.queue)), first...)
	for _, f := range o.queue {
		_, repeated := seen[f.id()]
		if repeated && f.id() != (recordID{}) {
			o.bytes -= len(f.whole)
			continue
		}
		queue = append(queue, f)
	}
	o.queue, o.replay = queue, len(first)
	s.flowLocked()
	s.markLocked()
}

// markLocked asks the shard to write for s.
func (s *Session) markLocked() {
	if s.out.dirty || s.out.held {
		return
	}
	s.out.dirty = true
	s.shard.dirty = append(s.shard.dirty, s)
	select {
	case s.shard.wake <- struct{}{}:
	default:
	}
}

// close closes the session's connection. A second time it does nothing.
func (s *Session) close(code CloseCode, reason string) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.closeLocked(code, reason)
}

func (s *Session) closeLocked(code CloseCode, reason string) {
	if s.out.closed {
		return
	}
	s.out.closed = true
	s.out.queue, s.out.counters, s.out.bytes, s.out.replay = nil, nil, 0, 0
	s.transport.Close(code, reason)
}

// run writes until ctx ends.
func (sh *shard) run(ctx context.Context) {
	for {
		var again <-chan time.Time
		if sh.flush() {
			again = time.After(retryEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-sh.wake:
		case <-again:
		}
	}
}

// flush writes what there is room for, and reports whether something is left.
func (sh *shard) flush() (left bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	kept := sh.dirty[:0]
	for _, s := range sh.dirty {
		if s.drain() {
			kept = append(kept, s)
		} else {
			s.out.dirty = false
		}
	}
	clear(sh.dirty[len(kept):])
	sh.dirty = kept
	return len(kept) > 0
}

// drain writes for one session and reports whether something is left.
func (s *Session) drain() (left bool) {
	o := &s.out
	for !o.closed {
		if len(o.queue) == 0 {
			if !o.takeCounters() {
				o.queue = nil
				return false
			}
		}
		f := o.queue[0]
		n, err := s.transport.Write(f.whole[o.written:])
		if err != nil {
			s.closeLocked(CloseGoingAway, "the connection is gone")
			return false
		}
		if o.written += n; o.written < len(f.whole) {
			return true
		}
		o.written = 0
		if o.replay > 0 {
			o.replay--
		} else {
			o.bytes -= len(f.whole)
		}
		o.queue[0] = nil
		o.queue = o.queue[1:]
	}
	return false
}

// takeCounters moves the counters into the empty queue.
func (o *outbox) takeCounters() bool {
	for _, f := range o.counters {
		o.queue = append(o.queue, f)
		o.bytes += len(f.whole)
	}
	clear(o.counters)
	return len(o.queue) > 0
}

// issue sends a cursor to all who were sent something since their last one. It is
// for the goroutine that delivers: between two deliveries everything up to the
// hub's positions is in the queues, before the cursor.
func (sh *shard) issue(f *Frame) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	kept := sh.flowed[:0]
	for _, s := range sh.flowed {
		switch {
		case s.out.closed:
		case s.out.held:
			kept = append(kept, s)
		default:
			s.out.flowed = false
			s.pushLocked(f)
		}
	}
	clear(sh.flowed[len(kept):])
	sh.flowed = kept
}
