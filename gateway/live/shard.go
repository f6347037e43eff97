package live

import (
	"context"
	"slices"
	"sync"
	"time"

	"kith/actors/user"
)

// Transport is the connection of a session. None of its methods waits for the
// network, or calls the session. Write is called by one goroutine at a time, and
// not after Close, which is called at most once.
type Transport interface {
	// Write writes as much of b as there is room for now. n below len(b) without
	// an error means that there is no more; the rest is tried again.
	Write(b []byte) (n int, err error)
	// Close sends rest, the end of a frame whose beginning was written or what was to
	// come before the first, and that the connection is closed, and why, as far as it
	// still takes them. Whoever reads from it learns of it.
	Close(rest []byte, code CloseCode, reason string)
}

const (
	// maxPending bounds the live bytes that wait for one session. Full: it is
	// closed as slow, and resumes from its cursor.
	maxPending = 256 << 10
	// A connection without room is tried again later and later: there may be many
	// that nobody reads from.
	minRetry = 10 * time.Millisecond
	maxRetry = 320 * time.Millisecond
	// atOnce is how many bytes are written by one call, and turn how many sessions
	// are written to before others may push again.
	atOnce = 64 << 10
	turn   = 32
)

// shard owns the buffers of its sessions and writes them out.
type shard struct {
	metrics *Metrics
	// gate is held for each turn of writing, and by the hub while it delivers: else
	// the two would take turns socket by socket, and little would be written at once.
	gate *sync.RWMutex

	mu      sync.Mutex
	dirty   []*Session    // have something to write; each once
	blocked []*Session    // found no room; each once, and not in dirty
	flowed  []*Session    // were sent a frame since their last cursor; each once
	scratch []byte        // what is written at once
	wake    chan struct{} // holds one

	writing []*Session // of run alone
}

func newShard(m *Metrics, gate *sync.RWMutex) *shard {
	return &shard{metrics: m, gate: gate, scratch: make([]byte, 0, atOnce), wake: make(chan struct{}, 1)}
}

// outbox is what waits for one session. All of it is the shard's.
type outbox struct {
	queue   []*Frame
	written int // bytes of queue[0] that are through
	bytes   int // of the live frames in queue
	replay  int // leading frames of queue that do not count into bytes
	// counters holds the newest of each user, sent after the queue: older ones are
	// of no use to anybody.
	counters map[user.ID]*Frame
	retry    time.Duration // 0: the connection has room, as far as is known
	retryAt  time.Time
	held     bool   // the replay comes first
	preface  []byte // while held: what comes before everything, a close frame too
	closed   bool
	dirty    bool // in one of the lists of the shard
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
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	o := &s.out
	if o.closed || !o.held {
		return
	}
	first[0] = &Frame{whole: slices.Concat(o.preface, first[0].whole)}
	o.held, o.preface = false, nil
	queue := first
	if len(o.queue) > 0 {
		seen := make(map[recordID]struct{}, len(first))
		for _, f := range first {
			seen[f.id()] = struct{}{}
		}
		for _, f := range o.queue {
			if _, repeated := seen[f.id()]; repeated && f.id() != (recordID{}) {
				o.bytes -= len(f.whole)
			} else {
				queue = append(queue, f)
			}
		}
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
	o := &s.out
	if o.closed {
		return
	}
	o.closed = true
	rest := o.preface
	if o.written > 0 {
		rest = o.queue[0].whole[o.written:]
	}
	o.queue, o.counters, o.bytes, o.replay, o.preface = nil, nil, 0, 0, nil
	s.shard.metrics.closed(code)
	s.transport.Close(rest, code, reason)
}

// run writes until ctx ends.
func (sh *shard) run(ctx context.Context) {
	retry := time.NewTimer(maxRetry)
	defer retry.Stop()
	for {
		sh.flush()
		if sh.unblock() {
			retry.Reset(minRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-sh.wake:
		case <-retry.C:
		}
	}
}

// flush writes what waits, as far as there is room. It lets others push in
// between: with thousands of sessions a round takes long.
func (sh *shard) flush() {
	sh.mu.Lock()
	sh.writing, sh.dirty = sh.dirty, sh.writing[:0]
	sh.mu.Unlock()
	for some := range slices.Chunk(sh.writing, turn) {
		sh.gate.RLock()
		sh.mu.Lock()
		for i, s := range some {
			sh.write(s)
			some[i] = nil
		}
		sh.mu.Unlock()
		sh.gate.RUnlock()
	}
}

// write writes for one session of the list of those that are dirty.
func (sh *shard) write(s *Session) {
	o := &s.out
	if !s.drain() {
		o.dirty, o.retry = false, 0
		return
	}
	o.retry = min(max(2*o.retry, minRetry), maxRetry)
	o.retryAt = time.Now().Add(o.retry)
	sh.blocked = append(sh.blocked, s)
}

// unblock tries those again that found no room, whose time has come, and reports
// whether some are left.
func (sh *shard) unblock() (left bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.blocked) == 0 {
		return false
	}
	now := time.Now()
	blocked := sh.blocked
	sh.blocked = sh.blocked[:0]
	for _, s := range blocked {
		if now.Before(s.out.retryAt) && !s.out.closed {
			sh.blocked = append(sh.blocked, s)
		} else {
			sh.write(s) // appends at most what was taken
		}
	}
	clear(blocked[len(sh.blocked):])
	return len(sh.blocked) > 0
}

// drain writes for one session and reports whether something is left.
func (s *Session) drain() (left bool) {
	o := &s.out
	for !o.closed {
		if len(o.queue) == 0 && !o.takeCounters() {
			o.queue = nil
			return false
		}
		b := s.shard.gather(o)
		n, err := s.transport.Write(b)
		if err != nil {
			s.closeLocked(CloseGoingAway, "the connection is gone")
			return false
		}
		s.shard.metrics.wrote(o.pop(n), n)
		if n < len(b) {
			return true
		}
	}
	return false
}

// gather returns the bytes of the queue that are written at once. They are good
// until the next call.
func (sh *shard) gather(o *outbox) []byte {
	first := o.queue[0].whole[o.written:]
	if len(o.queue) == 1 || len(first) >= atOnce {
		return first
	}
	b := append(sh.scratch[:0], first...)
	for _, f := range o.queue[1:] {
		if len(b)+len(f.whole) > atOnce {
			break
		}
		b = append(b, f.whole...)
	}
	return b
}

// pop takes n written bytes off the queue and returns how many frames that ends.
func (o *outbox) pop(n int) (frames int) {
	n += o.written
	for len(o.queue) > 0 && n >= len(o.queue[0].whole) {
		f := o.queue[0]
		n -= len(f.whole)
		if o.replay > 0 {
			o.replay--
		} else {
			o.bytes -= len(f.whole)
		}
		o.queue[0] = nil
		o.queue = o.queue[1:]
		frames++
	}
	o.written = n
	return frames
}

// takeCounters moves the counters into the empty queue.
func (o *outbox) takeCounters() bool {
	for _, f := range o.counters {
		o.queue = append(o.queue, f)
		o.bytes += len(f.whole)
	}
	o.counters = nil
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
