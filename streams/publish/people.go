package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"kith/actors/user"
	"kith/persistence"
	"kith/streams"
)

const (
	// maxKnown bounds each of the two generations of known users.
	maxKnown = 64 << 10
	// maxAsked bounds the users of one question to the database.
	maxAsked = 1024
)

// people is what is known of the users whom records name. Identities never
// change, but for Gone, which is not kept: they are remembered, the older
// generation being dropped when the younger is full. Accounts change, and are
// asked for anew in each attempt.
type people struct {
	directory Directory

	young, old map[user.ID]*persistence.Identity
	accounts   map[user.ID]*user.Account // nil: asked for
	asked      map[user.ID]struct{}
}

func newPeople(d Directory) people {
	return people{
		directory: d,
		young:     make(map[user.ID]*persistence.Identity),
		accounts:  make(map[user.ID]*user.Account),
		asked:     make(map[user.ID]struct{}),
	}
}

func (p *people) forgetAccounts() { clear(p.accounts) }

// ask notes whom a fact names and learn must know.
func (p *people) ask(f streams.Fact) {
	self, other := f.Users()
	if f.NeedsAccount() {
		p.accounts[self] = nil
	}
	for _, id := range [...]user.ID{self, other} {
		if id != 0 && p.Identity(id) == nil {
			p.asked[id] = struct{}{}
		}
	}
}

// learn asks the database for all that was asked of it. First the identities,
// then the rows: who is gone by then has a row nowhere, and an identity.
func (p *people) learn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for ids := range slices.Chunk(slices.Collect(maps.Keys(p.asked)), maxAsked) {
		found, err := p.directory.Identities(ctx, ids)
		if err != nil {
			return fmt.Errorf("ask who users are: %w", err)
		}
		for i, identity := range found {
			if identity != nil {
				p.remember(ids[i], identity)
			}
		}
	}
	clear(p.asked)
	for ids := range slices.Chunk(slices.Collect(maps.Keys(p.accounts)), maxAsked) {
		found, err := p.directory.Accounts(ctx, ids)
		if err != nil {
			return fmt.Errorf("ask for the rows of users: %w", err)
		}
		for i, account := range found {
			p.accounts[ids[i]] = account
		}
	}
	return nil
}

func (p *people) remember(id user.ID, identity *persistence.Identity) {
	if len(p.young) >= maxKnown {
		p.young, p.old = make(map[user.ID]*persistence.Identity), p.young
	}
	p.young[id] = identity
}

// Identity implements streams.Directory.
func (p *people) Identity(id user.ID) *persistence.Identity {
	if identity, ok := p.young[id]; ok {
		return identity
	}
	identity, ok := p.old[id]
	if ok {
		p.remember(id, identity) // still asked for: not dropped with the others
	}
	return identity
}

// Account implements streams.Directory.
func (p *people) Account(id user.ID) *user.Account { return p.accounts[id] }
