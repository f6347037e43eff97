//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"kith/test/services/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output is what a runner says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	said chan struct{} // has one when there is more
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.said <- struct{}{}:
	default:
	}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// fixture returns a runner on a machine where only some servers are installed, and
// what it says.
func fixture(installed ...server.Kind) (*runner, *output) {
	o := &output{said: make(chan struct{}, 1)}
	return &runner{
		find: func(k server.Kind) (string, error) {
			if slices.Contains(installed, k) {
				return "/" + string(k), nil
			}
			return "", &server.MissingError{Kind: k}
		},
		shared:  sharedServers(),
		install: func(context.Context, []server.Kind, io.Writer) error { return errors.New("the network is away") },
		getenv:  func(string) string { return "" }, stdout: o, stderr: o,
	}, o
}

func TestTheExitCodeOfTheCommandIsPassedOn(t *testing.T) {
	t.Parallel()
	r, _ := fixture()
	for _, code := range []int{0, 1, 7} {
		if got := r.main(t.Context(), []string{"--", "sh", "-c", "exit " + string(rune('0'+code))}); got != code {
			t.Errorf("exit code %d, want %d", got, code)
		}
	}
	if got := r.main(t.Context(), []string{"--", "/no/such/command"}); got == 0 {
		t.Error("a command that is not there succeeded")
	}
}

func TestWhatIsLeftOutIsSaidLast(t *testing.T) {
	t.Parallel()
	r, o := fixture()
	script := `printf 'Redis\tpersistence/redis\tTestA\nRedis\tpersistence/redis\tTestB\nRedis\ttest/e2e\tTestC\n' >> "$KITH_TEST_LEFT_OUT"`
	if code := r.main(t.Context(), []string{"--", "sh", "-c", script}); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"LEFT OUT, because Redis is not there", "2 tests of persistence/redis", "1 tests of test/e2e", "Postgres is not installed; no test",
	} {
		if !strings.Contains(o.String(), want) {
			t.Errorf("it did not say %q:\n%s", want, o)
		}
	}
}

func TestRequiredServersThatAreMissingFailBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	r, o := fixture(slices.DeleteFunc(server.Kinds(), func(k server.Kind) bool { return k == server.KindRedis || k == server.KindPgBouncer })...)
	code := r.main(t.Context(), []string{"-require", "-install", "--", "sh", "-c", "echo it ran"})
	if code == 0 || strings.Contains(o.String(), "it ran") {
		t.Errorf("exit code %d:\n%s", code, o)
	}
	for _, want := range []string{"the network is away", "Redis, pgbouncer: not installed, and required"} {
		if !strings.Contains(o.String(), want) {
			t.Errorf("it did not say %q:\n%s", want, o)
		}
	}
}

// What is installed in name only is missing, too: what Maven would have to fetch.
func TestASharedServerThatCannotBeHadIsMissing(t *testing.T) {
	t.Parallel()
	for _, require := range []bool{false, true} {
		r, o := fixture(server.Kinds()...)
		r.shared = []shared{{server.KindSearch, "KITH_TEST_OF_SHARED", nil, func(context.Context, *server.Yard) (string, error) {
			return "", fmt.Errorf("%w: the network is away", &server.MissingError{Kind: server.KindSearch})
		}}}
		args := []string{"--", "sh", "-c", "echo it ran at $KITH_TEST_OF_SHARED."}
		if require {
			args = append([]string{"-require"}, args...)
		}
		if code := r.main(t.Context(), args); (code != 0) != require || strings.Contains(o.String(), "it ran at .") == require {
			t.Errorf("required %t: exit code %d:\n%s", require, code, o)
		}
		if !strings.Contains(o.String(), "the network is away") {
			t.Errorf("it did not say why:\n%s", o)
		}
	}
}

func TestAPackageOfSeveralServersIsNamedOnce(t *testing.T) {
	t.Parallel()
	got := packages([]server.Kind{server.KindKafka, server.KindRedis, server.KindSearch, server.KindElastic})
	if want := []string{"maven", "redis-server"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What the command started does not outlive it when the runner is told to stop.
func TestStoppingEndsAllThatTheCommandStarted(t *testing.T) {
	t.Parallel()
	r, o := fixture()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		// The inner shell ignores what would end it.
		ended <- r.main(ctx, []string{"--", "sh", "-c", `sh -c 'trap "" TERM; echo pid $$; while :; do sleep 1; done' & wait`})
	}()
	for !strings.Contains(o.String(), "pid ") {
		select {
		case <-o.said:
		case code := <-ended:
			t.Fatalf("exit code %d:\n%s", code, o)
		}
	}
	cancel()
	if code := <-ended; code == 0 {
		t.Error("it succeeded")
	}
	_, rest, _ := strings.Cut(o.String(), "pid ")
	pid, _, _ := strings.Cut(rest, "\n")
	state, err := exec.CommandContext(t.Context(), "sh", "-c", "kill -0 "+pid+" && cat /proc/"+pid+"/stat").Output()
	if err == nil && !strings.Contains(string(state), ") Z ") {
		t.Errorf("process %s is alive: %s", pid, state)
	}
}

func TestWithoutACommandItShowsWhatToExport(t *testing.T) {
	t.Parallel()
	for _, k := range []server.Kind{server.KindPostgres, server.KindRedis, server.KindSearch} {
		if _, err := server.Find(k); err != nil && os.Getenv("KITH_TEST_REQUIRE") != "1" {
			t.Skip(err)
		}
	}
	r, o := fixture(server.Kinds()...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	go func() { ended <- r.main(ctx, nil) }()
	for !strings.Contains(o.String(), "running until") {
		select {
		case <-o.said:
		case code := <-ended:
			t.Fatalf("exit code %d:\n%s", code, o)
		}
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"export KITH_TEST_DATABASE_URL='postgres://", "export KITH_TEST_REDIS_URL='redis://", "export KITH_TEST_SEARCH_URL='http://",
		"Postgres 1", "Redis ", "OpenSearch 2.",
	} {
		if !strings.Contains(o.String(), want) {
			t.Errorf("it did not say %q:\n%s", want, o)
		}
	}
}
