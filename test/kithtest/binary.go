package kithtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kith/test/services"
)

// Binary is the path of a built kith.
type Binary string

// Main is the body of a TestMain: it builds the binary into b, runs the tests, with
// their servers on embedded stores and then on Postgres and Redis, and fails if
// they leave goroutines behind. It ends the process.
func Main(m *testing.M, b *Binary) {
	dir, err := os.MkdirTemp("", "kith")
	if err == nil {
		*b, err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		_ = os.RemoveAll(dir) // the error to tell is the other one
		os.Exit(1)
	}
	goleak.VerifyTestMain(services.OnAllStores(m), goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "remove the built binary:", err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))
}

// buildTime bounds a build from nothing on a slow machine.
const buildTime = 10 * time.Minute

func build(dir string) (Binary, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	path := filepath.Join(dir, "kith")
	// The state of the checkout is of no interest here, and may be unreadable.
	args := slices.Concat([]string{"build", "-buildvcs=false"}, buildFlags, []string{"-o", path, "kith/cmd/kith"})
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput() //nolint:gosec // no argument comes from outside
	if err != nil {
		return "", fmt.Errorf("kithtest: go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return Binary(path), nil
}

// Result is what a command that ended left.
type Result struct {
	Code           int // exit code
	Stdout, Stderr string
}

// commandTime bounds a command that is not the server.
const commandTime = time.Minute

// Run runs a command with exactly the given environment to its end.
func (b Binary) Run(tb testing.TB, env []string, args ...string) Result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), commandTime)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, string(b), args...) //nolint:gosec // the binary was just built
	cmd.Env, cmd.Dir = environment(env), tb.TempDir()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		tb.Fatalf("kith %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	r := Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
	if fault := faultIn(r.Stderr); fault != "" {
		tb.Errorf("kith %s: %s\n%s", strings.Join(args, " "), fault, r.Stderr)
	}
	return r
}

// environment is the whole environment of a process: what it is given, and what
// the Go runtime in it is told. A process with the race detector would wait a
// second before it exits.
func environment(given []string) []string {
	return append([]string{"GOTRACEBACK=all", "GORACE=atexit_sleep_ms=0"}, given...)
}

// faultIn names what must be in no output of any process.
func faultIn(stderr string) string {
	switch {
	case strings.Contains(stderr, "WARNING: DATA RACE"):
		return "data race"
	case strings.HasPrefix(stderr, "panic: "), strings.Contains(stderr, "\npanic: "):
		return "panic"
	case strings.HasPrefix(stderr, "fatal error: "), strings.Contains(stderr, "\nfatal error: "):
		return "fatal error of the runtime"
	}
	return ""
}
