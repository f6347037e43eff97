package postgres_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
	"kith/test/services"
)

func TestAnEmptyDatabaseGetsItsTables(t *testing.T) {
	t.Parallel()
	url := services.Database(t)
	v, err := postgres.Status(t.Context(), url)
	if err != nil || v.Current != 0 || v.Latest == 0 {
		t.Fatalf("status of an empty database %+v, error %v", v, err)
	}
	db := openAt(t, postgres.Config{URL: url})
	register(t, db, acquire(t, db), 1)
	if v, err = postgres.Status(t.Context(), url); err != nil || v.Current != v.Latest { // while it is in use
		t.Fatalf("status %+v, error %v", v, err)
	}
	for range 2 {
		if err := postgres.Migrate(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOfManyThatStartAtOnceOneMakesTheTables(t *testing.T) {
	t.Parallel()
	url := services.Database(t)
	const starters = 6
	var running sync.WaitGroup
	errs := make(chan error, starters)
	for i := range starters {
		running.Go(func() {
			if i%2 == 0 {
				errs <- postgres.Migrate(t.Context(), url)
				return
			}
			db, err := postgres.Open(t.Context(), postgres.Config{URL: url, PoolSize: 1})
			if err == nil {
				err = db.Close()
			}
			errs <- err
		})
	}
	running.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestTablesOfAnotherVersionAreRefused(t *testing.T) {
	t.Parallel()
	url := services.Database(t)
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	exec(t, dial(t, url), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	wantError(t, err, postgres.ErrNewer)
	if !strings.Contains(err.Error(), "9999") || postgres.Away(err) {
		t.Errorf("%v does not say which version, or passes for away", err)
	}
	wantError(t, postgres.Migrate(t.Context(), url), postgres.ErrNewer)
	v, err := postgres.Status(t.Context(), url)
	if err != nil || v.Current != 9999 || v.Latest >= 9999 {
		t.Errorf("status %+v, error %v", v, err)
	}
	err = postgres.Refuse(postgres.Versions{Current: 1, Latest: 2})
	wantError(t, err, postgres.ErrOutdated)
	if !strings.Contains(err.Error(), "kith migrate up") || postgres.Away(err) {
		t.Errorf("%v does not name the command, or passes for away", err)
	}
}

func TestTablesOfSomethingElseAreRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	for name, tables := range map[string]string{
		"another program's":                 `CREATE TABLE users (id bigint PRIMARY KEY)`,
		"another program's, with goose":     `CREATE TABLE goose_db_version (id int, version_id bigint, is_applied bool); CREATE TABLE journal (id int); INSERT INTO goose_db_version VALUES (1, 1, true)`,
		"a view alone":                      `CREATE VIEW v AS SELECT 1`,
		"ours, but nobody knows since when": `CREATE TABLE journal (id int); CREATE TABLE lanes (id int); CREATE TABLE tails (id int)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := services.Database(t)
			c := dial(t, url)
			exec(t, c, tables)
			const count = `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`
			before := ask[int](t, c, count)
			_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
			wantError(t, err, postgres.ErrForeign)
			wantError(t, postgres.Migrate(t.Context(), url), postgres.ErrForeign)
			_, err = postgres.Status(t.Context(), url)
			wantError(t, err, postgres.ErrForeign)
			if postgres.Away(err) {
				t.Errorf("%v passes for away", err)
			}
			if after := ask[int](t, c, count); after != before {
				t.Errorf("%d relations, %d before", after, before)
			}
		})
	}
}

func TestASchemaOfItsOwnIsAsGoodAsADatabase(t *testing.T) {
	t.Parallel()
	at := services.Database(t)
	c := dial(t, at)
	exec(t, c, `CREATE TABLE users (id bigint)`)
	exec(t, c, `CREATE SCHEMA kith`)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("search_path", "kith")
	u.RawQuery = query.Encode()
	db := openAt(t, postgres.Config{URL: u.String()})
	register(t, db, acquire(t, db), 1)
	if n := ask[int](t, c, `SELECT count(*) FROM kith.users`); n != 1 {
		t.Errorf("%d users", n)
	}
}

// secret is a password that must not be found in any text.
const secret = "hunter2-s3cr3t"

func TestWhatTheOperatorMustMendIsNotAway(t *testing.T) {
	t.Parallel()
	at := services.Database(t)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	role := "r" + strings.TrimPrefix(u.Path, "/")
	c := dial(t, at)
	exec(t, c, `CREATE ROLE `+role+` LOGIN PASSWORD '`+secret+`'`)
	afterwards(t, at, `DROP OWNED BY `+role+`; DROP ROLE `+role)
	with := func(change func(*url.URL)) string {
		v := *u
		change(&v)
		return v.String()
	}
	for name, bad := range map[string]string{
		"a wrong password":    with(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), secret) }),
		"an unknown database": with(func(u *url.URL) { u.Path = "/nosuchdatabase" }),
		"an unknown role":     with(func(u *url.URL) { u.User = url.UserPassword("nosuchrole", secret) }),
		"no permission":       with(func(u *url.URL) { u.User = url.UserPassword(role, secret) }),
		"an unknown setting":  with(func(u *url.URL) { u.RawQuery = "nosuchsetting=1" }),
		"no TLS there":        with(func(u *url.URL) { u.RawQuery = "sslmode=require" }),
	} {
		_, err := postgres.Open(t.Context(), postgres.Config{URL: bad})
		switch {
		case err == nil:
			t.Errorf("%s: no error", name)
		case postgres.Away(err):
			t.Errorf("%s: %v passes for away", name, err)
		case strings.Contains(err.Error(), secret):
			t.Errorf("%s: %v holds the password", name, err)
		}
	}
}

func TestAURLThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{
		"another scheme":       "mysql://user:" + secret + "@host/db",
		"no scheme":            "host=localhost password=" + secret,
		"a port that is none":  "postgres://user:" + secret + "@host:port/db",
		"an unescaped percent": "postgres://user:" + secret + "%zz@host/db",
		"an unescaped slash":   "postgres://user:" + secret + "/x@host:54x/db",
		"a mode that is none":  "postgres://user:" + secret + "@host/db?sslmode=" + secret,
		"a timeout of none":    "postgres://user:" + secret + "@host/db?connect_timeout=soon&password=" + secret,
		"nothing":              "",
	} {
		for what, err := range map[string]error{"check": postgres.CheckURL(bad), "migrate": postgres.Migrate(t.Context(), bad)} {
			switch {
			case err == nil:
				t.Errorf("%s, %s: no error", name, what)
			case strings.Contains(fmt.Sprintf("%v %+v", err, err), secret):
				t.Errorf("%s, %s: %v holds the password", name, what, err)
			case postgres.Away(err):
				t.Errorf("%s, %s: %v passes for away", name, what, err)
			}
		}
	}
	for _, good := range []string{"postgres://u:p@h/d", "postgresql://h:5432", "postgres://u@h1:1,h2:2/d?target_session_attrs=read-write", "postgres:///d?host=/run/postgresql"} {
		if err := postgres.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

func TestClosedIsClosed(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	node := acquire(t, db)
	row := register(t, db, node, 1)[0]
	if err := errors.Join(db.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err := commit(t, db, node, next(&row, persistence.KindFollowed))
	wantError(t, err, postgres.ErrClosed)
	wantError(t, err, persistence.ErrNotCommitted)
	_, err = db.Heads(t.Context())
	wantError(t, err, postgres.ErrClosed)
	_, err = db.Load(t.Context(), []user.ID{1})
	wantError(t, err, postgres.ErrClosed)
	wantError(t, db.Renew(t.Context(), node, time.Hour), postgres.ErrClosed)
}

func TestThePoolsAreMeasured(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	db := openAt(t, postgres.Config{URL: services.Database(t), PoolSize: 3, Registerer: registry})
	register(t, db, acquire(t, db), 1)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			found[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for key, want := range map[string]float64{"kith_postgres_pool_connections_limit reads": 3, "kith_postgres_commit_connects_total": 1, "kith_postgres_pool_acquires_total leases given": 1} {
		if found[key] != want {
			t.Errorf("%s is %v, want %v", key, found[key], want)
		}
	}
}
