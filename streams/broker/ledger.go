package broker

import (
	"context"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

const lanes = persistence.LaneCount

// Published implements publish.Ends.
func (b *Broker) Published(ctx context.Context, ends []persistence.EndOffset) error {
	if err := b.cfg.Ledger.SaveEnds(ctx, b.cfg.Node(), ends); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range ends {
		at := partition{e.Topic, e.Partition}
		b.ends[at] = max(b.ends[at], e.Offset)
	}
	return nil
}

// Refill implements publish.Ends.
func (b *Broker) Refill(ctx context.Context) (upTo user.ID, pending bool, err error) {
	state, err := b.cfg.Ledger.BrokerState(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("broker: %w", err)
	}
	return state.Refilled, state.Refilling, nil
}

// Refilled implements publish.Ends.
func (b *Broker) Refilled(ctx context.Context, upTo user.ID, done bool) error {
	if err := b.cfg.Ledger.SaveRefill(ctx, b.cfg.Node(), upTo, done); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}
