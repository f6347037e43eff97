package lanes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kith/persistence"
)

// recover settles a batch of which nobody knows whether it committed. Its
// callers are told so at once, and the turns that wait behind it move: their
// activations replay the truth. Then the epoch is raised, which the database
// does only after it is done with the batch, one way or the other. Until that
// succeeds nothing is committed.
func (c *Committer) recover(ctx context.Context, batch []*submission, cause error) error {
	c.cfg.Logger.Error("the outcome of a batch is unknown; raising the epoch", "turns", len(batch), "error", cause)
	c.fail(cause)
	c.finishAll(batch, ErrUnknown)
	c.refuseQueued(ErrMoved)
	c.unsettled.Wait() // the rings have all that was committed before

	backoff := minBackoff
	for attempt := 1; ; attempt++ {
		err := c.raise(ctx, attempt)
		if err == nil {
			c.recovered()
			c.refuseQueued(ErrMoved) // decided on what was true before
			return nil
		}
		if errors.Is(err, persistence.ErrFenced) {
			return fmt.Errorf("settle an unknown outcome: %w", err)
		}
		c.cfg.Logger.Warn("the epoch could not be raised yet", "error", err, "retry_in", backoff)
		c.fail(err)
		c.refuseQueued(ErrUnavailable)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

const (
	minBackoff   = 20 * time.Millisecond
	maxBackoff   = 2 * time.Second
	raiseTimeout = 10 * time.Second
)

func (c *Committer) raise(ctx context.Context, attempt int) error {
	ctx, cancel := context.WithTimeout(ctx, raiseTimeout)
	defer cancel()
	node, err := c.Node(), error(nil)
	if attempt == 1 {
		node, err = c.cfg.Lanes.Raise(ctx, node)
	} else {
		// The answer of an earlier raise may be what was lost: then our epoch is
		// stale though the lanes are still ours, and acquiring them finds out.
		node, err = c.cfg.Lanes.Acquire(ctx, node.ID, c.cfg.Lease)
	}
	if err != nil {
		return fmt.Errorf("raise the epoch: %w", err)
	}
	c.metrics.raises.Inc()
	c.node.Store(&node)
	heads, err := c.cfg.Journal.Heads(ctx)
	if err != nil {
		return fmt.Errorf("read the heads of the lanes: %w", err)
	}
	// What the lost batch may have committed is found in the database.
	for lane := range c.rings {
		c.rings[lane].reset(heads[lane])
	}
	c.wake(^uint64(0))
	return nil
}

func (c *Committer) fail(err error) {
	c.failure.Store(&err)
	c.metrics.healthy.Set(0)
}

func (c *Committer) recovered() {
	if c.failure.Swap(nil) != nil {
		c.cfg.Logger.Info("the database takes commits again")
	}
	c.metrics.healthy.Set(1)
}
