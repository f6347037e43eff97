package kithtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"kith/test/services"
)

const (
	// startTime bounds a start, on a machine that is busy with other tests.
	startTime = time.Minute
	// stopTime is what the server promises to need at most after SIGTERM.
	stopTime = 30 * time.Second
	// answerTime is longer than any request takes.
	answerTime = 30 * time.Second
	// pollTime is how often readiness is asked for.
	pollTime = 5 * time.Millisecond
)

// Options change how a server runs.
type Options struct {
	// DataDir is where its data is; "" makes a directory that goes with the test.
	DataDir string
	// Env is the environment beside the data dir and the addresses, as NAME=value;
	// what is named later wins.
	Env []string
	// Args are the command and its flags; none means serve.
	Args []string
	// Embedded keeps the server on the embedded stores whatever the run is on.
	Embedded bool
	// Place is where the data is, whatever the run is on; nil: where the run says.
	Place *services.Place
}

// Server is a `kith serve` on one data dir, through all its restarts. Starting
// and ending it is for one goroutine; everything else may be used concurrently.
type Server struct {
	tb      testing.TB
	binary  Binary
	dataDir string
	env     []string
	stores  []string // the settings among env that say where the data is
	args    []string
	http    *http.Client
	out     *output // standard error, of all runs

	mu       sync.Mutex
	url, ops string
	run      *run
}

// run is one process.
type run struct {
	cmd   *exec.Cmd
	from  int           // where its output begins
	ended chan struct{} // closed when it has ended
	err   error         // of Wait, once ended
}

// Start starts a server and waits until it is ready. The end of the test ends it.
func (b Binary) Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s := b.Launch(tb, o)
	s.AwaitReady()
	return s
}

// Launch starts a server and does not wait for it.
func (b Binary) Launch(tb testing.TB, o Options) *Server {
	tb.Helper()
	s := &Server{
		tb: tb, binary: b, dataDir: o.DataDir, args: o.Args, out: newOutput(),
		http: &http.Client{
			Timeout:       answerTime,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 256},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if s.dataDir == "" {
		s.dataDir = DataDir(tb)
	}
	if len(s.args) == 0 {
		s.args = []string{"serve"}
	}
	s.env = environment([]string{
		"KITH_DATA_DIR=" + s.dataDir, "KITH_HTTP_ADDR=127.0.0.1:0", "KITH_OPS_ADDR=127.0.0.1:0", "KITH_KAFKA_LISTEN=127.0.0.1:0",
		// All clients of a test have one address.
		"KITH_LIMIT_AVAILABILITY=off", "KITH_LIMIT_REGISTER=off", "KITH_LIMIT_LOGIN=off", "KITH_LIMIT_USER=off", "KITH_LIMIT_EVENTS=off",
	})
	switch {
	case o.Place != nil:
		s.stores = settings(*o.Place)
	case !o.Embedded && Production():
		s.stores = settings(services.PlaceFor(tb, s.dataDir))
	}
	s.env = slices.Concat(s.env, s.stores, o.Env)
	tb.Cleanup(s.cleanup)
	s.Launch()
	return s
}

// DataDir makes a directory that goes with the test. Its path is short, since a
// unix socket has to have a place in it.
func DataDir(tb testing.TB) string {
	tb.Helper()
	//nolint:usetesting // the path of tb.TempDir is too long for a socket
	dir, err := os.MkdirTemp("", "kith")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

// Launch starts the server again without waiting for it.
func (s *Server) Launch() {
	s.tb.Helper()
	r := &run{from: len(s.out.String()), ended: make(chan struct{})}
	r.cmd = exec.CommandContext(context.WithoutCancel(s.tb.Context()), string(s.binary), s.args...) //nolint:gosec // the binary was just built
	r.cmd.Env, r.cmd.Dir = s.env, s.dataDir
	r.cmd.Stderr = s.out
	r.cmd.Stdout = s.out
	if err := r.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.mu.Lock()
	s.run = r
	s.mu.Unlock()
	go func() {
		r.err = r.cmd.Wait()
		close(r.ended)
	}()
}

// AwaitReady waits until the server says that it is ready.
func (s *Server) AwaitReady() {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), startTime)
	defer cancel()
	r := s.current()
	if !s.out.await(ctx, r.from, r.ended, func(text string) bool {
		url, ops, ok := addresses(text)
		if ok {
			s.mu.Lock()
			s.url, s.ops = url, ops
			s.mu.Unlock()
		}
		return ok
	}) {
		s.tb.Fatalf("the server does not listen: %s", s.state())
	}
	last := ""
	if !Poll(ctx, pollTime, func() bool {
		a, err := s.Client().Get(ctx, "/readyz")
		switch {
		case err != nil:
			last = err.Error()
		case a.Status != http.StatusOK:
			last = a.String()
		default:
			return true
		}
		select {
		case <-r.ended:
			s.tb.Fatalf("the server ended: %v", r.err)
		default:
		}
		return false
	}) {
		s.tb.Fatalf("the server is not ready: %s; %s", last, s.state())
	}
}

