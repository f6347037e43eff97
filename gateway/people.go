package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"kith/actors/user"
	"kith/persistence"
)

// loadTimeout bounds a read of the database that several requests wait for.
const loadTimeout = 5 * time.Second

// people finds cards: in the cache, or else in the directory, which fills the
// cache. A cache that fails is a cache without the card. Requests that miss the
// same card at the same time share one query, that none of them can cancel.
type people struct {
	directory persistence.Directory
	cards     persistence.Cards
	flights   singleflight.Group
	hints     hints

	hits, misses, failures prometheus.Counter
}

func newPeople(d persistence.Directory, c persistence.Cards, m *metrics) *people {
	return &people{
		directory: d, cards: c,
		hits: m.cache.WithLabelValues("hit"), misses: m.cache.WithLabelValues("miss"), failures: m.cache.WithLabelValues("failed"),
	}
}

// cached returns what the cache has of ids, in their order: nil, a card or a
// tombstone each.
func (p *people) cached(ctx context.Context, ids []user.ID) []*persistence.CachedCard {
	cards, err := p.cards.Get(ctx, ids)
	if err != nil || len(cards) != len(ids) {
		p.failures.Add(float64(len(ids)))
		return make([]*persistence.CachedCard, len(ids))
	}
	hits := 0
	for _, c := range cards {
		if c != nil {
			hits++
		}
	}
	p.hits.Add(float64(hits))
	if hits < len(cards) {
		p.misses.Add(float64(len(cards) - hits))
	}
	return cards
}

// hint returns the id that bore the name when the cache last heard of it, or 0.
func (p *people) hint(ctx context.Context, username string) user.ID {
	if id := p.hints.get(username); id != 0 {
		return id
	}
	id, known, err := p.cards.IDByUsername(ctx, username)
	if err != nil || !known {
		return 0
	}
	return id
}

// byID returns the card of a user, or persistence.ErrNotFound.
func (p *people) byID(ctx context.Context, id user.ID) (*persistence.CachedCard, error) {
	return p.resolve(ctx, id, p.cached(ctx, []user.ID{id})[0])
}

// resolve returns c, what the cache had of id, or what the directory has.
func (p *people) resolve(ctx context.Context, id user.ID, c *persistence.CachedCard) (*persistence.CachedCard, error) {
	switch {
	case c == nil:
		return p.load(ctx, fmt.Sprintf("id %d", id), func(ctx context.Context) (*user.Account, error) {
			accounts, err := p.directory.Accounts(ctx, []user.ID{id})
			if err != nil {
				return nil, err
			}
			if len(accounts) == 0 || accounts[0] == nil {
				return nil, persistence.ErrNotFound
			}
			return accounts[0], nil
		})
	case c.Deleted:
		return nil, persistence.ErrNotFound
	}
	return c, nil
}

// byUID returns the card of a user from the directory, or persistence.ErrNotFound.
func (p *people) byUID(ctx context.Context, uid user.UID) (*persistence.CachedCard, error) {
	return p.load(ctx, "uid "+uid.String(), func(ctx context.Context) (*user.Account, error) {
		return p.directory.ByUID(ctx, uid)
	})
}

// byUsername returns the card of whoever bears a normalised name now, or
// persistence.ErrNotFound.
func (p *people) byUsername(ctx context.Context, username string) (*persistence.CachedCard, error) {
	var c *persistence.CachedCard
	if id := p.hint(ctx, username); id != 0 {
		c = p.cached(ctx, []user.ID{id})[0]
	}
	return p.named(ctx, username, c)
}

// named returns c, found by a hint, if it bears the name, or what the directory
// has.
func (p *people) named(ctx context.Context, username string, c *persistence.CachedCard) (*persistence.CachedCard, error) {
	if c == nil || c.Deleted || c.Card.Username != username {
		var err error
		c, err = p.load(ctx, "name "+username, func(ctx context.Context) (*user.Account, error) {
			return p.directory.ByUsername(ctx, username)
		})
		if err != nil {
			return nil, err
		}
	}
	p.hints.note(username, c.Card.ID)
	return c, nil
}

// allNamed returns the cards of those of names that somebody bears, in their
// order. The cache is asked once for all whose names it knows.
func (p *people) allNamed(ctx context.Context, names []string) ([]*persistence.CachedCard, error) {
	var (
		known []string
		hints []user.ID
	)
	for _, raw := range names {
		name, err := user.ParseUsername(raw)
		if err != nil || user.Reserved(name) {
			continue // nobody bears it
		}
		known, hints = append(known, name), append(hints, p.hint(ctx, name))
	}
	if len(known) == 0 {
		return nil, nil
	}
	cards := make([]*persistence.CachedCard, 0, len(known))
	for i, found := range p.cached(ctx, hints) {
		c, err := p.named(ctx, known[i], found)
		switch {
		case errors.Is(err, persistence.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			cards = append(cards, c)
		}
	}
	return cards, nil
}

// all returns the cards of ids, in their order; nil where there is no user.
func (p *people) all(ctx context.Context, ids []user.ID) ([]*persistence.CachedCard, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	cards := append([]*persistence.CachedCard(nil), p.cached(ctx, ids)...)
	var missing []int
	for i, c := range cards {
		switch {
		case c == nil:
			missing = append(missing, i)
		case c.Deleted:
			cards[i] = nil
		}
	}
	found, err := readCards(ctx, p.directory, ids, cards, missing)
	if err != nil {
		return nil, err
	}
	p.put(ctx, found)
	return cards, nil
}

// readCards reads the cards of the ids at some places from the directory into the
// same places, nil where there is no user, and returns those that it found.
func readCards(ctx context.Context, d persistence.Directory, ids []user.ID, into []*persistence.CachedCard, places []int) (found []*persistence.CachedCard, err error) {
	if len(places) == 0 {
		return nil, nil
	}
	missing := make([]user.ID, len(places))
	for i, place := range places {
		missing[i] = ids[place]
	}
	accounts, err := d.Accounts(ctx, missing)
	if err != nil {
		return nil, fmt.Errorf("read %d cards: %w", len(missing), err)
	}
	for i, a := range accounts {
		into[places[i]] = nil
		if a != nil {
			into[places[i]] = persistence.NewCard(a.Card)
			found = append(found, into[places[i]])
		}
	}
	return found, nil
}

// load runs query once for all who ask for key at the same time, and caches what
// it finds.
func (p *people) load(ctx context.Context, key string, query func(context.Context) (*user.Account, error)) (*persistence.CachedCard, error) {
	v, err, _ := p.flights.Do(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		account, err := query(ctx)
		if err != nil {
			return nil, err
		}
		c := persistence.NewCard(account.Card)
		p.put(ctx, []*persistence.CachedCard{c})
		return c, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read a card: %w", err)
	}
	c, _ := v.(*persistence.CachedCard)
	return c, nil
}

// put fills the cache. It keeps the newer of two, so that a card read before a
// change does not hide the change.
func (p *people) put(ctx context.Context, cards []*persistence.CachedCard) {
	if len(cards) == 0 {
		return
	}
	if err := p.cards.Put(ctx, cards); err != nil {
		p.failures.Add(float64(len(cards)))
	}
}
