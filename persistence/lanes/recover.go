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
	c.raising.Store(true)
	c.finishAll(batch, ErrUnknown)
	c.refuse(ErrMoved) // also what is decided meanwhile: it may rest on what the batch has overtaken
	c.missUnknown(batch)
	c.unsettled.Wait() // the rings have all that was committed before

	backoff := minBackoff
	for attempt := 1; ; attempt++ {
		err := c.raise(ctx, attempt)
		if err == nil {
			c.raising.Store(false)
			c.recovered(c.failure.Load())
			c.accept()
			return nil
		}
		switch {
		case errors.Is(err, persistence.ErrFenced):
			return fmt.Errorf("settle an unknown outcome: %w", err)
		case errors.Is(err, persistence.ErrLeased): // to another node, which has fenced this one
			return fmt.Errorf("settle an unknown outcome: %w: %w", persistence.ErrFenced, err)
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the node stops; whoever starts next raises the epoch
		}
		c.cfg.Logger.Warn("the epoch could not be raised yet", "error", err, "retry_in", backoff)
		c.fail(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// missUnknown makes sure that the cache gets the cards of a batch that may have
// committed.
func (c *Committer) missUnknown(batch []*submission) {
	cards := make([]*persistence.CachedCard, len(batch))
	for i, s := range batch {
		cards[i] = cardOf(s.turn)
	}
	c.missCards(cards)
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
	c.moments.Lock()
	for lane := range c.rings {
		c.rings[lane].reset(heads[lane])
	}
	c.moments.Unlock()
	c.wake(^uint64(0))
	return nil
}

// fail notes why the database is away and reports whether it was there before.
func (c *Committer) fail(err error) bool {
	return c.failure.Swap(&err) == nil
}

// recovered takes a failure back, unless there is a newer one.
func (c *Committer) recovered(failure *error) {
	if failure == nil || !c.failure.CompareAndSwap(failure, nil) {
		return
	}
	c.cfg.Logger.Info("the database takes commits again")
}
