package outage_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"kith/test/kithtest"
	"kith/test/services"
)

// fault is one way in which a store fails.
type fault struct {
	name string
	// writes and reads are the answers that clients may get meanwhile; the first of
	// each must come.
	writes, reads []string
	ready         string // of /readyz meanwhile
	config        func(*testing.T) services.PostgresConfig
	// strike makes the fault, heal ends it; between, clients get what they get until
	// enough of it came, or for as long as lasts says.
	strike, heal func(*rig)
	lasts        time.Duration
}

const (
	good        = "2xx"
	unavailable = "503 unavailable"
	unknown     = "503 outcome_unknown"
	busy        = "503 busy"
	fine        = "200"
	noDatabase  = "503: the database does not take writes"
	noRedis     = "200, degraded: redis"
)

// away is how long a store is away under load.
const away = 30 * time.Second

func faults() []fault {
	refused := []string{unavailable, unknown, busy}
	return []fault{
		{
			name: "PostgreSQL answers 100 ms late", writes: []string{good}, reads: []string{good}, ready: fine,
			strike: func(r *rig) { r.toPG.toxic("latency", "downstream", map[string]any{"latency": 100}) },
			heal:   func(r *rig) { r.toPG.clean() },
		},
		{
			name: "all connections to PostgreSQL are cut, and come back at once", writes: []string{good, unavailable, unknown, busy}, reads: []string{good, unavailable}, ready: fine,
			strike: func(r *rig) { r.toPG.cut(); r.toPG.mend(); r.server.AwaitReady() },
			heal:   func(*rig) {},
		},
		{
			name: "answers of PostgreSQL are lost, then the connections", writes: []string{unavailable, unknown, busy, good}, reads: []string{unavailable, good}, ready: noDatabase,
			strike: func(r *rig) { r.toPG.toxic("timeout", "downstream", map[string]any{"timeout": 300}) },
			heal:   func(r *rig) { r.toPG.clean() },
		},
		{
			name: "PostgreSQL is away for 30 s", writes: refused, reads: []string{unavailable, good}, ready: noDatabase, lasts: away,
			strike: func(r *rig) { r.toPG.cut() },
			heal:   func(r *rig) { r.toPG.mend() },
		},
		{
			name: "PostgreSQL is killed with -9 and starts again", writes: refused, reads: []string{good, unavailable}, ready: noDatabase,
			strike: func(r *rig) { r.postgres.Kill() },
			heal:   func(r *rig) { r.postgres.Start() },
		},
		{
			name: "PostgreSQL takes no writes (a failover to a standby)", writes: refused, reads: []string{good, unavailable}, ready: noDatabase,
			strike: func(r *rig) {
				r.ask(`ALTER SYSTEM SET default_transaction_read_only = on`)
				r.ask(`SELECT pg_reload_conf()`)
			},
			heal: func(r *rig) {
				r.ask(`ALTER SYSTEM RESET default_transaction_read_only`)
				r.ask(`SELECT pg_reload_conf()`)
			},
		},
		{
			name: "PostgreSQL is out of connections", writes: refused, reads: []string{good, unavailable}, ready: noDatabase,
			config: func(*testing.T) services.PostgresConfig {
				return services.PostgresConfig{Settings: map[string]string{"max_connections": "40", "superuser_reserved_connections": "0"}}
			},
			strike: takeConnections, heal: func(*rig) {},
		},
		{
			name: "the disk of PostgreSQL is full", writes: []string{unavailable, unknown, busy, good}, reads: []string{good, unavailable}, ready: noDatabase,
			config: smallDisk, strike: fillDisk, heal: freeDisk,
		},
		{
			name: "Redis answers 500 ms late", writes: []string{good}, reads: []string{good}, ready: noRedis,
			strike: func(r *rig) { r.toRedis.toxic("latency", "downstream", map[string]any{"latency": 500}) },
			heal:   func(r *rig) { r.toRedis.clean() },
		},
		{
			name: "Redis is away for 30 s", writes: []string{good}, reads: []string{good}, ready: noRedis, lasts: away,
			strike: func(r *rig) { r.toRedis.cut() },
			heal:   func(r *rig) { r.toRedis.mend() },
		},
		{
			name: "Redis is killed with -9 and starts again", writes: []string{good}, reads: []string{good}, ready: noRedis,
			strike: func(r *rig) { r.redis.Kill() },
			heal:   func(r *rig) { r.redis.Start() },
		},
	}
}

// Whatever a store does, nothing that was acknowledged is lost or doubled, clients
// are told the truth, and everything goes on by itself afterwards.
func TestFaultsOfTheStores(t *testing.T) {
	t.Parallel()
	rows := make([]row, len(faults()))
	t.Run("faults", func(t *testing.T) {
		for i, f := range faults() {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				rows[i] = f.happen(t)
			})
		}
	})
	if !t.Failed() {
		table(t, rows)
	}
}

