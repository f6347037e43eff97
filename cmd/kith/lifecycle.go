package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// part is something that runs until its context ends.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// runParts starts parts in order and waits until ctx ends or one of them does.
// Then it stops them in reverse: each has finished before the one below it is
// told to stop, so that what is in flight above can still be carried out below.
// Within grace all must have stopped, else the error says who has not.
func runParts(ctx context.Context, logger *slog.Logger, grace time.Duration, parts []part) error {
	type running struct {
		part
		cancel context.CancelFunc
		done   chan struct{}
		err    error
	}
	var (
		started = make([]*running, 0, len(parts))
		first   = make(chan *running, len(parts)) // those that ended
		wg      sync.WaitGroup
	)
	for _, p := range parts {
		partCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := &running{part: p, cancel: cancel, done: make(chan struct{})}
		started = append(started, r)
		wg.Go(func() {
			defer close(r.done)
			if err := r.run(partCtx); err != nil {
				r.err = fmt.Errorf("%s: %w", r.name, err)
			}
			first <- r
		})
	}

	var cause error
	select {
	case <-ctx.Done():
		logger.Info("stopping", "grace", grace)
	case r := <-first:
		if cause = r.err; cause == nil {
			cause = fmt.Errorf("%s ended", r.name)
		}
		logger.Error("a part ended; stopping", "part", r.name, "error", r.err)
	}

	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	for i, r := range slices.Backward(started) {
		r.cancel()
		select {
		case <-r.done:
		case <-deadline.C:
			for _, below := range started[:i] {
				below.cancel()
			}
			return errors.Join(cause, fmt.Errorf("%s did not stop within %s", r.name, grace))
		}
		if r.err != nil && !errors.Is(cause, r.err) {
			cause = errors.Join(cause, r.err)
		}
	}
	wg.Wait()
	return cause
}
