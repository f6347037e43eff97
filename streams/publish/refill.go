package publish

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/actors/user"
	"kith/streams"
)

// refillStep is how many users one step of the refill publishes.
const refillStep = 512

// refilling is a refill that goes on: everyone up to upTo has been published.
type refilling struct {
	upTo    user.ID
	backoff streams.Backoff
}

// beginRefill returns the refill that is to be done, or nil.
func (t *Tail) beginRefill(ctx context.Context) *refilling {
	if t.cfg.Ends == nil {
		return nil
	}
	backoff := retry()
	for ctx.Err() == nil {
		upTo, pending, err := t.cfg.Ends.Refill(ctx)
		switch {
		case err == nil && !pending:
			return nil
		case err == nil:
			return &refilling{upTo: upTo, backoff: backoff}
		}
		t.cfg.Logger.Warn("the state of the refill could not be read", "tail", t.cfg.Name, "error", err)
		backoff.Wait(ctx)
	}
	return nil
}

// refill does a step and returns what is left, nil for nothing. It runs between
// rounds: a row is read and published with no round in between, so that it never
// follows a newer one, nor the tombstone of its user.
func (t *Tail) refill(ctx context.Context, r *refilling) *refilling {
	upTo, done, err := t.refillStep(ctx, r.upTo)
	switch {
	case ctx.Err() != nil:
		return r
	case err != nil:
		t.metrics.failures.Inc()
		t.cfg.Logger.Warn("users could not be published; they will be tried again", "tail", t.cfg.Name, "after", r.upTo, "error", err)
		r.backoff.Wait(ctx)
		return r
	case done:
		t.cfg.Logger.Info("all users are published again", "tail", t.cfg.Name)
		return nil
	}
	r.backoff.Reset()
	r.upTo = upTo
	return r
}

func (t *Tail) refillStep(ctx context.Context, after user.ID) (upTo user.ID, done bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	accounts, err := t.cfg.Directory.AccountsAfter(bounded, after, refillStep)
	cancel()
	if err != nil {
		return 0, false, fmt.Errorf("read users after %d: %w", after, err)
	}
	upTo = after
	records := make([]*kgo.Record, 0, len(accounts))
	for _, a := range accounts {
		r, err := streams.EncodeLatest(a)
		if err != nil {
			return 0, false, fmt.Errorf("encode user %d: %w", a.ID, err)
		}
		records = append(records, r)
		upTo = a.ID
	}
	if _, err := t.send(ctx, records); err != nil {
		return 0, false, err
	}
	done = len(accounts) < refillStep
	bounded, cancel = context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := t.cfg.Ends.Refilled(bounded, upTo, done); err != nil {
		return 0, false, fmt.Errorf("keep the state of the refill: %w", err)
	}
	t.metrics.refilled.Add(float64(len(accounts)))
	return upTo, done, nil
}
