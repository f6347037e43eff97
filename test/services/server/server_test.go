package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"kith/test/services/server"
)

// holdVariable makes this test binary a process that starts servers and is killed.
const holdVariable = "KITH_TEST_SERVER_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdVariable) != "" {
		if err := hold(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// installed leaves a test out where a kind of server is missing and nobody insists.
func installed(t *testing.T, kinds ...server.Kind) {
	t.Helper()
	for _, k := range kinds {
		_, err := server.Find(k)
		var missing *server.MissingError
		switch {
		case errors.As(err, &missing) && os.Getenv("KITH_TEST_REQUIRE") != "1":
			t.Skip(err)
		case err != nil:
			t.Fatal(err)
		}
	}
}

// hold starts servers, says which, and waits until it is killed.
func hold() error {
	y, err := server.Open()
	if err != nil {
		return fmt.Errorf("open a yard: %w", err)
	}
	for _, extra := range []string{"none", "killed"} {
		r, err := y.Redis(context.Background())
		if err != nil {
			return fmt.Errorf("start Redis: %w", err)
		}
		if extra == "killed" {
			if err := r.Kill(); err != nil {
				return fmt.Errorf("kill Redis: %w", err)
			}
			break
		}
		fmt.Fprintf(os.Stdout, "%d\n", r.PID())
	}
	p, err := y.Postgres(context.Background(), server.PostgresConfig{Settings: server.Careless()})
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	fmt.Fprintf(os.Stdout, "%d\n%s\n", p.PID(), y.Dir())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err //nolint:wrapcheck // it does not come to that
}

// open makes a yard that ends with the test.
func open(t *testing.T) *server.Yard {
	t.Helper()
	y, err := server.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := y.Close(); err != nil {
			t.Error(err)
		}
	})
	return y
}

// alive reports whether a process is there and has not ended.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) && syscall.Kill(pid, 0) == nil
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestServersDieWithTheProcessThatStartedThemAndLeaveNothing(t *testing.T) {
	t.Parallel()
	installed(t, server.KindPostgres, server.KindRedis)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), holdVariable+"=1"), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for s := bufio.NewScanner(stdout); len(lines) < 3 && s.Scan(); {
		lines = append(lines, s.Text())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if len(lines) < 3 {
		t.Fatalf("it said %q", lines)
	}
	dir := lines[2]
	deadline := time.After(time.Minute)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		left := ""
		for _, line := range lines[:2] {
			pid, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			if alive(pid) {
				left += " process " + line
			}
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			left += " " + dir
		}
		if left == "" {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("left after a minute:%s", left)
		}
	}
}

func TestCloseEndsAndRemovesWhatWasNotRemoved(t *testing.T) {
	t.Parallel()
	installed(t, server.KindRedis)
	y, err := server.Open()
	if err != nil {
		t.Fatal(err)
	}
	r, err := y.Redis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pid := r.PID()
	if err := y.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(y.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", y.Dir())
	}
	// The janitor has sent the signal; nobody is told when the kernel is done.
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("Redis runs, with pid %d", r.PID())
		}
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	installed(t, server.KindPostgres, server.KindRedis)
	y := open(t)
	if _, err := y.Postgres(t.Context(), server.PostgresConfig{Settings: map[string]string{"no_such_setting": "1"}}); err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("Postgres: %v", err)
	}
	if _, err := y.Redis(t.Context(), "no-such-setting 1"); err == nil || !strings.Contains(err.Error(), "no-such-setting") {
		t.Errorf("Redis: %v", err)
	}
}

func TestASearchEngineThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	installed(t, server.KindSearch)
	y := open(t)
	_, err := y.Search(t.Context(), server.SearchConfig{Settings: map[string]string{"no.such.setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), "no.such.setting") {
		t.Errorf("%v", err)
	}
	if _, err := y.Search(t.Context(), server.SearchConfig{Engine: server.KindRedis}); err == nil {
		t.Error("Redis is a search engine")
	}
}

// A server whose port somebody else has got is not ready when that one answers.
func TestASearchEngineIsNotReadyBecauseAnotherAnswers(t *testing.T) {
	t.Parallel()
	installed(t, server.KindSearch)
	y := open(t)
	s, err := y.Search(t.Context(), server.SearchConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	other := http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"cluster_name":"other","status":"green"}`)
		}),
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- other.Serve(l) }()
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("it started: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// Every backend is gone when Kill returns, also one that is in the middle of
// something.
func TestKillLeavesNoBackend(t *testing.T) {
	t.Parallel()
	installed(t, server.KindPostgres)
	y := open(t)
	p, err := y.Postgres(t.Context(), server.PostgresConfig{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), p.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	pid := int(c.PgConn().PID())
	busy := make(chan error, 1)
	go func() {
		_, err := c.Exec(t.Context(), `SELECT pg_sleep(600)`)
		busy <- err
	}()
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if alive(pid) {
		t.Error("the backend is alive")
	}
	if err := <-busy; err == nil {
		t.Error("the statement succeeded")
	}
	if err := p.Start(t.Context()); err != nil {
		t.Error(err)
	}
}
