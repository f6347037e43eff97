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
	cardPage       = 512 // records, or cards, at a time
	missedInterval = 250 * time.Millisecond
)

// beginCards holds the marks of the lanes whose last records may have been
// committed without their cards, by a process that is no more, and writes these
// cards beside everything else: a cache that is away must not keep effects back.
func (t *Tail) beginCards(ctx context.Context, marks [persistence.LaneCount]uint64) error {
	var heads [persistence.LaneCount]uint64
	err := t.persist(ctx, "read the heads of the lanes", func(ctx context.Context) error {
		var err error
		if heads, err = t.cfg.Journal.Heads(ctx); err != nil {
			return fmt.Errorf("read heads: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	behind := false
	for lane := range uint8(persistence.LaneCount) {
		if marks[lane] < heads[lane] {
			behind = true
			t.tail.Hold(lane)
		}
	}
	if !behind {
		return nil
	}
	t.running.Go(func() {
		for lane := range uint8(persistence.LaneCount) {
			if marks[lane] < heads[lane] {
				if t.refill(ctx, lane, marks[lane], heads[lane]) != nil {
					return
				}
				t.tail.Free(lane)
			}
		}
	})
	return nil
}

// refill writes the cards of the users who have records of a lane above after, up
// to head.
func (t *Tail) refill(ctx context.Context, lane uint8, after, head uint64) error {
	for after < head {
		err := t.persist(ctx, "write cards again", func(ctx context.Context) error {
			records, err := t.cfg.Journal.ReadLane(ctx, lane, after, cardPage)
			if err != nil {
				return fmt.Errorf("read a lane: %w", err)
			}
			if len(records) == 0 {
				return fmt.Errorf("position %d of lane %d is committed and was not found", after+1, lane)
			}
			last := make(map[user.ID]lanes.MissedCard)
			for i := range records {
				r := &records[i]
				last[r.User] = lanes.MissedCard{User: r.User, Version: r.Seq, Deleted: r.Kind == persistence.KindDeleted}
			}
			missed := make([]lanes.MissedCard, 0, len(last))
			for _, m := range last {
				missed = append(missed, m)
			}
			if err := t.putCards(ctx, missed); err != nil {
				return err
			}
			after = records[len(records)-1].Pos
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// missedLoop writes the cards that the cache did not take.
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