func (f *fault) happen(t *testing.T) row {
	t.Helper()
	var cfg services.PostgresConfig
	if f.config != nil {
		cfg = f.config(t)
	}
	r := setUp(t, cfg)
	r.server.AwaitReady()
	l := begin(t, r.server)
	l.await("the load", func(s *sight) bool { return s.good() >= enough })

	struck := time.Now()
	f.strike(r)
	l.enter(during)
	f.awaitReadiness(r)
	l.await("what the fault looks like", func(s *sight) bool {
		return s.total() >= enough && s.writes[f.writes[0]] > 0 && s.reads[f.reads[0]] > 0 && time.Since(struck) >= f.lasts
	})
	l.enter("between")
	f.heal(r)
	r.server.AwaitReady()
	l.enter("after")
	l.await("writes after the fault", func(s *sight) bool { return s.good() >= enough })
	l.end()

	seen := l.seen[during]
	for _, c := range []struct {
		what    string
		seen    map[string]int
		allowed []string
	}{{"writes", seen.writes, f.writes}, {"reads", seen.reads, f.reads}} {
		for what, n := range c.seen {
			if !slices.Contains(c.allowed, what) {
				t.Errorf("%d %s were answered %s", n, c.what, what)
			}
		}
	}
	r.server.Settle()
	l.check()
	if v := r.server.Verify(); v.Code != 0 || v.Counts["differences"] != 0 {
		t.Errorf("verify: %s%s", v.Stdout, v.Stderr)
	}
	return row{f, seen}
}

// awaitReadiness waits until /readyz says what it must.
func (f *fault) awaitReadiness(r *rig) {
	r.t.Helper()
	last := ""
	if !kithtest.Poll(r.t.Context(), 20*time.Millisecond, func() bool {
		last = readiness(r)
		return last == f.ready
	}) {
		r.t.Fatalf("/readyz is %s", last)
	}
}

// A server whose database is away at the start says so until it is there, and one
// whose Redis is away starts.
func TestAStoreIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	p, c := services.StartPostgres(t, services.PostgresConfig{}), services.StartRedis(t)
	r := &rig{t: t, postgres: p, redis: c}
	var database, cache string
	r.toPG, database = newWire(t, "postgres", p.URL())
	r.toRedis, cache = newWire(t, "redis", c.URL())
	r.toPG.cut()
	r.toRedis.cut()
	r.launch(database, cache)
	if !r.server.AwaitLog(func(log string) bool { return strings.Contains(log, "the database is away; waiting for it") }) {
		t.Fatal("the log does not say that the database is away")
	}
	r.toPG.mend()
	r.server.AwaitReady()
	f := fault{ready: noRedis}
	l := begin(t, r.server)
	l.await("writes without Redis", func(s *sight) bool { return s.good() >= enough })
	f.awaitReadiness(r)
	r.toRedis.mend()
	f.ready = fine
	f.awaitReadiness(r)
	l.end()
	r.server.Settle()
	l.check()
}

func readiness(r *rig) string {
	answer, err := r.server.Client().Get(r.t.Context(), "/readyz")
	if err != nil {
		return err.Error()
	}
	if answer.Status == 200 {
		if degraded := list(answer.Body, "degraded"); degraded != "" {
			return "200, degraded: " + degraded
		}
		return fine
	}
	return "503: " + strings.Join(answer.Reasons, ", ")
}

// takeConnections takes all connections that the server has left, when the fault
// heals they are given back.
func takeConnections(r *rig) {
	r.t.Helper()
	ctx := r.t.Context()
	control, err := pgx.Connect(ctx, r.postgres.AdminURL())
	if err != nil {
		r.t.Fatal(err)
	}
	var taken []*pgx.Conn
	full := false
	for !full { // whoever loses a connection tries to get another: be faster
		if _, err := control.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kith'`); err != nil {
			r.t.Fatal(err)
		}
		for {
			c, err := pgx.Connect(ctx, r.postgres.AdminURL())
			if err != nil {
				break
			}
			taken = append(taken, c)
		}
		var left int
		if err := control.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kith'`).Scan(&left); err != nil {
			r.t.Fatal(err)
		}
		full = left == 0
	}
	time.AfterFunc(hold, func() {
		for _, c := range append(taken, control) {
			_ = c.Close(r.t.Context()) // it goes with the server otherwise
		}
	})
}

// hold is how long all connections are taken.
const hold = 6 * time.Second

// smallDisk puts the data on a file system of its own.
func smallDisk(t *testing.T) services.PostgresConfig {
	t.Helper()
	//nolint:usetesting // the path of t.TempDir may not be passed by others
	dir, err := os.MkdirTemp("", "kith-disk")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=192m,mode=0777"); err != nil {
		t.Fatalf("a file system of its own needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return services.PostgresConfig{Dir: dir, Settings: map[string]string{"max_wal_size": "64MB", "min_wal_size": "32MB"}}
}

func ballast(r *rig) string { return filepath.Join(filepath.Dir(r.postgres.Dir()), "ballast") }

func fillDisk(r *rig) {
	r.t.Helper()
	f, err := os.Create(ballast(r))
	if err != nil {
		r.t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for err == nil {
		_, err = f.Write(block)
	}
	for err = nil; err == nil; {
		_, err = f.Write(block[:4096])
	}
	_ = f.Close() // full as it is
}

func freeDisk(r *rig) {
	r.t.Helper()
	if err := os.Remove(ballast(r)); err != nil {
		r.t.Fatal(err)
	}
	if readiness(r) != fine {
		// Without room for its log the server has ended.
		r.postgres.Kill()
		r.postgres.Start()
	}
}
