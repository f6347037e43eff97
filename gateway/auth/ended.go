package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
)

const (
	endedShards = 16
	// pollEvery spreads the end of a session within 250 ms: this, and a query.
	pollEvery   = 150 * time.Millisecond
	pollTimeout = 5 * time.Second
	pollPage    = 1000
	sweepEvery  = time.Minute
	sweepPage   = 1000
	// endedSlack is how much longer than its tokens a session is remembered: by so
	// much the clocks of two nodes may differ.
	endedSlack = time.Minute
)

// EndedStore is where the list of ended sessions is. persistence.Credentials is
// one.
type EndedStore interface {
	EndedSessions(ctx context.Context, after uint64, limit int) (ended []persistence.EndedSession, next uint64, err error)
	SweepSessions(ctx context.Context, now time.Time, limit int) (int, error)
}

// EndedConfig is what Ended needs.
type EndedConfig struct {
	Store  EndedStore
	Logger *slog.Logger
	// Registerer takes the metrics; nil: they are not registered.
	Registerer prometheus.Registerer
	// OnEnd is called with sessions that ended, soon after each did, perhaps more than
	// once; nil: nobody is told. It must not block.
	OnEnd func([]SessionID)
	// Now is the clock of tokens, time.Now when nil.
	Now func() time.Time
}

// Ended knows which sessions have ended although their access tokens have not
// expired. Run reads along what any node writes. While the database is away, what
// is known stays known, and what ends meanwhile comes when it is back; before the
// first reading nothing is known, and nobody is let in.
//
// It holds an entry for every logout within the lifetime of an access token, and
// forgets no other: as many as there were logins to end.
type Ended struct {
	cfg    EndedConfig
	count  atomic.Int64
	shards [endedShards]endedShard

	known  atomic.Bool   // the list was read once
	slot   chan struct{} // held by whoever reads
	cursor uint64        // only in the slot
	fresh  atomic.Int64  // when it was read last, in Unix microseconds

	polls   *prometheus.CounterVec
	failing bool // only in Run
}

type endedShard struct {
	mu       sync.RWMutex
	sessions map[SessionID]time.Time // until
}

// NewEnded makes Ended. It reads nothing.
func NewEnded(cfg EndedConfig) (*Ended, error) {
	if cfg.Store == nil || cfg.Logger == nil {
		return nil, errors.New("auth: ended sessions need a store and a logger")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Ended{
		cfg: cfg, slot: make(chan struct{}, 1),
		polls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_auth_ended_polls_total", Help: "Readings of the list of ended sessions, by result: ok, failed.",
		}, []string{"result"}),
	}
	for i := range e.shards {
		e.shards[i].sessions = make(map[SessionID]time.Time)
	}
	if cfg.Registerer == nil {
		return e, nil
	}
	for _, c := range []prometheus.Collector{
		e.polls,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kith_auth_ended_sessions_entries", Help: "Sessions whose access tokens are refused although they have not expired.",
		}, func() float64 { return float64(e.count.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kith_auth_ended_lag_seconds", Help: "How long ago the list of ended sessions was read; grows while the database is away.",
		}, func() float64 {
			if read := e.fresh.Load(); read != 0 {
				return cfg.Now().Sub(time.UnixMicro(read)).Seconds()
			}
			return 0
		}),
	} {
		if err := cfg.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("auth: register the metrics of ended sessions: %w", err)
		}
	}
	return e, nil
}

// Has reports whether a session has ended. The first call may read the list; the
// error is that it could not.
func (e *Ended) Has(ctx context.Context, id SessionID) (bool, error) {
	if !e.known.Load() {
		if err := e.learn(ctx); err != nil {
			return false, err
		}
	}
	if e.count.Load() == 0 {
		return false, nil
	}
	s := e.shard(id)
	s.mu.RLock()
	_, ended := s.sessions[id]
	s.mu.RUnlock()
	return ended, nil
}

// learn reads the list for the first time. Callers wait for the one who does.
func (e *Ended) learn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	return e.poll(ctx, func() bool { return e.known.Load() })
}

// Add notes sessions that ended here, before they are read back.
func (e *Ended) Add(ended []persistence.EndedSession) {
	if len(ended) == 0 {
		return
	}
	ids := make([]SessionID, 0, len(ended))
	for _, one := range ended {
		ids = append(ids, one.ID)
		s := e.shard(one.ID)
		s.mu.Lock()
		until, there := s.sessions[one.ID]
		if !there {
			e.count.Add(1)
		}
		if one.Until.After(until) {
			s.sessions[one.ID] = one.Until
		}
		s.mu.Unlock()
	}
	if e.cfg.OnEnd != nil {
		e.cfg.OnEnd(ids)
	}
}

func (e *Ended) shard(id SessionID) *endedShard { return &e.shards[id[0]%endedShards] }

// Run reads along until ctx ends, and forgets, here and in the database, what no
// token can need any more.
func (e *Ended) Run(ctx context.Context) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for turn := 0; ; turn++ {
		e.note(ctx, e.poll(ctx, nil))
		e.forget(turn % endedShards)
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			e.sweep(ctx)
		case <-poll.C:
		}
	}
}

// note says once that the list cannot be read, and once that it can again.
func (e *Ended) note(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil:
		if !e.failing {
			e.cfg.Logger.Warn("ended sessions cannot be read; those that are known stay known", "error", err)
		}
		e.failing = true
	case e.failing:
		e.failing = false
		e.cfg.Logger.Info("ended sessions can be read again")
	}
}

// poll reads what is new of the list, unless done says that it need not.
func (e *Ended) poll(ctx context.Context, done func() bool) error {
	select {
	case e.slot <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("auth: wait for the ended sessions: %w", ctx.Err())
	}
	defer func() { <-e.slot }()
	if done != nil && done() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	for {
		ended, next, err := e.cfg.Store.EndedSessions(ctx, e.cursor, pollPage)
		if err != nil {
			e.polls.WithLabelValues("failed").Inc()
			return fmt.Errorf("auth: read the ended sessions: %w", err)
		}
		e.Add(ended)
		e.cursor = next
		if len(ended) < pollPage {
			break
		}
	}
	e.polls.WithLabelValues("ok").Inc()
	e.fresh.Store(e.cfg.Now().UnixMicro())
	e.known.Store(true)
	return nil
}

// forget drops the sessions of one shard that no token can bear any more.
func (e *Ended) forget(shard int) {
	before := e.cfg.Now().Add(-endedSlack)
	s := &e.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, until := range s.sessions {
		if until.Before(before) {
			delete(s.sessions, id)
			e.count.Add(-1)
		}
	}
}

// sweep removes from the database what has expired. What is left is for the next
// time, also after a failure.
func (e *Ended) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	for ctx.Err() == nil {
		n, err := e.cfg.Store.SweepSessions(ctx, e.cfg.Now().Add(-endedSlack), sweepPage)
		if err != nil && ctx.Err() == nil {
			e.cfg.Logger.Warn("expired sessions could not be removed", "error", err)
		}
		if err != nil || n < sweepPage {
			return
		}
	}
}
