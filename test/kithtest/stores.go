package kithtest

import (
	"context"
	"database/sql"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite

	"kith/persistence"
	"kith/persistence/postgres"
	"kith/persistence/sqlite"
	"kith/test/services"
)

// EnvStores chooses the stores that all servers of a test run are on: "" or
// "embedded", or "production" for PostgreSQL and Redis.
const EnvStores = "KITH_TEST_STORES"

// Production reports whether the servers of this run are on PostgreSQL and Redis.
func Production() bool { return os.Getenv(EnvStores) == "production" }

// placed are the settings of the stores by data dir: a server that is started
// again on one, and the commands of its operator, find the same data.
var placed sync.Map //nolint:gochecknoglobals // of the run

const databaseSetting = "KITH_DATABASE_URL="

// Stores returns the settings of the stores that belong to a data dir, which are
// made for it the first time; none on embedded stores.
func Stores(tb testing.TB, dataDir string) []string {
	tb.Helper()
	if !Production() {
		return nil
	}
	if env, ok := placed.Load(dataDir); ok {
		return env.([]string) //nolint:errcheck,forcetypeassert // nothing else is stored
	}
	env := []string{databaseSetting + services.Database(tb), "KITH_REDIS_URL=" + services.Redis(tb)}
	placed.Store(dataDir, env)
	return env
}

// databaseURL is where the server's database is, "" when it is in the data dir.
func (s *Server) databaseURL() string {
	for _, setting := range s.stores {
		if url, ok := strings.CutPrefix(setting, databaseSetting); ok {
			return url
		}
	}
	return ""
}

// Ask returns the one value of a query of the server's database.
func (s *Server) Ask(query string) string {
	s.tb.Helper()
	driver, place := "sqlite", "file:"+s.File("kith.db")
	if url := s.databaseURL(); url != "" {
		driver, place = "pgx", url
	}
	db, err := sql.Open(driver, place)
	if err != nil {
		s.tb.Fatal(err)
	}
	var value string
	if err := db.QueryRowContext(s.tb.Context(), query).Scan(&value); err != nil {
		s.tb.Error(err)
	}
	if err := db.Close(); err != nil {
		s.tb.Fatal(err)
	}
	return value
}

// Audit opens the database of a server that has stopped, until the end of the
// test.
func (s *Server) Audit() persistence.Audit {
	s.tb.Helper()
	var (
		db interface {
			persistence.Audit
			io.Closer
		}
		err error
		ctx = context.WithoutCancel(s.tb.Context())
	)
	if url := s.databaseURL(); url != "" {
		db, err = postgres.Open(ctx, postgres.Config{URL: url})
	} else {
		db, err = sqlite.Open(ctx, sqlite.Config{Path: s.File("kith.db")})
	}
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			s.tb.Error(err)
		}
	})
	return db
}
