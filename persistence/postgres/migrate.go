package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

const migrationsDir = "migrations"

// migrationLock is the key of the advisory lock of whoever migrates ("Kith" in
// ASCII). It is of the database, like the tables.
const migrationLock = 1265210472

// Versions says how far the tables of a database are.
type Versions struct {
	Current int64 // of the database; 0 when it has no tables yet
	Latest  int64 // that this program knows
}

// Migrate brings the tables of a database up to date. Of several at once, one
// does it and the others wait. Open does the same where there are no tables yet.
// A migration that fails is undone; the ones before it stay.
func Migrate(ctx context.Context, databaseURL string) error {
	t, err := reach(ctx, databaseURL)
	if err != nil {
		return err
	}
	if t.bouncer {
		return fmt.Errorf("postgres: %w", ErrBouncer)
	}
	return t.migrate(ctx)
}

// Status returns the versions of a database, which may be in use. It changes
// nothing. Tables that are not Kith's give an error matching ErrForeign.
func Status(ctx context.Context, databaseURL string) (Versions, error) {
	t, err := reach(ctx, databaseURL)
	if err != nil {
		return Versions{}, err
	}
	return t.status(ctx)
}

// prepare makes the tables when there are none, and refuses those of another
// version: they may be in use by servers that know them.
func (t *target) prepare(ctx context.Context) error {
	v, err := t.status(ctx)
	switch {
	case err != nil:
		return err
	case v.Current > 0:
		return v.refuse()
	case t.bouncer:
		return fmt.Errorf("postgres: the database has no tables yet: %w", ErrBouncer)
	}
	return t.migrate(ctx)
}

// refuse returns why tables cannot be used as they are, or nil.
func (v Versions) refuse() error {
	switch {
	case v.Current > v.Latest:
		return fmt.Errorf("postgres: the tables are at version %d, this program knows %d: %w", v.Current, v.Latest, ErrNewer)
	case v.Current < v.Latest:
		return fmt.Errorf("postgres: the tables are at version %d, this program needs %d: %w", v.Current, v.Latest, ErrOutdated)
	}
	return nil
}

func (t *target) status(ctx context.Context) (Versions, error) {
	conn, err := t.connect(ctx, forReads)
	if err != nil {
		return Versions{}, fmt.Errorf("postgres: %w", err)
	}
	defer closeConn(ctx, conn)
	return status(ctx, conn)
}

func status(ctx context.Context, conn *pgx.Conn) (v Versions, err error) {
	if v.Latest, err = latest(); err != nil {
		return Versions{}, err
	}
	if v.Current, err = current(ctx, conn); err != nil {
		return Versions{}, fmt.Errorf("postgres: %w", err)
	}
	return v, nil
}

// selectTables counts the tables of the schema that this session makes tables in,
// without those of extensions: the one with the versions, some without which a
// schema is not Kith's, and all others.
const selectTables = `SELECT count(*) FILTER (WHERE c.relname = $1), count(*) FILTER (WHERE c.relname IN ('journal', 'lanes', 'tails')), count(*) FILTER (WHERE c.relname <> $1)
	FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
	AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`

// current returns the version of the tables, 0 for an empty schema, and
// ErrForeign for tables of something else.
func current(ctx context.Context, conn *pgx.Conn) (version int64, err error) {
	var versions, ours, others int
	if err := conn.QueryRow(ctx, selectTables, goose.DefaultTablename).Scan(&versions, &ours, &others); err != nil {
		return 0, fmt.Errorf("read the schema: %w", err)
	}
	if others == 0 { // new, or a first start was cut short
		return 0, nil
	}
	if versions == 0 || ours < 3 {
		return 0, ErrForeign
	}
	if err := conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM `+goose.DefaultTablename+` WHERE is_applied`).Scan(&version); err != nil {
		return 0, fmt.Errorf("read the version of the tables: %w", err)
	}
	return version, nil
}

func latest() (last int64, err error) {
	files, err := fs.Glob(migrations, migrationsDir+"/*.sql")
	if err != nil {
		return 0, fmt.Errorf("postgres: migrations: %w", err)
	}
	for _, f := range files {
		version, err := goose.NumericComponent(f)
		if err != nil {
			return 0, fmt.Errorf("postgres: migrations: %w", err)
		}
		last = max(last, version)
	}
	return last, nil
}

// migrate looks before it touches, and again once nobody else migrates. The lock
// is that of a session, which ends with it, whatever happens.
func (t *target) migrate(ctx context.Context) error {
	lock, err := t.connect(ctx, forMigrations)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	defer closeConn(ctx, lock)
	if _, err := lock.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("postgres: wait for whoever migrates: %w", err)
	}
	v, err := status(ctx, lock)
	switch {
	case err != nil:
		return err
	case v.Current == v.Latest:
		return nil
	case v.Current > v.Latest:
		return v.refuse()
	}
	dir, err := fs.Sub(migrations, migrationsDir)
	if err != nil {
		return fmt.Errorf("postgres: migrations: %w", err)
	}
	db := stdlib.OpenDB(*t.config(forMigrations))
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithDisableGlobalRegistry(true))
	if err == nil {
		_, err = p.Up(ctx)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	return nil
}
