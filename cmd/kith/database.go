package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
	"kith/persistence/postgres"
	"kith/persistence/sqlite"
)

// database keeps everything but photos and caches.
type database interface {
	persistence.Journal
	persistence.Lanes
	persistence.Directory
	persistence.Edges
	persistence.Activities
	persistence.Feeds
	persistence.Notifications
	persistence.Credentials
	persistence.Audit
	persistence.Roster
	persistence.BrokerLedger
	persistence.LiveUsers
	persistence.Search
	Close() error
}

// databaseOptions are what opening a database needs besides its place. The zero
// options are fine.
type databaseOptions struct {
	quarantine time.Duration
	logger     *slog.Logger
	registry   prometheus.Registerer
}

// openDatabase opens the database that the settings name.
func (s *storage) openDatabase(ctx context.Context, d *dataDir, o databaseOptions) (database, error) {
	if s.DatabaseURL != "" {
		db, err := postgres.Open(ctx, postgres.Config{
			URL: string(s.DatabaseURL), PoolSize: s.DatabasePool, Quarantine: o.quarantine, Logger: o.logger, Registerer: o.registry,
		})
		if err != nil {
			return nil, fmt.Errorf("open the database (KITH_DATABASE_URL=%s): %w", masked(string(s.DatabaseURL)), err)
		}
		return db, nil
	}
	db, err := sqlite.Open(ctx, sqlite.Config{Path: d.file(databaseFile), Quarantine: o.quarantine, Logger: o.logger, Registerer: o.registry})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return db, nil
}

const (
	minPatience = 250 * time.Millisecond
	maxPatience = 2 * time.Second
)

// patiently calls open until it does not fail because of something that is away
// for now, or ctx ends; told is called with each such failure.
func patiently(ctx context.Context, away func(error) bool, told func(error), open func(context.Context) error) error {
	for wait := minPatience; ; wait = min(2*wait, maxPatience) {
		err := open(ctx)
		if err == nil || !away(err) {
			return err
		}
		told(err)
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}
