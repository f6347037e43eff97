package sqlite_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"kith/persistence/persistencetest"
	"kith/persistence/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) *sqlite.DB {
	t.Helper()
	return openAt(t, sqlite.Config{Path: filepath.Join(t.TempDir(), "kith.db")})
}

func openAt(t *testing.T, cfg sqlite.Config) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestConformance(t *testing.T) {
	t.Parallel()
	persistencetest.Run(t, func(t *testing.T) persistencetest.Store {
		t.Helper()
		return open(t)
	})
}
