package postgres_test

import (
	"testing"
	"time"

	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/persistence/postgres"
	"kith/test/services"
)

// behindPgBouncer opens a database through a pgbouncer in transaction mode, with
// further lines of its configuration.
func behindPgBouncer(tb testing.TB, lines ...string) (db *postgres.DB, url string) {
	tb.Helper()
	url = services.Database(tb)
	if err := postgres.Migrate(tb.Context(), url); err != nil {
		tb.Fatal(err)
	}
	db = openAt(tb, postgres.Config{URL: services.StartPgBouncer(tb, url, lines...)})
	if !db.Bouncer() {
		tb.Fatal("pgbouncer was not noticed")
	}
	return db, url
}

// Behind pgbouncer the contracts are kept, too. What is left out here uses the
// session in no other way than what is not.
func TestContractsBehindPgBouncer(t *testing.T) {
	t.Parallel()
	for name, suite := range map[string]func(*testing.T, func(*testing.T) persistencetest.Store){
		"Commit": persistencetest.Commit, "Guards": persistencetest.Guards, "Fence": persistencetest.Fence, "History": persistencetest.History,
		"Directory": persistencetest.Directory, "Audit": persistencetest.Audit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite(t, func(t *testing.T) persistencetest.Store {
				t.Helper()
				db, url := behindPgBouncer(t)
				return store{db, url}
			})
		})
	}
}

func TestAPgBouncerThatIgnoresSettingsIsNoticed(t *testing.T) {
	t.Parallel()
	// A server connection for each transaction: no statement is found again.
	db, _ := behindPgBouncer(t, "server_lifetime = 0",
		"ignore_startup_parameters = synchronous_commit,jit,enable_seqscan,enable_hashjoin,enable_mergejoin,idle_in_transaction_session_timeout,"+
			"tcp_keepalives_idle,tcp_keepalives_interval,tcp_keepalives_count,tcp_user_timeout,statement_timeout,plan_cache_mode,lock_timeout")
	node := acquire(t, db)
	rows := register(t, db, node, 1, 2)
	for range 10 {
		mustCommit(t, db, node, next(&rows[0], persistence.KindFollowed), next(&rows[1], persistence.KindFollowed))
		if err := db.Renew(t.Context(), node, time.Hour); err != nil {
			t.Fatal(err)
		}
		if v := version(t, db, 1); v != rows[0].Version {
			t.Fatalf("version %d, want %d", v, rows[0].Version)
		}
	}
}

func TestTablesAreNotMadeThroughPgBouncer(t *testing.T) {
	t.Parallel()
	url := services.Database(t)
	through := services.StartPgBouncer(t, url)
	_, err := postgres.Open(t.Context(), postgres.Config{URL: through})
	wantError(t, err, postgres.ErrBouncer)
	wantError(t, postgres.Migrate(t.Context(), through), postgres.ErrBouncer)
	if postgres.Away(err) {
		t.Errorf("%v passes for away", err)
	}
	if v, err := postgres.Status(t.Context(), through); err != nil || v.Current != 0 {
		t.Errorf("status %+v, error %v", v, err)
	}
}

func TestACommitBehindPgBouncerWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	url := services.Database(t)
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	c := dial(t, url)
	exec(t, c, `ALTER DATABASE `+ask[string](t, c, `SELECT current_database()`)+` SET synchronous_commit = off`)
	_, err := postgres.Open(t.Context(), postgres.Config{URL: services.StartPgBouncer(t, url)})
	wantError(t, err, postgres.ErrAsync)
	openAt(t, postgres.Config{URL: url}) // without it, a session sets that itself
}
