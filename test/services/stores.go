package services

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// StoresVariable chooses the stores on which the tests of a package run that run on
// both kinds: "embedded", or "production" for Postgres and Redis. Unset means both,
// one after the other.
const StoresVariable = "KITH_TEST_STORES"

// The kinds of stores.
const (
	Embedded   = "embedded"
	production = "production"
)

// Production reports whether what is tested now is on Postgres and Redis.
func Production() bool { return os.Getenv(StoresVariable) == production }

// Tests are the tests of a package.
type Tests interface{ Run() int }

// OnAllStores returns tests that run on each kind of stores, for a TestMain. They
// ask Production.
func OnAllStores(m *testing.M) Tests { return everywhere{m} }

type everywhere struct{ m *testing.M }

// Run implements Tests.
func (e everywhere) Run() (code int) {
	kinds := []string{Embedded, production}
	switch chosen := os.Getenv(StoresVariable); chosen {
	case "":
	case Embedded, production:
		kinds = []string{chosen}
	default:
		fmt.Fprintf(os.Stderr, "%s=%s: allowed is %s or %s\n", StoresVariable, chosen, Embedded, production)
		return 1
	}
	for _, kind := range kinds {
		if err := os.Setenv(StoresVariable, kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		failed := e.m.Run()
		if failed != 0 {
			fmt.Fprintf(os.Stderr, "--- these tests failed on %s stores\n", kind)
		}
		code = max(code, failed)
	}
	return code
}

// placed are the places of data by what they belong to: what is started again finds
// the same data.
var placed sync.Map //nolint:gochecknoglobals // of the process, as the directories are

// Place is where data is in production.
type Place struct{ Database, Redis string } // URLs

// PlaceFor returns the databases that belong to a path, on which embedded stores
// would be. They are made for it the first time, and go with the test that did.
func PlaceFor(tb testing.TB, path string) Place {
	tb.Helper()
	if p, ok := placed.Load(path); ok {
		return p.(Place) //nolint:errcheck,forcetypeassert // nothing else is stored
	}
	p := Place{Database(tb), Redis(tb)}
	placed.Store(path, p)
	tb.Cleanup(func() { placed.Delete(path) })
	return p
}
