package lanestest

import (
	"context"
	"errors"
	"sync"

	"kith/actors/user"
	"kith/persistence"
)

// Accounts is as persistence.Directory says.
func (s *Store) Accounts(ctx context.Context, ids []user.ID) ([]*user.Account, error) {
	accounts := make([]*user.Account, len(ids))
	err := s.call(ctx, OpAccounts, ids, func() error {
		for i, id := range ids {
			if a, ok := s.accounts[id]; ok {
				accounts[i] = &a
			}
		}
		return nil
	})
	return accounts, err
}

// Release is as persistence.Directory says; see Released.
func (s *Store) Release(ctx context.Context, id user.ID, claims []persistence.Claim) error {
	return s.call(ctx, OpRelease, id, func() error {
		if len(claims) == 0 {
			s.released[id] = true
		}
		return nil
	})
}

// ErrCacheAway is returned by Cards that are away.
var ErrCacheAway = errors.New("lanestest: the cache is away")

// Cards is a cache of cards that can be away. The zero Cards is empty and there.
type Cards struct {
	mu    sync.Mutex
	cards map[user.ID]*persistence.CachedCard
	away  bool
	puts  int
}

// Get implements persistence.Cards.
func (c *Cards) Get(_ context.Context, ids []user.ID) ([]*persistence.CachedCard, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return nil, ErrCacheAway
	}
	found := make([]*persistence.CachedCard, len(ids))
	for i, id := range ids {
		found[i] = c.cards[id]
	}
	return found, nil
}

// IDByUsername implements persistence.Cards: it knows none.
func (c *Cards) IDByUsername(context.Context, string) (user.ID, bool, error) { return 0, false, nil }

// Put implements persistence.Cards.
func (c *Cards) Put(_ context.Context, cards []*persistence.CachedCard) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return ErrCacheAway
	}
	c.puts++
	if c.cards == nil {
		c.cards = make(map[user.ID]*persistence.CachedCard)
	}
	for _, card := range cards {
		old := c.cards[card.Card.ID]
		if old == nil || !old.Deleted && (card.Deleted || card.Card.Version > old.Card.Version) {
			c.cards[card.Card.ID] = card
		}
	}
	return nil
}

// SetAway makes the cache refuse everything, or work again.
func (c *Cards) SetAway(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

// Puts returns how many writes were taken.
func (c *Cards) Puts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.puts
}

// Clear empties the cache.
func (c *Cards) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.cards)
}
