package effects

import (
	"context"
	"fmt"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/lanes"
)

const (
	cardPage       = 512 // cards at a time
	missedInterval = 250 * time.Millisecond
)

// missedLoop writes the cards that the cache did not take, or that nobody knows to be
// needed. A process begins with a cold cache, so none are missing from before it.
func (t *Tail) missedLoop(ctx context.Context) {
	tick := time.NewTicker(missedInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		missed := t.cfg.Committer.MissedCards()
		for len(missed) > 0 {
			n := min(len(missed), cardPage)
			if t.persist(ctx, "write cards that the cache missed", func(ctx context.Context) error {
				return t.putCards(ctx, missed[:n])
			}) != nil {
				return
			}
			missed = missed[n:]
		}
	}
}

// putCards writes the cards of users as they are stored now. A user without a
// row was deleted, or the registration was not committed after all.
func (t *Tail) putCards(ctx context.Context, missed []lanes.MissedCard) error {
	ids := make([]user.ID, len(missed))
	for i, m := range missed {
		ids[i] = m.User
	}
	accounts, err := t.cfg.Directory.Accounts(ctx, ids)
	if err != nil {
		return fmt.Errorf("read accounts: %w", err)
	}
	cards := make([]*persistence.CachedCard, 0, len(missed))
	for i, m := range missed {
		switch {
		case accounts[i] != nil:
			cards = append(cards, persistence.NewCard(accounts[i].Card))
		case m.Deleted:
			cards = append(cards, persistence.NewTombstone(m.User, m.Version))
		}
	}
	if len(cards) == 0 {
		return nil
	}
	if err := t.cfg.Cards.Put(ctx, cards); err != nil {
		return fmt.Errorf("write cards: %w", err)
	}
	t.metrics.cards.Add(float64(len(cards)))
	return nil
}
