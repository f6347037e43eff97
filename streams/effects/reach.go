package effects

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/streams"
)

// How long a call that fails is made again before what it stands for is parked,
// so that the lanes go on; less when the target takes up much room.
const (
	patience      = 30 * time.Second
	crowdPatience = time.Second
)

// errand is a call to a user that must be made.
type errand struct {
	target user.ID
	call   func(ctx context.Context) error
	// parked returns the lane positions that stand for the call.
	parked func() []persistence.Parked
	// crowded reports whether so much waits behind the call that it must not be
	// waited for.
	crowded func() bool
}

// severErrand makes id drop its edges to and from other, who is gone. (lane, pos)
// is the record that says so: the deletion, or id's own following of other.
func severErrand(grains Grains, id, other user.ID, lane uint8, pos uint64) errand {
	return errand{
		target: id,
		call: func(ctx context.Context) error {
			_, err := grains.Do(ctx, id, user.Sever{Gone: other})
			return err //nolint:wrapcheck // judged by reach
		},
		parked:  func() []persistence.Parked { return []persistence.Parked{{Lane: lane, Pos: pos}} },
		crowded: func() bool { return false },
	}
}

// reach makes a call until it is through, or parks it, and returns nil. It
// returns the refusal (see gone) when there is no such user, and else the error
// of ctx, which has ended. Making the call twice must be harmless.
func (t *Tail) reach(ctx context.Context, e errand) error {
	backoff := streams.Backoff{Min: 10 * time.Millisecond, Max: 2 * time.Second}
	var failing time.Time
	for {
		if behind, err := t.parked.enter(ctx, e.target, false); err != nil {
			return err
		} else if behind {
			return t.park(ctx, e, "queued behind others")
		}
		err := t.call(ctx, e.call)
		switch {
		case err == nil, gone(err):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, usergrain.ErrBroken):
			return t.parkFirst(ctx, e, err)
		}
		t.metrics.retries.Inc()
		now := time.Now()
		if failing.IsZero() {
			failing = now
		}
		since := now.Sub(failing)
		impatient := since > patience || since > crowdPatience && e.crowded()
		if impatient && !errors.Is(err, usergrain.ErrUnavailable) { // else the database is away, and cannot park
			return t.parkFirst(ctx, e, err)
		}
		backoff.Wait(ctx)
	}
}

// call makes one call, when there is room for it.
func (t *Tail) call(ctx context.Context, call func(context.Context) error) error {
	select {
	case t.calls <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.calls }()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := call(ctx)
	switch {
	case err == nil:
		t.metrics.calls.WithLabelValues("ok").Inc()
	case gone(err):
		t.metrics.calls.WithLabelValues("gone").Inc()
	default:
		t.metrics.calls.WithLabelValues("failed").Inc()
	}
	return err
}

// gone reports whether err says that there is no such user, and never will be.
func gone(err error) bool {
	return errors.Is(err, user.ErrDeleted) || errors.Is(err, user.ErrNotRegistered)
}

// persist makes a write until it succeeds; the error is that of ctx.
func (t *Tail) persist(ctx context.Context, what string, write func(context.Context) error) error {
	backoff := streams.Backoff{Min: 20 * time.Millisecond, Max: 5 * time.Second}
	for attempt := 1; ; attempt++ {
		bounded, cancel := context.WithTimeout(ctx, writeTimeout)
		err := write(bounded)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
		t.metrics.retries.Inc()
		if attempt == 1 { // then the metric tells
			t.cfg.Logger.Warn("the effects tail tries again", "what", what, "error", err)
		}
		backoff.Wait(ctx)
	}
}

// each calls f with every item, a few at a time, and returns the first error.
// After an error no more are begun.
func each[T any](items []T, workers int, f func(T) error) error {
	if len(items) == 1 {
		return f(items[0])
	}
	var (
		next  atomic.Int64
		first atomic.Pointer[error]
		group sync.WaitGroup
	)
	for range min(workers, len(items)) {
		group.Go(func() {
			for first.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(items) {
					return
				}
				if err := f(items[i]); err != nil {
					first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	group.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}
