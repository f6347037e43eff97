package usergrain

import (
	"sync"

	"kith/actors/user"
)

// view is what the caller's own requests need most, as committed. It is
// immutable, and published anew by each turn that changes it.
type view struct {
	following user.Set[user.ID]
}

// publish makes the committed state visible to readers on this node. The view
// borrows the set, so that an idle user holds it once.
func (g *Grain) publish() {
	g.view.Store(&view{following: g.state.Following})
	g.lent = true
}

// unshare copies the borrowed set before e changes it.
func (g *Grain) unshare(e user.Event) {
	if !g.lent {
		return
	}
	_, follows := e.(user.Followed)
	_, unfollows := e.(user.Unfollowed)
	_, severs := e.(user.Severed)
	if follows || unfollows || severs {
		g.state.Following = g.state.Following.Clone()
		g.lent = false
	}
}

// activationShards bounds contention between requests and activations.
const activationShards = 64

// activations finds the activation of a user without a message.
type activations struct {
	shards [activationShards]activationShard
}

type activationShard struct {
	mu     sync.RWMutex
	grains map[user.ID]*Grain
}

func (a *activations) shard(id user.ID) *activationShard { return &a.shards[id%activationShards] }

func (a *activations) get(id user.ID) *Grain {
	s := a.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.grains[id]
}

func (a *activations) put(g *Grain) {
	s := a.shard(g.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grains == nil {
		s.grains = make(map[user.ID]*Grain)
	}
	s.grains[g.id] = g
}

// remove forgets g, unless a newer activation stands there.
func (a *activations) remove(g *Grain) {
	s := a.shard(g.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grains[g.id] == g {
		delete(s.grains, g.id)
	}
}

func (a *activations) len() int {
	n := 0
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.RLock()
		n += len(s.grains)
		s.mu.RUnlock()
	}
	return n
}

// each calls f with every activation. f must not block.
func (a *activations) each(f func(*Grain)) {
	for i := range a.shards {
		a.eachOf(i, f)
	}
}

// eachOf calls f with every activation of one shard. f must not block.
func (a *activations) eachOf(shard int, f func(*Grain)) {
	s := &a.shards[shard]
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, g := range s.grains {
		f(g)
	}
}
