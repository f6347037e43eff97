package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"
	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
)

// Config says where the database is and what it may use.
type Config struct {
	// URL is postgres://user:password@host:port/database, with the options of
	// libpq, and more than one host where one may take over from another.
	URL string
	// PoolSize is how many connections read at once; 0: four per processor. At most
	// seven more write.
	PoolSize   int
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // takes the metrics; nil: they are not registered
	// Quarantine is how long the name of a deleted user stays taken.
	Quarantine time.Duration
	// Now is the clock of claims; nil: time.Now. Leases go by the clock of the
	// database, see Acquire.
	Now func() time.Time
}

const (
	readsPerProcessor = 4
	writeConns        = 4
	leaseConns        = 2 // a renewal must not wait for a raise
	closeTimeout      = 10 * time.Second
	turnedEvery       = time.Second
)

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.PoolSize <= 0 {
		c.PoolSize = readsPerProcessor * runtime.NumCPU()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// DB is a database of PostgreSQL. It implements every contract of persistence
// but Cards.
type DB struct {
	cfg      Config
	target   *target
	defaults user.Preferences // what a row without preferences has

	// Each has the settings of its purpose, see connect.go.
	reads  *pgxpool.Pool
	writes *pgxpool.Pool
	leases *pgxpool.Pool

	committer *committer
	metrics   *metrics

	turned   atomic.Int64 // when the pools were last emptied, in Unix nanoseconds
	closing  sync.Once
	closeErr error
}

var (
	_ persistence.Journal = (*DB)(nil)
	_ persistence.Lanes   = (*DB)(nil)
)

// Open connects to the database, makes its tables when it is empty, and returns
// once it can be used. Tables of another version, or that are not Kith's, give an
// error matching ErrOutdated, ErrNewer or ErrForeign. An error of which Away is
// true may be gone the next time; nothing is left behind by one.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	cfg = cfg.withDefaults()
	t, err := reach(ctx, cfg.URL)
	if err != nil {
		return nil, err
	}
	if err := t.prepare(ctx); err != nil {
		return nil, err
	}
	if t.bouncer {
		cfg.Logger.Info("the database is behind pgbouncer in transaction mode; reads run with the settings of the role, for which jit = off is best")
	}
	db := &DB{cfg: cfg, target: t, defaults: user.DefaultPreferences()}
	for _, p := range []struct {
		pool     **pgxpool.Pool
		purpose  purpose
		maxConns int
	}{{&db.reads, forReads, cfg.PoolSize}, {&db.writes, forWrites, writeConns}, {&db.leases, forLeases, leaseConns}} {
		if *p.pool, err = t.pool(ctx, p.purpose, p.maxConns); err != nil {
			db.closePools()
			return nil, err
		}
	}
	db.metrics = newMetrics(map[string]*pgxpool.Pool{"reads": db.reads, "writes": db.writes, "leases": db.leases})
	db.committer = newCommitter(t, db.metrics)
	if err := db.metrics.register(cfg.Registerer); err != nil {
		db.closePools()
		return nil, err
	}
	return db, nil
}

// Close waits for the commit that runs, and for whoever holds a connection, and
// ends all connections. What is called afterwards returns ErrClosed. It may be
// called twice.
//
// Who holds a connection for long (an audit that nobody ended) is not waited for
// for ever: Close then returns an error, and that connection ends with its holder.
func (db *DB) Close() error {
	db.closing.Do(func() {
		db.committer.close()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			db.closePools()
		}()
		select {
		case <-closed:
		case <-time.After(closeTimeout):
			db.closeErr = errors.New("postgres: close: a connection is still in use")
		}
	})
	return db.closeErr
}

func (db *DB) closePools() {
	var closing sync.WaitGroup
	for _, p := range []*pgxpool.Pool{db.reads, db.writes, db.leases} {
		if p != nil {
			closing.Go(p.Close)
		}
	}
	closing.Wait()
}

// wrote is the error of an operation that writes. A server that takes no writes is
// a standby, or has become one: who takes its place is found by connecting anew,
// and until then this one may be behind.
func (db *DB) wrote(err error) error {
	if readOnly(err) {
		now := time.Now().UnixNano()
		if last := db.turned.Load(); now-last > int64(turnedEvery) && db.turned.CompareAndSwap(last, now) {
			for _, p := range []*pgxpool.Pool{db.reads, db.writes, db.leases} {
				p.Reset()
			}
		}
	}
	return fault(err)
}

// fault is the error of an operation on a pool; one on a pool that was closed
// before matches ErrClosed, and one of a database that is away matches
// persistence.ErrAway.
func fault(err error) error {
	switch {
	case errors.Is(err, puddle.ErrClosedPool):
		return ErrClosed
	case Away(err) && !errors.Is(err, persistence.ErrAway):
		return fmt.Errorf("%w: %w", persistence.ErrAway, err)
	}
	return err
}
