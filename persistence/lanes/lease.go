package lanes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kith/persistence"
)

// KeepLease renews the node's lease until ctx ends. A renewal is a write, so it
// also finds out whether a database that refused batches takes them again. It
// returns an error matching persistence.ErrFenced when another node owns the
// lanes.
func (c *Committer) KeepLease(ctx context.Context) error {
	tick := time.NewTicker(c.cfg.Lease / 10)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		refused := errors.Is(c.Health(), persistence.ErrNotCommitted)
		if !refused && time.Since(last) < c.cfg.Lease/3 {
			continue
		}
		node := c.Node()
		renew, cancel := context.WithTimeout(ctx, c.cfg.Lease/3)
		err := c.cfg.Lanes.Renew(renew, node, c.cfg.Lease)
		cancel()
		switch {
		case err == nil:
			last = time.Now()
			if refused {
				c.recovered()
			}
		case errors.Is(err, persistence.ErrFenced) && c.Node() == node:
			return fmt.Errorf("renew the lease: %w", err)
		case ctx.Err() == nil:
			c.cfg.Logger.Warn("the lease could not be renewed", "error", err)
		}
	}
}
