package kithtest

import (
	"context"
	"database/sql"
	"io"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite

	"kith/persistence"
	"kith/persistence/postgres"
	"kith/persistence/sqlite"
	"kith/test/services"
)

// Production reports whether the servers of this run are on PostgreSQL and Redis.
func Production() bool { return services.Production() }

const databaseSetting = "KITH_DATABASE_URL="

// settings are those of a server whose data is at a place.
func settings(p services.Place) []string {
	return []string{databaseSetting + p.Database, "KITH_REDIS_URL=" + p.Redis}
}

// Stores returns the settings that say where the server's data is, beside the data
// dir: for commands that are run without it.
func (s *Server) Stores() []string { return s.stores }

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
