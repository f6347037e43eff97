package search_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"kith/test/kithtest"
)

// command is a kith that is no server, and runs.
type command struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer // to be read once it has ended
	ended          chan struct{}
}

// launch starts a command on the data of the world, whether its server runs or not.
func (w *world) launch(env []string, args ...string) *command {
	w.t.Helper()
	c := &command{t: w.t, ended: make(chan struct{})}
	c.cmd = exec.CommandContext(context.WithoutCancel(w.t.Context()), string(kith), args...)
	c.cmd.Env = append([]string{"KITH_DATA_DIR=" + w.options.DataDir, "GORACE=atexit_sleep_ms=0"}, append(w.Stores(), env...)...)
	c.cmd.Dir = w.options.DataDir
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = c.cmd.Wait() // the exit code says it
		close(c.ended)
	}()
	w.t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it may have ended
		<-c.ended
	})
	return c
}

// awaits wants the command to get so far that something is held.
func (c *command) awaits(held <-chan struct{}) {
	c.t.Helper()
	select {
	case <-held:
	case <-c.ended:
		c.t.Fatalf("it has ended: %s", c)
	}
}

func (c *command) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// String shows how a command has ended.
func (c *command) String() string {
	return fmt.Sprintf("%s, stdout %q, stderr %q", c.cmd.ProcessState, c.stdout.String(), c.stderr.String())
}

func oneLine(s string) bool {
	return strings.HasPrefix(s, "kith: ") && strings.Count(s, "\n") == 1 && strings.HasSuffix(s, "\n")
}

// fails wants the command to fail, and to say why in one line, which is returned.
func (c *command) fails() string {
	c.t.Helper()
	<-c.ended
	if c.cmd.ProcessState.ExitCode() != 1 || c.stdout.Len() > 0 || !oneLine(c.stderr.String()) {
		c.t.Errorf("want exit status 1 and a line: %s", c)
	}
	return c.stderr.String()
}

var reindexed = regexp.MustCompile(`^(\d+) users are indexed, in [0-9.ms]+; searches use the new index\n$`)

// succeeds wants a reindex to succeed, and returns how many users it says.
func (c *command) succeeds() int {
	c.t.Helper()
	<-c.ended
	said := reindexed.FindStringSubmatch(c.stdout.String())
	if !c.cmd.ProcessState.Success() || said == nil || c.stderr.Len() > 0 {
		c.t.Fatalf("want exit status 0 and a line: %s", c)
	}
	users, err := strconv.Atoi(said[1])
	if err != nil {
		c.t.Fatal(err)
	}
	return users
}

// reindex has the server that runs build the index anew.
func (w *world) reindex() {
	w.t.Helper()
	before := w.index.indexes(w.index.alias)
	w.launch(nil, "reindex").succeeds()
	if slices.Contains(before, w.index.only()) {
		w.t.Error("the index is the one before")
	}
}

