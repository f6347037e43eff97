package memory

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
)

const (
	limitShards = 64
	// limitSample is how many keys are looked at whenever one is added: those that
	// need not be remembered go, so that the map follows the keys in use.
	limitSample = 8
	// defaultLimitKeys are about 50 MB.
	defaultLimitKeys = 1 << 20
)

// LimitsConfig is what Limits needs.
type LimitsConfig struct {
	// Keys bounds the keys that are remembered. Default 1,048,576. Full: of a few
	// keys the one that has used least is forgotten, and may begin anew.
	Keys int
	// Registerer takes the metrics; nil: they are not registered.
	Registerer prometheus.Registerer
	// Now is the clock; nil: the monotonic clock of the process.
	Now func() time.Time
}

// Limits counts in the process. A key is kept as a hash with a random seed: two
// keys that share one of 64 bits share their count, and nobody can look for them.
type Limits struct {
	seed     maphash.Seed
	start    time.Time
	now      func() time.Time
	perShard int
	shards   [limitShards]limitShard
	early    prometheus.Counter
}

type limitShard struct {
	mu sync.Mutex
	// due is, per key, the theoretical arrival time of the next cell: how far what
	// was taken reaches, in nanoseconds since start. Passed, the key is as good as
	// new.
	// As pointers, a known key costs one look into the map.
	due map[uint64]*int64
	_   [48]byte // a cache line each
}

var _ persistence.Limits = (*Limits)(nil)

// NewLimits makes Limits.
func NewLimits(cfg LimitsConfig) (*Limits, error) {
	if cfg.Keys < 0 {
		return nil, fmt.Errorf("memory: limits of %d keys", cfg.Keys)
	}
	if cfg.Keys == 0 {
		cfg.Keys = defaultLimitKeys
	}
	l := &Limits{
		seed: maphash.MakeSeed(), start: time.Now(), now: cfg.Now, perShard: max(1, cfg.Keys/limitShards),
		early: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_limit_keys_forgotten_total", Help: "Keys of rate limits forgotten before their time, because there were too many.",
		}),
	}
	if l.now != nil {
		l.start = l.now()
	}
	for i := range l.shards {
		l.shards[i].due = make(map[uint64]*int64)
	}
	if cfg.Registerer != nil {
		keys := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kith_limit_keys_entries", Help: "Keys of rate limits that are remembered.",
		}, func() float64 { return float64(l.len()) })
		for _, c := range []prometheus.Collector{l.early, keys} {
			if err := cfg.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("memory: register the metrics of limits: %w", err)
			}
		}
	}
	return l, nil
}

// elapsed returns the nanoseconds since start. Without a clock of its own it
// reads the monotonic one only, which is half the cost.
func (l *Limits) elapsed() int64 {
	if l.now != nil {
		return int64(l.now().Sub(l.start))
	}
	return int64(time.Since(l.start))
}

// Allow implements persistence.Limits. It never fails.
func (l *Limits) Allow(_ context.Context, key string, rate persistence.Rate, cost int) (persistence.Allowance, error) {
	if rate.Count <= 0 || rate.Per <= 0 || cost <= 0 {
		return persistence.Allowance{Allowed: true, Remaining: max(0, rate.Count)}, nil
	}
	// With an interval that was rounded, the burst is rounded likewise: it is
	// Count, not one less.
	interval := max(1, int64(rate.Per)/int64(rate.Count))
	burst := interval * int64(rate.Count)
	cost = min(cost, rate.Count+1) // never allowed, and nothing overflows

	hash := maphash.String(l.seed, key)
	s := &l.shards[hash%limitShards]
	s.mu.Lock()
	now := l.elapsed() // behind the lock: the times of a key do not go back
	at := s.due[hash]
	due := now
	if at != nil {
		due = max(*at, now)
	}
	next := due + interval*int64(cost)
	if wait := next - burst - now; wait > 0 {
		s.mu.Unlock()
		return persistence.Allowance{
			Remaining: int((burst - (due - now)) / interval), Reset: time.Duration(due - now), RetryAfter: time.Duration(wait),
		}, nil
	}
	if at == nil {
		l.makeRoom(s, now)
		at = new(int64)
		s.due[hash] = at
	}
	*at = next
	s.mu.Unlock()
	return persistence.Allowance{Allowed: true, Remaining: int((burst - (next - now)) / interval), Reset: time.Duration(next - now)}, nil
}

// makeRoom forgets what is as good as new among a few keys; when there is no
// room still, the key among them that comes closest. The order of a map's
// iteration picks them.
func (l *Limits) makeRoom(s *limitShard, now int64) {
	var (
		closest uint64
		least   int64
		seen    int
	)
	for key, due := range s.due {
		if *due <= now {
			delete(s.due, key)
		} else if least == 0 || *due < least {
			closest, least = key, *due
		}
		if seen++; seen == limitSample {
			break
		}
	}
	if len(s.due) >= l.perShard {
		delete(s.due, closest)
		l.early.Inc()
	}
}

func (l *Limits) len() int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.due)
		s.mu.Unlock()
	}
	return n
}
