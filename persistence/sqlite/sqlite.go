package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
)

// Config says where the database is and what it may use.
type Config struct {
	Path   string       // of the database file; made when it is not there
	Logger *slog.Logger // nil: nothing is logged
	// Registerer takes the metrics; nil: they are not registered.
	Registerer prometheus.Registerer
	// Readers is how many connections read at once; 0: two per processor, at
	// least four.
	Readers int
	// CacheBytes is the page cache of the writer, and of all readers together;
	// 0: 64 MiB each.
	CacheBytes int
	// BusyTimeout bounds the wait for a lock that another process holds; 0: 5 s.
	BusyTimeout time.Duration
	// Quarantine is how long the name of a deleted user stays taken.
	Quarantine time.Duration
	// Now is the clock of leases and claims; nil: time.Now.
	Now func() time.Time
}

// Defaults of Config.
const (
	defaultBusy  = 5 * time.Second
	defaultCache = 64 << 20
	minReaders   = 4
)

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Readers <= 0 {
		c.Readers = max(minReaders, 2*runtime.NumCPU())
	}
	if c.CacheBytes <= 0 {
		c.CacheBytes = defaultCache
	}
	if c.BusyTimeout <= 0 {
		c.BusyTimeout = defaultBusy
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// DB is a database of SQLite. It implements every contract of persistence but
// Cards, and holds the file's lock until it is closed.
type DB struct {
	cfg      Config
	lock     *conn
	writer   *writer
	readers  *readers
	defaults user.Preferences // what a row without preferences has

	closing  sync.Once
	closeErr error
}

var (
	_ persistence.Journal       = (*DB)(nil)
	_ persistence.Lanes         = (*DB)(nil)
	_ persistence.Directory     = (*DB)(nil)
	_ persistence.Edges         = (*DB)(nil)
	_ persistence.Feeds         = (*DB)(nil)
	_ persistence.Notifications = (*DB)(nil)
	_ persistence.Credentials   = (*DB)(nil)
	_ persistence.Audit         = (*DB)(nil)
	_ persistence.Roster        = (*DB)(nil)
	_ persistence.BrokerLedger  = (*DB)(nil)
)

// walPages is how much the log holds before it is moved into the database: the
// more, the more often a page that changed twice is written once.
const walPages = 32768 // 128 MiB

// Open opens the database, makes it when it is not there, brings its tables up
// to date and starts the writer, which Close ends. A database that cannot be
// used gives an error matching ErrLocked, ErrNewer, ErrForeign or ErrCorrupt.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	cfg = cfg.withDefaults()
	if err := create(cfg.Path); err != nil {
		return nil, err
	}
	lock, err := acquireLock(ctx, cfg.Path)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, cfg.Path, cfg.BusyTimeout); err != nil {
		return nil, errors.Join(err, lock.close())
	}

	cache := "cache_size(-" + strconv.Itoa(cfg.CacheBytes>>10) + ")"
	// What is erased is overwritten, also within pages that stay in use.
	w := newWriter(dsn(cfg.Path, cfg.BusyTimeout, "journal_mode(WAL)", "synchronous(FULL)", "temp_store(MEMORY)", "secure_delete(ON)",
		cache, "wal_autocheckpoint("+strconv.Itoa(walPages)+")", "journal_size_limit(268435456)"), cfg.Logger, newMetrics(cfg.Registerer))
	if err := w.open(ctx); err != nil {
		return nil, errors.Join(explain(cfg.Path, err), lock.close())
	}
	share := "cache_size(-" + strconv.Itoa(max(cfg.CacheBytes>>10/cfg.Readers, 1024)) + ")"
	db := &DB{
		cfg: cfg, lock: lock, writer: w, defaults: user.DefaultPreferences(),
		readers: newReaders(dsn(cfg.Path, cfg.BusyTimeout, "query_only(1)", "temp_store(MEMORY)", share), cfg.Readers),
	}
	go w.run(context.WithoutCancel(ctx))
	return db, nil
}

// Close finishes what waits to be written, ends all connections and gives the
// lock up. What is called afterwards returns ErrClosed. It may be called twice.
func (db *DB) Close() error {
	db.closing.Do(func() {
		close(db.writer.stop)
		<-db.writer.stopped
		if err := errors.Join(db.readers.close(), db.lock.close()); err != nil {
			db.closeErr = fmt.Errorf("sqlite: close: %w", err)
		}
	})
	return db.closeErr
}

// now returns the time as it is stored.
func (db *DB) now() int64 { return db.cfg.Now().UnixMicro() }
