package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"kith/test/services"
)

// stores are a PostgreSQL and a Redis of our own, with nobody else on them, and a
// Kafka where one is measured.
type stores struct {
	postgres *services.Postgres
	redis    *services.RedisServer
	kafka    *kafka // nil: kith has its own broker
	url      string // of the database
}

// postgresSettings are those of a production server of its size. A checkpoint is
// rarer than a run is long: for a while after one, each page that is changed is
// written whole to the log.
func postgresSettings() map[string]string {
	return map[string]string{
		"fsync": "on", "wal_level": "replica", "max_wal_senders": "10", "full_page_writes": "on", "synchronous_commit": "on",
		"shared_buffers": "1GB", "max_connections": "200", "wal_compression": "lz4",
		"max_wal_size": "32GB", "checkpoint_timeout": "60min", "random_page_cost": "1.1", "autovacuum_naptime": "1min",
	}
}

// describeStores says what the stores of every run are.
func describeStores(version string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "PostgreSQL %s with", version)
	settings := postgresSettings()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&s, " %s=%s", name, settings[name])
	}
	s.WriteString("; Redis without persistence; both on this machine, reached through TCP")
	return s.String()
}

// startStores starts both in a folder of the run.
func (b *bench) startStores(ctx context.Context, name string) (s *stores, err error) {
	s = &stores{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return s, fmt.Errorf("make the directory of PostgreSQL: %w", err)
	}
	// Its server refuses to be root, so it may be somebody else's.
	if err := errors.Join(os.Chmod(b.dir, 0o711), os.Chmod(dir, 0o777)); err != nil { //nolint:gosec // it keeps a folder of its own in there
		return s, fmt.Errorf("let PostgreSQL into its directory: %w", err)
	}
	settings := postgresSettings()
	if b.profileDir != "" {
		settings["shared_preload_libraries"], settings["pg_stat_statements.track_planning"] = "pg_stat_statements", "on"
	}
	if s.postgres, err = services.NewPostgres(ctx, services.PostgresConfig{Dir: dir, Settings: settings}); err != nil {
		return s, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if s.redis, err = services.NewRedis(ctx); err != nil {
		return s, fmt.Errorf("start Redis: %w", err)
	}
	if s.url, err = s.postgres.Database(ctx); err != nil {
		return s, fmt.Errorf("make a database: %w", err)
	}
	return s, b.introduce(ctx, s)
}

// introduce asks PostgreSQL what it is, and has it count statements when they are
// profiled.
func (b *bench) introduce(ctx context.Context, s *stores) error {
	return s.with(ctx, func(conn *pgx.Conn) error {
		var version string
		if err := conn.QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
			return fmt.Errorf("ask PostgreSQL for its version: %w", err)
		}
		b.report.stores = describeStores(version)
		if b.profileDir == "" {
			return nil
		}
		if _, err := conn.Exec(ctx, "CREATE EXTENSION pg_stat_statements"); err != nil {
			return fmt.Errorf("count statements: %w", err)
		}
		return nil
	})
}

// with calls f with a connection to the database.
func (s *stores) with(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := connectPostgres(ctx, s.url, "")
	if err != nil {
		return err
	}
	return errors.Join(f(conn), conn.Close(ctx))
}

// settle leaves the database as it is after it has been used for long: with
// statistics, and with what autovacuum would do done. It is not checkpointed.
func (s *stores) settle(ctx context.Context) error {
	return s.with(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "VACUUM (ANALYZE)"); err != nil {
			return fmt.Errorf("vacuum: %w", err)
		}
		return nil
	})
}

// size returns how large the database is, in bytes.
func (s *stores) size(ctx context.Context) (n int64, err error) {
	err = s.with(ctx, func(conn *pgx.Conn) error {
		if err := conn.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&n); err != nil {
			return fmt.Errorf("size of the database: %w", err)
		}
		return nil
	})
	return n, err
}

// close ends all and removes what they stored. Those that were not started do
// nothing.
func (s *stores) close() error {
	if s == nil {
		return nil
	}
	var err error
	if s.postgres != nil {
		err = s.postgres.Close()
	}
	if s.redis != nil {
		err = errors.Join(err, s.redis.Close())
	}
	err = errors.Join(err, s.kafka.close())
	*s = stores{}
	return err
}

// usesRedis checks that cards are where they are said to be.
func (r *rig) usesRedis(ctx context.Context) error {
	if !r.cached {
		return nil
	}
	options, err := redis.ParseURL(r.stores.redis.URL())
	if err != nil {
		return errors.New("the URL of Redis cannot be read")
	}
	c := redis.NewClient(options)
	n, err := c.DBSize(ctx).Result()
	switch {
	case err != nil:
		err = fmt.Errorf("count the keys of Redis: %w", err)
	case n == 0:
		err = errors.New("kith keeps no cards in Redis")
	}
	return errors.Join(err, c.Close())
}
