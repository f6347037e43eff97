package gateway

import (
	"context"
	"fmt"

	"kith/actors/user"
	"kith/gateway/live"
	"kith/persistence"
)

// Followings says whom a user follows, as far as is known here without asking
// anybody. *usergrain.Client is it.
type Followings interface {
	Following(id user.ID) (following []user.ID, known bool)
}

// LivePeople is what a hub reads of users: from caches and activated grains as far
// as they know, or else from the database.
type LivePeople struct {
	directory  persistence.Directory
	edges      persistence.Edges
	cards      persistence.Cards
	followings Followings
}

// NewLivePeople makes LivePeople.
func NewLivePeople(d persistence.Directory, e persistence.Edges, c persistence.Cards, f Followings) *LivePeople {
	return &LivePeople{directory: d, edges: e, cards: c, followings: f}
}

// Cards implements live.People.
func (p *LivePeople) Cards(ctx context.Context, wanted []live.CardAt) ([]*persistence.CachedCard, error) {
	ids := make([]user.ID, len(wanted))
	for i, w := range wanted {
		ids[i] = w.ID
	}
	cached, err := p.cards.Get(ctx, ids)
	if err != nil || len(cached) != len(ids) {
		cached = nil // the cache is away
	}
	cards := make([]*persistence.CachedCard, len(ids))
	copy(cards, cached)
	var missing []int
	for i, c := range cards {
		if c == nil || !c.Deleted && c.Card.Version < wanted[i].Version {
			missing = append(missing, i)
		}
	}
	found, err := readCards(ctx, p.directory, ids, cards, missing)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		_ = p.cards.Put(ctx, found) // it is asked again if it is not taken
	}
	return cards, nil
}

const followingPage = 1000

// Following implements live.People.
func (p *LivePeople) Following(ctx context.Context, reader user.ID) ([]user.ID, error) {
	if following, known := p.followings.Following(reader); known {
		return following, nil
	}
	var (
		following []user.ID
		after     uint64
	)
	for {
		edges, err := p.edges.List(ctx, persistence.EdgeFollowing, reader, after, followingPage)
		if err != nil {
			return nil, fmt.Errorf("read a follow list: %w", err)
		}
		for _, e := range edges {
			following = append(following, user.ID(e.ID))
		}
		if len(edges) < followingPage {
			return following, nil
		}
		after = edges[len(edges)-1].Seq
	}
}

// Follows implements live.People.
func (p *LivePeople) Follows(ctx context.Context, author user.ID, readers []user.ID) ([]bool, error) {
	relations, err := p.edges.Relations(ctx, author, readers)
	if err != nil {
		return nil, fmt.Errorf("read relations: %w", err)
	}
	follows := make([]bool, len(readers))
	for i := range min(len(relations), len(follows)) {
		follows[i] = relations[i].Following
	}
	return follows, nil
}
