package e2e_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"github.com/pressly/goose/v3"

	"kith/test/kithtest"
	"kith/test/services"
)

// onPostgres leaves a test that brings a PostgreSQL to the run that is on one.
func onPostgres(t *testing.T) {
	t.Helper()
	if !kithtest.Production() {
		t.Skip("it is about PostgreSQL, whatever the run is on")
	}
}

// schema is a database of PostgreSQL that the operator looks after.
type schema struct {
	t       *testing.T
	url     string
	dataDir string // of commands; does not exist at first
}

func newSchema(t *testing.T) *schema {
	t.Helper()
	onPostgres(t)
	return &schema{t, services.Database(t), filepath.Join(kithtest.DataDir(t), "data")}
}

// run runs a command on the database, and wants that it does not show the password.
func (s *schema) run(args ...string) kithtest.Result {
	s.t.Helper()
	r := kith.Run(s.t, s.env(), args...)
	u, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	if password, ok := u.User.Password(); ok && strings.Contains(r.Stdout+r.Stderr, password) {
		s.t.Errorf("kith %s shows the password: %s%s", strings.Join(args, " "), r.Stdout, r.Stderr)
	}
	return r
}

func (s *schema) env() []string {
	return []string{"KITH_DATA_DIR=" + s.dataDir, "KITH_DATABASE_URL=" + s.url}
}

// standing is what kith migrate says about a database.
type standing struct{ version, known, todo string }

// migrate runs kith migrate up or status, and wants it to succeed without a data
// dir.
func (s *schema) migrate(verb string) standing {
	s.t.Helper()
	_, before := os.Stat(s.dataDir)
	r := s.run("migrate", verb)
	if r.Code != 0 || r.Stderr != "" {
		s.t.Fatalf("kith migrate %s: exit code %d\n%s%s", verb, r.Code, r.Stdout, r.Stderr)
	}
	said := make(map[string]string)
	for line := range strings.Lines(r.Stdout) {
		what, value, _ := strings.Cut(line, "  ")
		said[what] = strings.TrimSpace(value)
	}
	if u, err := url.Parse(s.url); err != nil || !strings.Contains(said["database"], u.Host+u.Path) {
		s.t.Errorf("kith migrate %s does not say which database: %s", verb, r.Stdout)
	}
	if _, after := os.Stat(s.dataDir); before != nil && after == nil {
		s.t.Errorf("kith migrate %s made the data dir", verb)
	}
	return standing{said["schema version"], said["known to this kith"], said["to do"]}
}

// with lends a connection pool to the database.
func (s *schema) with(f func(context.Context, *sql.DB) error) {
	s.t.Helper()
	db, err := sql.Open("pgx", s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(f(s.t.Context(), db), db.Close()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *schema) execute(statement string) {
	s.t.Helper()
	s.with(func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, statement)
		return err
	})
}

// selectRelations names everything that was made in a database, each by what it
// would not have again if it was made anew.
const selectRelations = `SELECT coalesce(string_agg(c.relname || ' ' || c.oid, E'\n' ORDER BY c.oid), '') FROM pg_class c
	JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'`

// relations returns what there is in the database, "" when it is empty.
func (s *schema) relations() (all string) {
	s.t.Helper()
	s.with(func(ctx context.Context, db *sql.DB) error {
		return db.QueryRowContext(ctx, selectRelations).Scan(&all)
	})
	return all
}

// unchanged wants that f changes nothing of what there is in the database.
func (s *schema) unchanged(f func()) {
	s.t.Helper()
	before := s.relations()
	f()
	if after := s.relations(); after != before {
		s.t.Errorf("the database was changed from\n%s\nto\n%s", before, after)
	}
}

// refuses wants that serve and the commands that use data say why they cannot, and
// what to do about it, in one line.
func (s *schema) refuses(holds ...string) {
	s.t.Helper()
	for _, args := range [][]string{{"verify"}, {"token", "--username", "ada_zq"}, {"role", "ada_zq", "admin"}} {
		fails(s.t, s.run(args...), 1, holds...)
	}
	fails(s.t, serve(s.t, s.env()...), 1, append(holds, "KITH_DATABASE_URL")...)
}

