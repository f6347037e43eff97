package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// maxStopping bounds how many activations one eviction stops at a time.
const maxStopping = 1024

// eviction waits for activations that it has told to stop. Each holds a slot
// until it has ended.
type eviction struct {
	slots   chan struct{}
	pending map[string]struct{} // actor names; under placement.mu
}

// evict stops every activation, registered or leaving, whose identity matches,
// and returns when they have ended. To be complete, activate must refuse these
// identities before evict is called: both take the lock of the shard.
func (p *placement) evict(ctx context.Context, match func(identity string) bool) error {
	e := &eviction{slots: make(chan struct{}, maxStopping), pending: make(map[string]struct{})}
	p.mu.Lock()
	p.evictions = append(p.evictions, e)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.evictions = slices.DeleteFunc(p.evictions, func(other *eviction) bool { return other == e })
	}()

	for _, t := range p.kinds {
		for i := range t.shards {
			s := &t.shards[i]
			for _, pid := range s.matching(match) {
				if err := e.acquire(ctx); err != nil {
					return err
				}
				if p.claim(e, s, pid) {
					p.system.Root.Stop(pid)
				} else {
					<-e.slots
				}
			}
		}
	}
	for range maxStopping { // all slots free: all have ended
		if err := e.acquire(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (e *eviction) acquire(ctx context.Context) error {
	select {
	case e.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("evict: %w", context.Cause(ctx))
	}
}

// claim makes pid pending in e, unless it has ended already.
func (p *placement) claim(e *eviction, s *shard, pid *actor.PID) bool {
	_, identity, _ := parseName(pid.GetId())
	number, numeric := parseNumber(identity)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving[pid.GetId()] == nil {
		if registered := s.get(identity, number, numeric); registered == nil || registered.GetId() != pid.GetId() {
			return false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e.pending[pid.GetId()] = struct{}{}
	return true
}

// released frees the slots that an ended activation holds.
func (p *placement) released(pid *actor.PID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.evictions {
		if _, pending := e.pending[pid.GetId()]; pending {
			delete(e.pending, pid.GetId())
			<-e.slots
		}
	}
}

func (s *shard) matching(match func(identity string) bool) []*actor.PID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pids []*actor.PID
	add := func(pid *actor.PID) {
		if _, identity, ok := parseName(pid.GetId()); ok && match(identity) {
			pids = append(pids, pid)
		}
	}
	for _, pid := range s.numbered {
		add(pid)
	}
	for _, pid := range s.named {
		add(pid)
	}
	for _, pid := range s.leaving {
		add(pid)
	}
	return pids
}
