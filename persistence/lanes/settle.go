package lanes

import (
	"context"
	"math/bits"
	"time"

	"kith/persistence"
)

// settleLoop does what follows a commit, in commit order.
func (c *Committer) settleLoop() {
	var perLane [persistence.LaneCount][]persistence.Record
	for batch := range c.settle {
		// The cards first: who reads a record finds a card that knows of it.
		c.putCards(batch)
		dirty := c.publish(batch, &perLane)
		for _, s := range batch {
			c.finish(s)
		}
		c.wake(dirty)
		c.unsettled.Done()
	}
}

// publish appends the committed records to the rings, in position order, and
// returns the lanes that have new ones.
func (c *Committer) publish(batch []*submission, perLane *[persistence.LaneCount][]persistence.Record) (dirty uint64) {
	for _, s := range batch {
		if s.outcome.Status != persistence.Committed {
			continue
		}
		lane := s.turn.Records[0].Lane
		perLane[lane] = append(perLane[lane], s.turn.Records...)
		dirty |= 1 << lane
		c.metrics.records.Add(float64(len(s.turn.Records)))
	}
	c.mu.Lock()
	before := c.before
	c.mu.Unlock()
	c.moments.Lock()
	defer c.moments.Unlock()
	for rest := dirty; rest != 0; rest &= rest - 1 {
		lane := bits.TrailingZeros64(rest)
		c.rings[lane].append(sortByPos(perLane[lane]))
		for _, f := range before {
			f(uint8(lane), perLane[lane]) //nolint:gosec // below 64
		}
		clear(perLane[lane])
		perLane[lane] = perLane[lane][:0]
	}
	return dirty
}

// Heads returns the highest committed positions that the rings know, of all lanes at
// one moment between two batches: what was decided by somebody who knew of a record
// is not below them without that record.
func (c *Committer) Heads() (heads [persistence.LaneCount]uint64) {
	c.moments.RLock()
	defer c.moments.RUnlock()
	for lane := range heads {
		heads[lane] = c.rings[lane].Head()
	}
	return heads
}

// BeforeAnswers has f called with the committed records of one lane, ascending,
// before their turns are answered. f must not block, and must not keep the
// records. After an unknown outcome the positions may leave a gap; what is in it
// is in the lane.
func (c *Committer) BeforeAnswers(f func(lane uint8, records []persistence.Record)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = append(c.before, f)
}

// putCards writes the cards of a batch to the cache. What the cache does not
// take, the effects tail writes again.
func (c *Committer) putCards(batch []*submission) {
	cards := make([]*persistence.CachedCard, 0, len(batch))
	for _, s := range batch {
		if s.outcome.Status == persistence.Committed {
			cards = append(cards, cardOf(s.turn))
		}
	}
	if len(cards) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cardTimeout)
	defer cancel()
	err := c.cfg.Cards.Put(ctx, cards)
	if missed := err != nil; missed != c.cardsAway { // said once, however many batches follow
		if c.cardsAway = missed; missed {
			c.cfg.Logger.Warn("the card cache takes no cards", "error", err)
		} else {
			c.cfg.Logger.Info("the card cache takes cards again")
		}
	}
	if err != nil {
		c.metrics.cards.WithLabelValues("failed").Add(float64(len(cards)))
		c.missCards(cards)
		return
	}
	c.metrics.cards.WithLabelValues("written").Add(float64(len(cards)))
}

// cardTimeout bounds how long answers wait for the card cache.
const cardTimeout = 100 * time.Millisecond

func cardOf(t *persistence.Turn) *persistence.CachedCard {
	if t.Deleted {
		return persistence.NewTombstone(t.User, t.Account.Version)
	}
	return persistence.NewCard(t.Account.Card)
}

// missCards keeps what the cache lacks until somebody asks. Full: the cache has
// been away for long, and what is dropped here is found stale by its version.
func (c *Committer) missCards(cards []*persistence.CachedCard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, card := range cards {
		m := MissedCard{User: card.Card.ID, Version: card.Card.Version, Deleted: card.Deleted}
		before, known := c.missed[m.User]
		if known && before.Version > m.Version || !known && len(c.missed) >= maxMissedCards {
			continue
		}
		c.missed[m.User] = m
	}
}

func (c *Committer) finish(s *submission) {
	c.queued.Add(-1)
	switch {
	case s.err != nil:
		c.metrics.turns.WithLabelValues("failed").Inc()
	case s.outcome.Status == persistence.Committed:
		c.metrics.turns.WithLabelValues("committed").Inc()
	default:
		c.metrics.turns.WithLabelValues("conflict").Inc()
	}
	s.done(s.outcome, s.err)
}

func (c *Committer) finishAll(batch []*submission, err error) {
	for _, s := range batch {
		s.err = err
		c.finish(s)
	}
}
