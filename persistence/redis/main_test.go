package redis_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"kith/persistence/redis"
)

const databases = 4096

// shared is the server of all tests that do not stop it, each with a database of
// its own.
var (
	shared *server
	taken  atomic.Int64
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kith-redis-")
	if err != nil {
		panic(err)
	}
	shared = &server{dir: dir}
	if err := shared.start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "start redis-server:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		shared.kill()
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// server is a redis-server, which keeps its port over restarts.
type server struct {
	dir  string
	addr string
	cmd  *exec.Cmd
}

func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{dir: t.TempDir()}
	must(t, s.start(t.Context()))
	t.Cleanup(s.kill)
	return s
}

// start returns when the server answers. Of its data, it loads what SAVE left.
func (s *server) start(ctx context.Context) error {
	if s.addr == "" {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.addr = l.Addr().String()
		if err := l.Close(); err != nil {
			return err
		}
	}
	_, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--databases", strconv.Itoa(databases))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	rdb := goredis.NewClient(&goredis.Options{Addr: s.addr, MaxRetries: -1})
	defer func() { _ = rdb.Close() }()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		err := rdb.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// raw is a client that goes around the package.
func raw(t *testing.T, url string) *goredis.Client {
	t.Helper()
	o, err := goredis.ParseURL(url)
	must(t, err)
	rdb := goredis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// database returns the URL of an empty database.
func database(tb testing.TB) string {
	tb.Helper()
	n := taken.Add(1)
	if n >= databases {
		tb.Fatal("there are not enough databases")
	}
	return fmt.Sprintf("redis://%s/%d", shared.addr, n)
}

// clock is the time, and what a test adds to it.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// client opens a client, with a timeout that only what hangs takes.
func client(tb testing.TB, cfg redis.Config) *redis.Client {
	tb.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	c, err := redis.Open(tb.Context(), cfg)
	must(tb, err)
	tb.Cleanup(func() { must(tb, c.Close()) })
	return c
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// total returns the sum over a metric's labels.
func total(t *testing.T, r *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := r.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