// listens finds the addresses in the log line that says that the server listens.
var listens = regexp.MustCompile(`\bhttp=(http://127\.0\.0\.1:\d+) ops=(http://127\.0\.0\.1:\d+)`)

func addresses(log string) (public, ops string, ok bool) {
	m := listens.FindStringSubmatch(log)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// Poll calls done, first at once and then every so often, until it is content,
// and reports whether it was before ctx ended.
func Poll(ctx context.Context, every time.Duration, done func() bool) bool {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if done() {
			return true
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
}

func (s *Server) current() *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

// URL returns the base of the public listener.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// OpsURL returns the base of the private listener.
func (s *Server) OpsURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ops
}

// DataDir returns the path of the data dir.
func (s *Server) DataDir() string { return s.dataDir }

// File returns the path of a file of the data dir.
func (s *Server) File(name string) string { return filepath.Join(s.dataDir, name) }

// Log returns everything that the server has written so far, in all its runs.
func (s *Server) Log() string { return s.out.String() }

// Client returns a client without a token.
func (s *Server) Client() *Client { return &Client{server: s} }

// Ended returns a channel that closes when the process that runs now ends.
func (s *Server) Ended() <-chan struct{} { return s.current().ended }

// Command runs a command on the server's data dir, whether it runs or not.
func (s *Server) Command(args ...string) Result {
	s.tb.Helper()
	return s.binary.Run(s.tb, append([]string{"KITH_DATA_DIR=" + s.dataDir}, s.stores...), args...)
}

// Kill ends the server with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	s.tb.Helper()
	r := s.current()
	if err := r.cmd.Process.Kill(); err != nil {
		s.tb.Fatalf("the server ended before it was killed: %v", err)
	}
	<-r.ended
	var exit *exec.ExitError
	status, _ := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !errors.As(r.err, &exit) || status.Signal() != syscall.SIGKILL {
		s.tb.Fatalf("the server ended before it was killed: %v", r.err)
	}
}

// Restart kills the server and starts it again.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Kill()
	s.Launch()
	s.AwaitReady()
}

// Terminate asks the server to stop and does not wait.
func (s *Server) Terminate() {
	s.tb.Helper()
	if err := s.current().cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.tb.Fatalf("the server ended before it was told to: %v", err)
	}
}

// AwaitStopped waits until a server that was told to stop has, with exit code 0
// and in the time that it promises.
func (s *Server) AwaitStopped() {
	s.tb.Helper()
	r := s.current()
	deadline := time.NewTimer(stopTime)
	defer deadline.Stop()
	select {
	case <-r.ended:
	case <-deadline.C:
		s.dump(r)
		s.tb.Fatalf("the server did not stop within %s", stopTime)
	}
	if r.err != nil {
		s.tb.Fatalf("the server stopped with %v", r.err)
	}
}

// Stop ends the server with SIGTERM and wants exit code 0 in the time that it
// promises.
func (s *Server) Stop() {
	s.tb.Helper()
	s.Terminate()
	s.AwaitStopped()
}

// dump makes a process write what its goroutines do, which ends it.
func (s *Server) dump(r *run) {
	if r.cmd.Process.Signal(syscall.SIGQUIT) == nil {
		select {
		case <-r.ended:
		case <-time.After(stopTime):
		}
	}
}

func (s *Server) state() string {
	r := s.current()
	select {
	case <-r.ended:
		return fmt.Sprintf("it ended: %v", r.err)
	default:
		return "it runs"
	}
}

// cleanup ends the process and judges what all of them wrote.
func (s *Server) cleanup() {
	r := s.current()
	if r != nil {
		_ = r.cmd.Process.Kill() // it may have ended
		<-r.ended
	}
	s.http.CloseIdleConnections()
	if fault := faultIn(s.Log()); fault != "" {
		s.tb.Errorf("the server had a %s", fault)
	}
	if s.tb.Failed() {
		s.tb.Logf("standard error of the server:\n%s", tail(s.Log()))
	}
}

// shownOutput is how much of an output a failed test shows: its end.
const shownOutput = 64 << 10

func tail(text string) string {
	if len(text) <= shownOutput {
		return text
	}
	return "(…)" + text[len(text)-shownOutput:]
}

// AwaitLog waits until match is content with what the process that runs now has
// written, and reports whether it ever was.
func (s *Server) AwaitLog(match func(log string) bool) bool {
	ctx, cancel := context.WithTimeout(s.tb.Context(), startTime)
	defer cancel()
	r := s.current()
	return s.out.await(ctx, r.from, r.ended, match)
}