// reindexes is reindexing while people do things all the time.
func reindexes(t *testing.T, at string, o kithtest.Options) { //nolint:thelper // a test
	g, x := newGate(t, at), newIndex(t, at)
	w := begin(t, x, g.URL, o)
	for i := range 50 {
		w.join(fmt.Sprintf("stays_%d", i), "Stays")
	}
	w.caughtUp()
	used, built := x.only(), w.metric("kith_index_rebuilt_users_total")
	l := w.run("busy")
	l.goOn(t, 20)
	for range 2 {
		held, release := g.hold(x.alias)
		c := w.launch(nil, "reindex")
		c.awaits(held)
		l.goOn(t, 40) // between reading and storing
		release()
		if users := c.succeeds(); users < 51 {
			t.Errorf("%d users are indexed", users)
		}
		before := used
		if used = x.only(); used == before {
			t.Error("the index is the one before")
		}
	}
	w.remain(g, used, func(c *command) {
		c.signal(os.Interrupt)
		c.fails()
	})
	// Of two at once the second waits for the first.
	held, release := g.hold(x.alias)
	first := w.launch(nil, "reindex")
	first.awaits(held)
	second := w.launch(nil, "reindex")
	l.goOn(t, 20)
	if left := x.indexes(x.alias + "*"); len(left) != 2 {
		t.Errorf("while one builds there are %v", left)
	}
	release()
	first.succeeds()
	second.succeeds()
	used = x.only()
	l.goOn(t, 20)

	g.follow(func(rw http.ResponseWriter, _ *http.Request, _ []byte) bool {
		rw.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	w.launch(nil, "reindex").fails()
	g.open()
	l.goOn(t, 20)
	l.end()
	w.degraded(false)
	w.caughtUp()
	if x.only() != used {
		t.Error("an index that was not built is used")
	}
	if n := w.metric("kith_index_rebuilt_users_total") - built; n > 0 {
		t.Errorf("the tail built an index of %v users, though there was one all the time", n)
	}
	w.byEngine(func() {
		if found := namesOf(w.pages("stays", 20)); len(found) != 50 {
			t.Errorf("found %d", len(found))
		}
	})
	t.Logf("%d writes, %d searches", l.writes.Load(), l.searches.Load())
}

// remain ends a reindex in the middle, and wants the index in use to stay the only
// one.
func (w *world) remain(g *gate, used string, end func(*command)) {
	w.t.Helper()
	held, release := g.hold(w.index.alias)
	c := w.launch([]string{w.index.setting(g.URL)}, "reindex")
	c.awaits(held)
	end(c)
	soon(w.t, "what was built is gone", func() bool { return len(w.index.indexes(w.index.alias+"*")) == 1 })
	release()
	if w.index.only() != used {
		w.t.Error("the index in use is another")
	}
}

// reindexesAlone is reindexing while no server runs.
func reindexesAlone(t *testing.T, at string, o kithtest.Options) { //nolint:thelper // a test
	g, x := newGate(t, at), newIndex(t, at)
	w := begin(t, x, g.URL, o)
	var people []person
	for i := range 20 {
		people = append(people, w.join(fmt.Sprintf("alone_%d", i), "Alone"))
	}
	w.caughtUp()
	w.Stop()
	used, engine := x.only(), []string{x.setting(g.URL)}

	if said := w.launch(nil, "reindex").fails(); !strings.Contains(said, "KITH_SEARCH_URL") {
		t.Errorf("without an engine: %s", said)
	}
	nobody := "http://kith:hunter2@" + kithtest.FreePort(t)
	if said := w.launch([]string{x.setting(nobody)}, "reindex").fails(); strings.Contains(said, "hunter2") {
		t.Errorf("the password is shown: %s", said)
	}
	w.remain(g, used, func(c *command) {
		c.signal(os.Interrupt)
		c.fails()
	})

	x.plant(people[0].ID, document{1 << 40, source{people[0].UID, "planted", "Planted", ""}}, "planted")
	x.ask(http.MethodDelete, fmt.Sprintf("/%s/_doc/%d", x.alias, people[1].ID), nil, nil)
	held, release := g.hold(x.alias)
	c := w.launch(engine, "reindex")
	c.awaits(held)
	c.signal(syscall.SIGKILL)
	<-c.ended
	release()
	if left := x.indexes(x.alias + "*"); len(left) != 2 {
		t.Errorf("a reindex that was killed left %v", left)
	}
	if users := w.launch(engine, "reindex").succeeds(); users != len(people)+1 {
		t.Errorf("%d users are indexed", users)
	}
	if x.only() == used {
		t.Error("the index is the one before")
	}
	w.same()

	w.Launch()
	w.AwaitReady()
	w.finds("alone_1", "alone_1", "alone_10", "alone_11", "alone_12", "alone_13", "alone_14", "alone_15", "alone_16", "alone_17", "alone_18", "alone_19")
	people[0].leaves()
	w.hasNot(people[0])
	w.caughtUp()
}
