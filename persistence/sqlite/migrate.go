package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/pressly/goose/v3"
	modernc "modernc.org/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a file as a Kith database; the first migration sets it.
const applicationID = 1265210472

// Why a database file cannot be used. The errors say what to do about it.
var (
	ErrLocked  = errors.New("the database is in use by another process; stop that one first")
	ErrNewer   = errors.New("the database was written by a newer kith; start that version, or a later one")
	ErrForeign = errors.New("the file is not a Kith database; choose another path, or move the file away")
	ErrCorrupt = errors.New("the database file is damaged; restore it from a backup")
)

// create makes the file if it is not there. Nobody but the owner may read it;
// SQLite gives the files beside it the same mode.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	return nil
}

// acquireLock keeps other processes away from the database for as long as the
// connection is open, also after a crash: the operating system drops the lock.
// It is a transaction on a file of its own, since a lock on the database itself
// would keep this process's readers away as well.
func acquireLock(ctx context.Context, path string) (*conn, error) {
	path += ".lock"
	if err := create(path); err != nil {
		return nil, err
	}
	c, err := connect(ctx, dsn(path, 0))
	if err != nil {
		return nil, err
	}
	if _, err := c.exec(ctx, "BEGIN EXCLUSIVE"); err != nil {
		err = errors.Join(err, c.close())
		if code(err) == codeBusy {
			return nil, fmt.Errorf("sqlite: %s: %w", path, ErrLocked)
		}
		return nil, fmt.Errorf("sqlite: lock %s: %w", path, err)
	}
	return c, nil
}

// Migrate brings the tables of the database at path up to date, and makes the
// database when it is not there. Open does the same by itself.
func Migrate(ctx context.Context, path string) (err error) {
	if err := create(path); err != nil {
		return err
	}
	lock, err := acquireLock(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.close()) }()
	return migrate(ctx, path, defaultBusy)
}

// Versions says how far the tables of a database are.
type Versions struct {
	Current int64 // of the database; 0 when it has no tables yet
	Latest  int64 // that this program knows
}

// Status returns the versions of the database at path, which may be in use. It
// changes nothing.
func Status(ctx context.Context, path string) (v Versions, err error) {
	if _, err := os.Stat(path); err != nil {
		return Versions{}, fmt.Errorf("sqlite: status: %w", err)
	}
	db, err := openSQL(path, defaultBusy, "query_only(1)")
	if err != nil {
		return Versions{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := provider(db)
	if err != nil {
		return Versions{}, err
	}
	v.Latest = latest(p)
	if v.Current, err = current(ctx, db); err != nil {
		return Versions{}, explain(path, err)
	}
	return v, nil
}

// migrate looks before it touches: a file that is not ours stays as it is.
func migrate(ctx context.Context, path string, busy time.Duration) error {
	v, err := Status(ctx, path)
	switch {
	case err != nil:
		return err
	case v.Current > v.Latest:
		return fmt.Errorf("sqlite: %s: tables at version %d, this program knows %d: %w", path, v.Current, v.Latest, ErrNewer)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	if v.Current == v.Latest {
		return nil
	}
	db, err := openSQL(path, busy, "journal_mode(WAL)", "synchronous(FULL)")
	if err != nil {
		return err
	}
	p, err := provider(db)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	if _, err := p.Up(ctx); err != nil {
		return explain(path, errors.Join(fmt.Errorf("migrate: %w", err), db.Close()))
	}
	if err := db.Close(); err != nil {
		return explain(path, fmt.Errorf("migrate: %w", err))
	}
	return nil
}

func openSQL(path string, busy time.Duration, pragmas ...string) (*sql.DB, error) {
	connector, err := modernc.NewConnector(dsn(path, busy, pragmas...))
	if err != nil {
		return nil, fmt.Errorf("sqlite: data source name: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return db, nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("sqlite: migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(searchMigration(), edgeMigration()))
	if err != nil {
		return nil, fmt.Errorf("sqlite: migrations: %w", err)
	}
	return p, nil
}

func latest(p *goose.Provider) int64 {
	var last int64
	for _, s := range p.ListSources() {
		last = max(last, s.Version)
	}
	return last
}

// current returns the version of the tables, 0 for an empty file, and ErrForeign
// for a database of something else.
func current(ctx context.Context, db *sql.DB) (int64, error) {
	var versions, others, application, version int64
	err := db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE name = 'goose_db_version'),
		count(*) FILTER (WHERE name NOT IN ('goose_db_version', 'sqlite_sequence')) FROM sqlite_schema`).Scan(&versions, &others)
	if err != nil {
		return 0, fmt.Errorf("read the schema: %w", err)
	}
	if others == 0 { // new, or a first start was cut short
		return 0, nil
	}
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application); err != nil {
		return 0, fmt.Errorf("read the application id: %w", err)
	}
	if application != applicationID || versions == 0 {
		return 0, ErrForeign
	}
	if err := db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&version); err != nil {
		return 0, fmt.Errorf("read the version of the tables: %w", err)
	}
	return version, nil
}

// explain adds what to do to the errors that the operator can do something about.
func explain(path string, err error) error {
	switch code(err) {
	case codeBusy:
		return fmt.Errorf("sqlite: %s: %w (%w)", path, ErrLocked, err)
	case codeNotADB:
		return fmt.Errorf("sqlite: %s: %w (%w)", path, ErrForeign, err)
	case codeCorrupt:
		return fmt.Errorf("sqlite: %s: %w (%w)", path, ErrCorrupt, err)
	}
	return fmt.Errorf("sqlite: %s: %w", path, err)
}
