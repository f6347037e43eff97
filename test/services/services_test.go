package services_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"kith/test/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect connects to a database for the time of a test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) }) // its server may be gone
	return c
}

func TestDatabasesAreEmptyAndGoWithTheTest(t *testing.T) {
	t.Parallel()
	var urls [2]string
	t.Run("tests", func(t *testing.T) {
		for i := range urls {
			url := services.Database(t)
			c := connect(t, url)
			if _, err := c.Exec(t.Context(), `CREATE TABLE mine (i int)`); err != nil {
				t.Errorf("the database is not empty: %v", err)
			}
			urls[i] = url
		}
	})
	for _, url := range urls {
		if c, err := pgx.Connect(t.Context(), url); err == nil {
			t.Errorf("the database is still there: %v", c.Close(t.Context()))
		}
	}
}

func TestNobodySharesALogicalDatabase(t *testing.T) {
	t.Parallel()
	client := func(t *testing.T) *redis.Client {
		t.Helper()
		options, err := redis.ParseURL(services.Redis(t))
		if err != nil {
			t.Fatal(err)
		}
		c := redis.NewClient(options)
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		return c
	}
	for range 3 {
		t.Run("one after another", func(t *testing.T) {
			a, b := client(t), client(t)
			if err := a.Set(t.Context(), "key", "a", 0).Err(); err != nil {
				t.Fatal(err)
			}
			if n := b.DBSize(t.Context()).Val(); n != 0 {
				t.Errorf("another test's database has %d keys", n)
			}
		})
	}
}

func TestPostgresKeepsWhatWasCommittedThroughKillAndStop(t *testing.T) {
	t.Parallel()
	p := services.StartPostgres(t, services.PostgresConfig{Settings: map[string]string{"max_connections": "17"}})
	c := connect(t, p.URL())
	var connections string
	if err := c.QueryRow(t.Context(), `SHOW max_connections`).Scan(&connections); err != nil || connections != "17" {
		t.Errorf("max_connections: %s, %v", connections, err)
	}
	if _, err := c.Exec(t.Context(), `CREATE TABLE kept (i int)`); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func(){p.Kill, p.Stop, p.Kill} {
		if _, err := c.Exec(t.Context(), `INSERT INTO kept VALUES ($1)`, i); err != nil {
			t.Fatal(err)
		}
		end()
		if p.PID() != 0 {
			t.Error("it runs")
		}
		if _, err := pgx.Connect(t.Context(), p.URL()); err == nil {
			t.Error("it answers")
		}
		p.Start()
		c = connect(t, p.URL())
		var n int
		if err := c.QueryRow(t.Context(), `SELECT count(*) FROM kept`).Scan(&n); err != nil || n != i+1 {
			t.Errorf("%d rows of %d: %v", n, i+1, err)
		}
	}
}

func TestRedisComesBackWithWhatItSavedLast(t *testing.T) {
	t.Parallel()
	r := services.StartRedis(t)
	options, err := redis.ParseURL(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(options)
	defer func() { _ = c.Close() }() // its server may be gone
	ctx := t.Context()
	for _, end := range []func(){r.Kill, r.Stop} {
		c.Set(ctx, "key", "saved", 0)
		if err := c.Save(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		c.Set(ctx, "key", "not saved", 0)
		end()
		if err := c.Ping(ctx).Err(); err == nil || r.PID() != 0 {
			t.Error("it answers")
		}
		r.Start()
		if got := c.Get(ctx, "key").Val(); got != "saved" {
			t.Errorf("it came back with %q", got)
		}
	}
}

// Two clients use one connection to the server, one transaction after another.
func TestPgBouncerIsInTransactionMode(t *testing.T) {
	t.Parallel()
	url := services.StartPgBouncer(t, services.Database(t), "default_pool_size = 1")
	a, b := connect(t, url), connect(t, url)
	var backends [2]int
	for i, c := range []*pgx.Conn{a, b} {
		if err := c.QueryRow(t.Context(), `SELECT pg_backend_pid()`, pgx.QueryExecModeSimpleProtocol).Scan(&backends[i]); err != nil {
			t.Fatal(err)
		}
	}
	if backends[0] != backends[1] {
		t.Errorf("the backends are %v", backends)
	}
}
