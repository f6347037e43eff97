package cluster

import (
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
)

// placement knows which identities are active on this node. It is the parent of
// every grain, as a process and not as an actor: the library tells the parent of
// a termination on the goroutine of the grain that ends, and so the entry is
// gone after one map access, without a queue in between.
type placement struct {
	system  *actor.ActorSystem
	logger  *slog.Logger
	metrics *metrics
	owns    func(identity string) bool
	limit   int64 // 0: none
	kinds   map[string]*table
	parent  parentContext
	alive   atomic.Int64 // registered and leaving
	closed  atomic.Bool  // set before the last eviction begins

	mu        sync.Mutex // of evictions; taken after the lock of a shard
	evictions []*eviction
}

// table holds the activations of one kind.
type table struct {
	kind   string
	props  *actor.Props
	seed   maphash.Seed
	shards [shardCount]shard
}

// shardCount is a power of two.
const shardCount = 64

// shard is a part of a table. Spawning happens under its lock: that makes an
// activation unique, and takes microseconds.
type shard struct {
	mu       sync.Mutex
	numbered map[uint64]*actor.PID
	named    map[string]*actor.PID
	leaving  map[string]*actor.PID // by actor name: deregistered, still alive
}

// parentContext lends the placement's address to what it spawns.
type parentContext struct {
	*actor.RootContext
	self *actor.PID
}

// Self returns the address of the placement.
func (p parentContext) Self() *actor.PID { return p.self }

// addKind prepares the props that all activations of the kind share: the
// library's way would clone them for each.
func (p *placement) addKind(k *cluster.Kind) error {
	if k.Kind == "" || strings.Contains(k.Kind, "/") {
		return fmt.Errorf("kind %q: a name without a slash is needed", k.Kind)
	}
	if p.kinds[k.Kind] != nil {
		return fmt.Errorf("kind %q is configured twice", k.Kind)
	}
	t := &table{kind: k.Kind, seed: maphash.MakeSeed()}
	t.props = k.Props.Clone(
		actor.WithMailbox(func() actor.Mailbox { return &mailbox{placement: p} }),
		actor.WithOnInit(func(ctx actor.Context) {
			_, identity, _ := parseName(ctx.Self().GetId())
			cluster.SetClusterIdentity(ctx, cluster.NewClusterIdentity(identity, t.kind))
		}),
	)
	p.kinds[k.Kind] = t
	return nil
}

// activate returns the activation of an identity, and begins one if there is
// none.
func (p *placement) activate(identity, kind string) (*actor.PID, error) {
	t := p.kinds[kind]
	if t == nil || identity == "" {
		return nil, fmt.Errorf("%w: %s/%s", ErrUnknownKind, kind, identity)
	}
	number, numeric := parseNumber(identity)
	s := t.shard(identity, number, numeric)
	s.mu.Lock()
	defer s.mu.Unlock()
	if pid := s.get(identity, number, numeric); pid != nil {
		return pid, nil
	}
	switch {
	case p.closed.Load():
		return nil, ErrStopping
	case p.owns != nil && !p.owns(identity):
		return nil, ErrNotOwned
	case p.limit > 0 && p.alive.Load() >= p.limit:
		return nil, ErrFull
	}
	pid, err := actor.DefaultSpawner(p.system, actorName(kind, identity, p.system.ProcessRegistry.NextId()), t.props, p.parent)
	if err != nil {
		return nil, fmt.Errorf("activate %s/%s: %w", kind, identity, err)
	}
	s.put(identity, number, numeric, pid)
	p.alive.Add(1)
	p.metrics.activated.Inc()
	return pid, nil
}

// lookup returns the registered activation of an identity, or nil.
func (p *placement) lookup(identity, kind string) *actor.PID {
	t := p.kinds[kind]
	if t == nil {
		return nil
	}
	number, numeric := parseNumber(identity)
	s := t.shard(identity, number, numeric)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(identity, number, numeric)
}

