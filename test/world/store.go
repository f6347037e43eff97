package world

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite

	"kith/persistence"
	"kith/persistence/memory"
	"kith/persistence/postgres"
	"kith/persistence/redis"
	"kith/persistence/sqlite"
	"kith/test/services"
)

// Store is the database of a world.
type Store interface {
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

// store opens the database: SQLite at the path, or the one in Postgres that
// belongs to it.
func (w *World) store(ctx context.Context, o Options, logger *slog.Logger) (Store, error) {
	if services.Production() {
		//nolint:wrapcheck // says all
		return postgres.Open(ctx, postgres.Config{URL: services.PlaceFor(w.TB, w.Path).Database, PoolSize: poolSize, Logger: logger}) //nolint:contextcheck // the place is made in the context of the test
	}
	cfg := sqlite.Config{Path: w.Path, Logger: logger}
	if o.DB != nil {
		o.DB(&cfg)
	}
	return sqlite.Open(ctx, cfg) //nolint:wrapcheck // says all
}

// poolSize is small, since many worlds run at once on one server.
const poolSize = 4

// cache makes the card cache: in memory, or in Redis.
func (w *World) cache(ctx context.Context, logger *slog.Logger) (persistence.Cards, error) {
	if !services.Production() {
		return memory.NewCards(memory.Config{}) //nolint:wrapcheck // says all
	}
	client, err := redis.Open(ctx, redis.Config{URL: services.PlaceFor(w.TB, w.Path).Redis, Logger: logger}) //nolint:contextcheck // the place is made in the context of the test
	if err != nil {
		return nil, err //nolint:wrapcheck // says all
	}
	w.stop = append(w.stop, client.Close)
	return redis.NewCards(client), nil
}

// Change changes what is stored at a path while no world runs on it, with a
// statement that every database understands. Bytes are written as Bytes does.
func Change(tb testing.TB, path, statement string) {
	tb.Helper()
	driver, place := "sqlite", path
	if services.Production() {
		driver, place = "pgx", services.PlaceFor(tb, path).Database
	}
	db, err := sql.Open(driver, place)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := db.ExecContext(tb.Context(), statement); err != nil {
		tb.Fatal(err)
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

// Bytes writes bytes in a statement for Change.
func Bytes(b []byte) string {
	if services.Production() {
		return fmt.Sprintf(`'\x%x'::bytea`, b)
	}
	return fmt.Sprintf("x'%x'", b)
}
