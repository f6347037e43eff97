package redis

import (
	"context"
	"sync"
)

// leaders is how many batches are under way at once: while one waits for the
// network, the next is written.
const leaders = 2

// batcher turns calls that are made at the same time into batches. There are no
// timers and no goroutines: the first caller flushes its own job at once; those
// who come while batches are under way wait, and the first of them flushes for
// all when a batch is done. What waits is bounded by the callers, who wait too.
type batcher[T any] struct {
	flush func(context.Context, []T)
	limit int // of the sizes of a batch; a single job may be larger

	mu      sync.Mutex
	leading int
	waiting []*pending[T] // empty while leading is below leaders
}

type pending[T any] struct {
	job  T
	size int
	// turn brings the batch that the caller must flush, or nil when its job is
	// done.
	turn chan []*pending[T]
}

// do returns when the job was flushed.
func (b *batcher[T]) do(ctx context.Context, job T, size int) {
	p := &pending[T]{job: job, size: size}
	var batch []*pending[T]
	b.mu.Lock()
	if b.leading < leaders {
		b.leading++
		b.mu.Unlock()
		batch = []*pending[T]{p}
	} else {
		p.turn = make(chan []*pending[T], 1)
		b.waiting = append(b.waiting, p)
		b.mu.Unlock()
		if batch = <-p.turn; batch == nil {
			return
		}
	}
	jobs := make([]T, len(batch))
	for i, q := range batch {
		jobs[i] = q.job
	}
	b.flush(ctx, jobs)
	b.mu.Lock()
	next := b.take()
	if next == nil {
		b.leading--
	}
	b.mu.Unlock()
	if next != nil {
		next[0].turn <- next
	}
	for _, q := range batch {
		if q != p {
			q.turn <- nil
		}
	}
}

func (b *batcher[T]) take() []*pending[T] {
	if len(b.waiting) == 0 {
		return nil
	}
	n, size := 0, 0
	for n < len(b.waiting) && (n == 0 || size+b.waiting[n].size <= b.limit) {
		size += b.waiting[n].size
		n++
	}
	batch := b.waiting[:n:n]
	if b.waiting = b.waiting[n:]; len(b.waiting) == 0 {
		b.waiting = nil
	}
	return batch
}
