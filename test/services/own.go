package services

import (
	"context"
	"path/filepath"
	"testing"

	"kith/test/services/server"
)

// PostgresConfig says how a Postgres is to be. The zero value is fine: what was
// committed survives a SIGKILL of the server.
type PostgresConfig struct {
	Settings map[string]string // of postgresql.conf
	// Dir is where a directory for the data is made; "" makes one that is private.
	Dir string
}

// Postgres is a server of one's own.
type Postgres struct {
	*server.Postgres

	tb  testing.TB // nil: of no test
	url string
}

// StartPostgres starts a Postgres that ends with the test.
func StartPostgres(tb testing.TB, c PostgresConfig) *Postgres {
	tb.Helper()
	_, err := server.Find(server.KindPostgres)
	must(tb, server.KindPostgres, err)
	p, err := NewPostgres(tb.Context(), c)
	must(tb, server.KindPostgres, err)
	p.tb = tb
	tb.Cleanup(func() { check(tb, p.Close()) })
	p.url, err = p.Database(tb.Context())
	must(tb, server.KindPostgres, err)
	return p
}

// NewPostgres starts a Postgres for who is no test. Close ends it; the end of the
// process does, too.
func NewPostgres(ctx context.Context, c PostgresConfig) (*Postgres, error) {
	y, err := yard()
	if err != nil {
		return nil, err
	}
	config := server.PostgresConfig{Settings: c.Settings}
	if c.Dir != "" {
		config.Data = filepath.Join(c.Dir, "data")
	}
	s, err := y.Postgres(ctx, config)
	if err != nil {
		return nil, err
	}
	return &Postgres{Postgres: s}, nil
}

// URL returns the URL of a database that was empty at first. It stays the same.
func (p *Postgres) URL() string { return p.url }

// AdminURL returns the URL of the database from which others are made.
func (p *Postgres) AdminURL() string { return p.Postgres.URL("postgres") }

// Database returns the URL of another new, empty database.
func (p *Postgres) Database(ctx context.Context) (string, error) {
	name, err := create(ctx, p.AdminURL())
	return p.Postgres.URL(name), err
}

// Kill ends the postmaster and all its children with SIGKILL and waits until they
// are gone.
func (p *Postgres) Kill() {
	p.tb.Helper()
	check(p.tb, p.Postgres.Kill())
}

// Stop shuts the server down (fast) and waits until it is gone.
func (p *Postgres) Stop() {
	p.tb.Helper()
	check(p.tb, p.Postgres.Stop())
}

// Start starts the server again, on the same port, and waits until it answers.
func (p *Postgres) Start() {
	p.tb.Helper()
	check(p.tb, p.Postgres.Start(p.tb.Context()))
}

// Close ends the server and removes its data.
func (p *Postgres) Close() error { return p.Remove() } //nolint:wrapcheck // says all

// RedisServer is a Redis of one's own. It writes its data to disk only when it is
// told to (SAVE) and reads at its start what was written last.
type RedisServer struct {
	*server.Redis

	tb testing.TB // nil: of no test
}

// StartRedis starts a Redis that ends with the test, with further lines of its
// configuration, such as "maxmemory 4mb".
func StartRedis(tb testing.TB, lines ...string) *RedisServer {
	tb.Helper()
	_, err := server.Find(server.KindRedis)
	must(tb, server.KindRedis, err)
	r, err := NewRedis(tb.Context(), lines...)
	must(tb, server.KindRedis, err)
	r.tb = tb
	tb.Cleanup(func() { check(tb, r.Close()) })
	return r
}

// NewRedis starts a Redis for who is no test. Close ends it; the end of the
// process does, too.
func NewRedis(ctx context.Context, lines ...string) (*RedisServer, error) {
	y, err := yard()
	if err != nil {
		return nil, err
	}
	s, err := y.Redis(ctx, lines...)
	if err != nil {
		return nil, err
	}
	return &RedisServer{Redis: s}, nil
}

// URL returns its URL. It stays the same.
func (r *RedisServer) URL() string { return r.Redis.URL(0) }

// Kill ends the server with SIGKILL and waits until it is gone.
func (r *RedisServer) Kill() {
	r.tb.Helper()
	check(r.tb, r.Redis.Kill())
}

// Stop shuts the server down and waits until it is gone.
func (r *RedisServer) Stop() {
	r.tb.Helper()
	check(r.tb, r.Redis.Stop())
}

// Start starts the server again, on the same port, and waits until it answers.
func (r *RedisServer) Start() {
	r.tb.Helper()
	check(r.tb, r.Redis.Start(r.tb.Context()))
}

// Close ends the server and removes its data.
func (r *RedisServer) Close() error { return r.Remove() } //nolint:wrapcheck // says all

// StartPgBouncer starts a pgbouncer in transaction mode in front of a database,
// with further lines of its configuration, and returns the URL of that database
// through it. It ends with the test.
func StartPgBouncer(tb testing.TB, upstreamURL string, lines ...string) string {
	tb.Helper()
	_, err := server.Find(server.KindPgBouncer)
	must(tb, server.KindPgBouncer, err)
	y, err := yard()
	must(tb, server.KindPgBouncer, err)
	b, err := y.PgBouncer(tb.Context(), upstreamURL, lines...)
	must(tb, server.KindPgBouncer, err)
	tb.Cleanup(func() { check(tb, b.Remove()) })
	return b.URL()
}

// check fails a test at an error.
func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
