package effects

import (
	"context"
	"sync"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
)

// crowd is the number of effects that may wait for a target that fails; above
// it they are parked, or one target could take all the room there is.
const crowd = 1024

// targets holds the queue of every target that has effects in flight.
type targets struct {
	mu   sync.Mutex
	byID map[user.ID]*target
	idle sync.Pool
}

// target is a user to whom effects are to be delivered. One goroutine works on
// it, from its first effect to its last.
type target struct {
	id    user.ID
	queue []usergrain.Effect // in lane order; guarded by targets.mu
	batch []usergrain.Effect // of the goroutine
}

func newTargets() targets {
	return targets{byID: make(map[user.ID]*target), idle: sync.Pool{New: func() any { return new(target) }}}
}

// enqueue adds an effect to the queue of its target.
func (t *Tail) enqueue(ctx context.Context, id user.ID, e usergrain.Effect) {
	t.targets.mu.Lock()
	defer t.targets.mu.Unlock()
	if q := t.targets.byID[id]; q != nil {
		q.queue = append(q.queue, e)
		return
	}
	q, _ := t.targets.idle.Get().(*target)
	q.id = id
	q.queue = append(q.queue, e)
	t.targets.byID[id] = q
	t.running.Go(func() { t.drain(ctx, q) })
}

// drain delivers what waits for a target until nothing does.
func (t *Tail) drain(ctx context.Context, q *target) {
	for t.targets.take(q) {
		if t.deliver(ctx, q) != nil {
			return // ctx has ended
		}
		for i := range q.batch {
			t.ack(ctx, q.batch[i].Lane, q.batch[i].Pos)
		}
	}
}

// take moves what waits, up to one call, into the batch. When nothing waits the
// target is forgotten.
func (ts *targets) take(q *target) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	n := min(len(q.queue), maxEffects)
	if n == 0 {
		delete(ts.byID, q.id)
		if cap(q.queue) <= maxEffects {
			q.batch = q.batch[:0]
			ts.idle.Put(q)
		}
		return false
	}
	q.batch = append(q.batch[:0], q.queue[:n]...)
	q.queue = append(q.queue[:0], q.queue[n:]...)
	return true
}

func (ts *targets) crowded(q *target) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return len(q.queue)+len(q.batch) > crowd
}

// deliver returns when the batch of a target is committed there, or parked, or
// when the target is gone and the sources have dropped their edges. The error is
// that of ctx.
func (t *Tail) deliver(ctx context.Context, q *target) error {
	err := t.reach(ctx, errand{
		target: q.id,
		call:   func(ctx context.Context) error { return t.cfg.Grains.Deliver(ctx, q.id, q.batch) },
		parked: func() []persistence.Parked {
			parked := make([]persistence.Parked, len(q.batch))
			for i, e := range q.batch {
				parked[i] = persistence.Parked{Lane: e.Lane, Pos: e.Pos}
			}
			return parked
		},
		crowded: func() bool { return t.targets.crowded(q) },
	})
	if !gone(err) {
		if err == nil {
			t.metrics.effects.Add(float64(len(q.batch)))
		}
		return err
	}
	return each(q.batch, severWorkers, func(e usergrain.Effect) error {
		if e.Removed {
			return nil
		}
		err := t.reach(ctx, severErrand(t.cfg.Grains, e.Source, q.id, e.Lane, e.Pos))
		if gone(err) {
			return nil // there is no other side any more
		}
		return err
	})
}
