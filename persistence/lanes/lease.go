package lanes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kith/persistence"
)

// Why a committer is not healthy.
var (
	errRefused   = errors.New("lanes: the database refuses batches")
	errLeaseOver = errors.New("lanes: the lease is over")
)

// KeepLease renews the node's lease until ctx ends; call it right after the
// lanes were acquired. While the last renewal is longer ago than the lease,
// Health says so and no turns are taken; a renewal that then succeeds shows that
// nobody else owned the lanes in between, since that would have raised the
// epoch. A renewal is a write, so it also finds out whether a database that
// refused batches takes them again. KeepLease returns an error matching
// persistence.ErrFenced when another node owns the lanes.
func (c *Committer) KeepLease(ctx context.Context) error {
	tick := time.NewTicker(c.cfg.Lease / 10)
	defer tick.Stop()
	last := time.Now()
	c.extend(last)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		failure := c.failure.Load()
		refused := failure != nil && errors.Is(*failure, errRefused)
		if c.raising.Load() || !refused && time.Since(last) < c.cfg.Lease/3 {
			continue
		}
		node, start := c.Node(), time.Now()
		renew, cancel := context.WithTimeout(ctx, c.cfg.Lease/3)
		err := c.cfg.Lanes.Renew(renew, node, c.cfg.Lease)
		cancel()
		switch {
		case err == nil:
			last = start
			c.extend(start)
			if refused {
				c.recovered(failure)
			}
		case errors.Is(err, persistence.ErrFenced):
			// Raising its own epoch fences a node's renewals too. In this order:
			// the new node is there before raising ends.
			if !c.raising.Load() && c.Node() == node {
				return fmt.Errorf("renew the lease: %w", err)
			}
		case ctx.Err() == nil:
			c.cfg.Logger.Warn("the lease could not be renewed", "error", err)
		}
	}
}

// Release gives the rest of the lease back, so that a node that stands by need not
// wait for its end. It is called when Run has ended: nothing may be written
// afterwards. That it fails costs the other node that wait.
func (c *Committer) Release(ctx context.Context) error {
	err := c.cfg.Lanes.Renew(ctx, c.Node(), 0)
	if errors.Is(err, persistence.ErrFenced) {
		return nil // somebody has them already
	}
	if err != nil {
		return fmt.Errorf("give the lease back: %w", err)
	}
	return nil
}

// extend notes a lease that was granted at the given time or later.
func (c *Committer) extend(granted time.Time) {
	until := granted.Add(c.cfg.Lease)
	c.leased.Store(&until)
}
