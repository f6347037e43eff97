package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"kith/persistence"
	"kith/persistence/postgres"
	"kith/persistence/sqlite"
)

// place is where a kith keeps its data: a folder, with a database of SQLite in it
// unless there is one of PostgreSQL.
type place struct {
	Dir string
	URL string // of PostgreSQL; "": SQLite
}

// file is the path of the database of SQLite.
func (p place) file() string { return filepath.Join(p.Dir, "kith.db") }

// env are the settings of a kith that keeps its data here.
func (p place) env() []string {
	env := []string{"KITH_DATA_DIR=" + p.Dir}
	if p.URL != "" {
		env = append(env, "KITH_DATABASE_URL="+p.URL)
	}
	return env
}

// store is what is needed of a database of Kith here.
type store interface {
	persistence.Journal
	persistence.Lanes
	persistence.Directory
	persistence.Credentials
	Close() error
}

// open opens the database, and makes it if there is none. cacheBytes bounds the
// page cache of SQLite; 0 leaves it as it is.
func (p place) open(ctx context.Context, cacheBytes int) (store, error) {
	if p.URL != "" {
		db, err := postgres.Open(ctx, postgres.Config{URL: p.URL})
		if err != nil {
			return nil, fmt.Errorf("open the database: %w", err)
		}
		return db, nil
	}
	db, err := sqlite.Open(ctx, sqlite.Config{Path: p.file(), CacheBytes: cacheBytes})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return db, nil
}

// read opens the database for reading beside the server that it belongs to.
func (p place) read(ctx context.Context) (reader, error) {
	if p.URL != "" {
		return readPostgres(ctx, p.URL, "")
	}
	return readSQLite(p.file())
}

// reader reads a database beside its server.
type reader interface {
	// row reads the first row of what sql gives.
	row(ctx context.Context, sql string, into ...any) error
	// backend is the process of the database's server that works for the reader
	// alone, or 0.
	backend() int
	close() error
}

type sqliteReader struct{ db *sql.DB }

func readSQLite(path string) (reader, error) {
	db, err := openSQL("file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)", 1)
	if err != nil {
		return nil, err
	}
	return sqliteReader{db}, nil
}

func (r sqliteReader) row(ctx context.Context, sql string, into ...any) error {
	return r.db.QueryRowContext(ctx, sql).Scan(into...) //nolint:wrapcheck // the callers do
}

func (sqliteReader) backend() int { return 0 }

func (r sqliteReader) close() error { return r.db.Close() } //nolint:wrapcheck // says it all

type postgresReader struct{ conn *pgx.Conn }

// readPostgres connects to read the tables of a schema; "" is the default.
func readPostgres(ctx context.Context, databaseURL, schema string) (reader, error) {
	conn, err := connectPostgres(ctx, databaseURL, schema)
	if err != nil {
		return nil, err
	}
	return postgresReader{conn}, nil
}

// connectPostgres makes a connection whose queries run in its own process of the
// server alone.
func connectPostgres(ctx context.Context, databaseURL, schema string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, errors.New("the URL of the database cannot be read")
	}
	cfg.RuntimeParams["application_name"] = "load"
	cfg.RuntimeParams["max_parallel_workers_per_gather"] = "0"
	if schema != "" {
		cfg.RuntimeParams["search_path"] = schema
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

func (r postgresReader) row(ctx context.Context, sql string, into ...any) error {
	return r.conn.QueryRow(ctx, sql).Scan(into...) //nolint:wrapcheck // the callers do
}

func (r postgresReader) backend() int { return int(r.conn.PgConn().PID()) }

func (r postgresReader) close() error { return r.conn.Close(context.Background()) } //nolint:wrapcheck // says it all