// deregister forgets that pid is the activation of the identity; false when it
// is not. It stays counted until it ends.
func (p *placement) deregister(identity, kind string, pid *actor.PID) bool {
	t := p.kinds[kind]
	if t == nil || pid == nil {
		return false
	}
	number, numeric := parseNumber(identity)
	s := t.shard(identity, number, numeric)
	s.mu.Lock()
	defer s.mu.Unlock()
	registered := s.get(identity, number, numeric)
	if registered == nil || registered.GetId() != pid.GetId() {
		return false
	}
	s.remove(identity, number, numeric)
	if s.leaving == nil {
		s.leaving = make(map[string]*actor.PID)
	}
	s.leaving[registered.GetId()] = registered
	return true
}

// terminated forgets an activation that has ended. Twice is harmless.
func (p *placement) terminated(pid *actor.PID) {
	kind, identity, ok := parseName(pid.GetId())
	if !ok || p.kinds[kind] == nil {
		return
	}
	number, numeric := parseNumber(identity)
	s := p.kinds[kind].shard(identity, number, numeric)
	s.mu.Lock()
	known := true
	if registered := s.get(identity, number, numeric); registered != nil && registered.GetId() == pid.GetId() {
		s.remove(identity, number, numeric)
	} else if _, known = s.leaving[pid.GetId()]; known {
		delete(s.leaving, pid.GetId())
	}
	s.mu.Unlock()
	if known {
		p.alive.Add(-1)
		p.released(pid)
	}
}

// SendSystemMessage implements actor.Process: what a child tells its parent.
func (p *placement) SendSystemMessage(_ *actor.PID, message any) {
	switch m := message.(type) {
	case *actor.Terminated:
		p.terminated(m.GetWho())
	case *actor.Failure:
		p.system.Root.Stop(m.Who)
	}
}

// SendUserMessage implements actor.Process; nobody sends one.
func (p *placement) SendUserMessage(*actor.PID, any) {}

// Stop implements actor.Process; the placement ends with its node.
func (p *placement) Stop(*actor.PID) {}

// panicked records that an activation panicked. It is called while the panic
// unwinds, so the stack says where.
func (p *placement) panicked(pid *actor.PID, reason any) {
	p.metrics.panics.Inc()
	p.logger.Error("a grain panicked and is stopped", "grain", pid.GetId(), "reason", reason, "stack", string(debug.Stack()))
}

func (t *table) shard(identity string, number uint64, numeric bool) *shard {
	if !numeric {
		return &t.shards[maphash.String(t.seed, identity)%shardCount]
	}
	return &t.shards[(number*0x9E3779B97F4A7C15)>>58] // Fibonacci hashing: ids of one lane spread
}

func (s *shard) get(identity string, number uint64, numeric bool) *actor.PID {
	if numeric {
		return s.numbered[number]
	}
	return s.named[identity]
}

func (s *shard) put(identity string, number uint64, numeric bool, pid *actor.PID) {
	if numeric {
		if s.numbered == nil {
			s.numbered = make(map[uint64]*actor.PID)
		}
		s.numbered[number] = pid
		return
	}
	if s.named == nil {
		s.named = make(map[string]*actor.PID)
	}
	s.named[identity] = pid
}

func (s *shard) remove(identity string, number uint64, numeric bool) {
	if numeric {
		delete(s.numbered, number)
	} else {
		delete(s.named, identity)
	}
}

// parseNumber reads a canonical decimal: what strconv.FormatUint writes and
// nothing else, so that "7" and "007" stay two identities.
func parseNumber(identity string) (uint64, bool) {
	if identity == "" || identity[0] == '+' || (identity[0] == '0' && len(identity) > 1) {
		return 0, false
	}
	n, err := strconv.ParseUint(identity, 10, 64)
	return n, err == nil
}

// actorName is kind/identity followed by serial, which begins with a dollar and
// holds no other.
func actorName(kind, identity, serial string) string {
	return kind + "/" + identity + serial
}

// parseName undoes actorName.
func parseName(name string) (kind, identity string, ok bool) {
	kind, rest, ok := strings.Cut(name, "/")
	end := strings.LastIndexByte(rest, '$')
	if !ok || end < 0 {
		return "", "", false
	}
	return kind, rest[:end], true
}
