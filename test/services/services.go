package services

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/test/services/server"
)

// The variables of the environment.
const (
	DatabaseVariable = "KITH_TEST_DATABASE_URL"
	RedisVariable    = "KITH_TEST_REDIS_URL"
	RequireVariable  = "KITH_TEST_REQUIRE"
	// LeftOutVariable names a file to which tests that are skipped are added, a
	// line each: the kind of server, the package, the test.
	LeftOutVariable = "KITH_TEST_LEFT_OUT"
)

// stepTime bounds one thing that is asked of a server on a busy machine.
const stepTime = time.Minute

// What the tests of a process share is made once, by the first that needs it.
var (
	//nolint:gochecknoglobals // of the process, as said
	yard = sync.OnceValues(server.Open)
	//nolint:gochecknoglobals // of the process, as said
	sharedPostgres = shared(DatabaseVariable, func(y *server.Yard) (string, error) {
		p, err := y.Postgres(context.Background(), server.PostgresConfig{Settings: server.Careless()})
		if err != nil {
			return "", err
		}
		return p.URL("postgres"), nil
	})
	//nolint:gochecknoglobals // of the process, as said
	sharedRedis = shared(RedisVariable, func(y *server.Yard) (string, error) {
		r, err := y.Redis(context.Background())
		if err != nil {
			return "", err
		}
		return r.URL(0), nil
	})
)

// Database returns the URL of a new, empty database, which is dropped when the
// test ends.
func Database(tb testing.TB) string {
	tb.Helper()
	admin, err := sharedPostgres()
	must(tb, server.KindPostgres, err)
	u, err := url.Parse(admin)
	if err != nil || u.Host == "" {
		tb.Fatalf("%s is no URL of a Postgres", DatabaseVariable) // it may hold a password
	}
	name, err := create(tb.Context(), admin)
	must(tb, server.KindPostgres, err)
	tb.Cleanup(func() {
		check(tb, ask(context.WithoutCancel(tb.Context()), admin, "DROP DATABASE "+name+" WITH (FORCE)"))
	})
	u.Path = "/" + name
	return u.String()
}

// create makes a database on the server of a URL and returns its name. It sorts
// as the server does.
func create(ctx context.Context, admin string) (string, error) {
	name := "kith_" + strings.ToLower(rand.Text())
	return name, ask(ctx, admin, "CREATE DATABASE "+name+" TEMPLATE template0")
}

// ask has a Postgres do one thing.
func ask(ctx context.Context, at, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	c, err := pgx.Connect(ctx, at)
	if err != nil {
		return fmt.Errorf("services: connect to Postgres: %w", err)
	}
	if _, err = c.Exec(ctx, statement); err != nil {
		err = fmt.Errorf("services: %s: %w", statement, err)
	}
	if closed := c.Close(ctx); closed != nil {
		err = errors.Join(err, fmt.Errorf("services: close a connection: %w", closed))
	}
	return err
}

// Redis returns the URL of an empty Redis that nobody else uses while the test
// runs: a logical database. What a Redis has only once (channels, scripts, its
// configuration) is shared; StartRedis gives those too.
func Redis(tb testing.TB) string {
	tb.Helper()
	at, err := sharedRedis()
	must(tb, server.KindRedis, err)
	return leaseDatabase(tb, at)
}

// must ends a test that cannot go on for want of a server: skipped when it is not
// installed and not required, else failed.
func must(tb testing.TB, k server.Kind, err error) {
	tb.Helper()
	var missing *server.MissingError
	switch {
	case err == nil:
	case !errors.As(err, &missing):
		tb.Fatalf("%s of the tests: %v", k, err)
	case os.Getenv(RequireVariable) == "1":
		tb.Fatalf("%v, and %s=1 requires it: %s", err, RequireVariable, advice(k))
	default:
		leaveOut(tb, k)
		tb.Skipf("left out: %v: %s", err, advice(k))
	}
}

// leaveOut notes that a test is left out, where somebody wants to know.
func leaveOut(tb testing.TB, k server.Kind) {
	tb.Helper()
	path := os.Getenv(LeftOutVariable)
	if path == "" {
		return
	}
	pkg, err := os.Getwd() // go test runs each package in its folder
	check(tb, err)
	if dir, base := filepath.Split(pkg); base != "" {
		pkg = filepath.Join(filepath.Base(dir), base)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // ours
	check(tb, err)
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\n", k, pkg, tb.Name())
	check(tb, errors.Join(err, f.Close()))
}

func advice(k server.Kind) string {
	variable := map[server.Kind]string{
		server.KindPostgres: DatabaseVariable, server.KindRedis: RedisVariable, server.KindKafka: KafkaVariable, server.KindSearch: SearchVariable,
	}[k]
	if variable == "" {
		return "`make services` gets it"
	}
	return fmt.Sprintf("`make services` gets it, or set %s", variable)
}