// serves wants that a server runs on the database.
func (s *schema) serves() {
	s.t.Helper()
	server := kith.Start(s.t, kithtest.Options{Place: &services.Place{Database: s.url, Redis: services.Redis(s.t)}})
	want(s.t, http.StatusCreated)(server.Client().Register(s.t.Context(), kithtest.Registration{Username: "ada_zq", Name: "Ada", Password: password}))
	server.Settle()
	if now := s.migrate("status"); now.todo != "nothing" {
		s.t.Errorf("while a server runs: %+v", now)
	}
	server.Stop()
}

func TestAnEmptyDatabaseIsMigratedOnce(t *testing.T) {
	t.Parallel()
	s := newSchema(t)
	var pending standing
	s.unchanged(func() { pending = s.migrate("status") })
	if pending.version != "0" || pending.known == "0" || pending.todo != "kith migrate up" {
		t.Errorf("the status of an empty database: %+v", pending)
	}
	done := standing{pending.known, pending.known, "nothing"}
	if up := s.migrate("up"); up != done {
		t.Errorf("up: %+v, want %+v", up, done)
	}
	s.unchanged(func() {
		for _, verb := range []string{"status", "up", "status"} {
			if again := s.migrate(verb); again != done {
				t.Errorf("%s: %+v, want %+v", verb, again, done)
			}
		}
		s.serves()
	})
}

// A server does not change the tables of an older version, which others may use:
// it says how they are brought up to date, and that does it.
func TestTablesOfAnOlderKithStopTheStartUntilTheyAreMigrated(t *testing.T) {
	t.Parallel()
	s := newSchema(t)
	s.with(func(ctx context.Context, db *sql.DB) error {
		p, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("../../persistence/postgres/migrations"), goose.WithDisableGlobalRegistry(true))
		if err == nil {
			_, err = p.UpTo(ctx, 1)
		}
		return err
	})
	old := s.migrate("status")
	if old.version != "1" || old.known == "1" || old.todo != "kith migrate up" {
		t.Errorf("the status of version 1: %+v", old)
	}
	s.unchanged(func() { s.refuses("version 1", "stop all servers and run kith migrate up") })
	if up := s.migrate("up"); up != (standing{old.known, old.known, "nothing"}) {
		t.Errorf("up: %+v", up)
	}
	s.serves()
}

func TestTablesOfANewerKithStopTheStart(t *testing.T) {
	t.Parallel()
	s := newSchema(t)
	done := s.migrate("up")
	s.execute("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)")
	const advice = "of a newer kith; start that version, or a later one"
	s.unchanged(func() {
		if newer := s.migrate("status"); newer != (standing{"9999", done.known, "install a newer kith"}) {
			t.Errorf("the status: %+v", newer)
		}
		fails(t, s.run("migrate", "up"), 1, "version 9999", advice)
		s.refuses("version 9999", advice)
	})
}

// What belongs to others is left alone, and Kith can live beside it as it says.
func TestADatabaseOfSomethingElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSchema(t)
	s.execute("CREATE TABLE recipes (name text); CREATE SCHEMA beside")
	const advice = "not those of kith; name another database, or an empty schema by search_path"
	s.unchanged(func() {
		for _, verb := range []string{"status", "up"} {
			fails(t, s.run("migrate", verb), 1, advice)
		}
		s.refuses(advice)
	})
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("search_path", "beside")
	u.RawQuery = query.Encode()
	beside := &schema{t, u.String(), filepath.Join(kithtest.DataDir(t), "data")}
	if up := beside.migrate("up"); up.todo != "nothing" {
		t.Errorf("up in a schema of its own: %+v", up)
	}
	beside.serves()
	fails(t, s.run("migrate", "status"), 1, advice)
}
