package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// The kinds of load.
const (
	loadLookup   = "lookup"   // GET /users/{username}, random callers and users
	loadFollow   = "follow"   // PUT /users/self/following/{username}, random pairs
	loadStar     = "star"     // the same, everybody follows one
	loadRegister = "register" // POST /auth/register
	loadLogin    = "login"    // POST /auth/login, of those who registered

	loadList      = "list"      // GET /users/list
	loadSearch    = "search"    // GET /users/search
	loadFollowers = "followers" // GET /users/{username}/followers
	loadEvent     = "event"     // POST /users/self/events, one
	loadEvents    = "events"    // the same, a batch
)

// job is what a generator is asked to do. It ends when its time is over, or when
// it has nothing left to ask for.
type job struct {
	Kind        string
	Addr        string
	People      string // path of the population
	Connections int
	Duration    time.Duration // 0: until nothing is left; of a paced job, until it is stopped
	Seed        uint64
	Rate        float64 // requests that are due a second; 0: each connection asks as fast as it is answered
	Warm        int     // so many requests come before those that count

	Callers  int  // lookup: so many different ones
	Reserved int  // follow: the last so many are never followed
	Skip     int  // follow: pairs of earlier rounds; register, login: users of earlier rounds; events: what has not been skipped before
	Star     int  // star: whom all follow
	Count    int  // follow, register, login: so many at most
	Anybody  bool // lookup, followers: of anybody, not of the active ones; follow: of the others; list: a new order for each page
	Offset   int  // list: of the first page
	Pages    int  // list: so many different ones
	Timed    bool // event: ids begin with the time of sending, or when that was due
}

// outcome is what a generator has done.
type outcome struct {
	Done    int           // answered as they should be
	Elapsed time.Duration // until the last answer
	Latency histogram
}

// generator is a running generator, connected and waiting for go.
type generator struct {
	*process
	answers *io.PipeReader
	lines   *bufio.Reader
}

// startGenerator starts a generator and returns once it has connected, so that
// neither is measured.
func startGenerator(ctx context.Context, dir string, j job) (*generator, error) {
	return startTalking(ctx, dir, roleGenerator, j)
}

// startTalking starts a process of ours that takes a job, and returns once it says
// that it is ready.
func startTalking(ctx context.Context, dir, role string, job any) (*generator, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find ourselves: %w", err)
	}
	r, w := io.Pipe()
	p, err := start(ctx, command{name: role, path: self, args: []string{role}, dir: dir, stdout: w})
	if err != nil {
		return nil, err
	}
	go func() {
		<-p.done
		_ = w.Close() // never fails
	}()
	g := &generator{process: p, answers: r, lines: bufio.NewReader(r)}
	if err := g.send(job); err != nil {
		return nil, errors.Join(err, g.abandon())
	}
	if line, err := g.lines.ReadString('\n'); err != nil || line != readyLine {
		return nil, errors.Join(fmt.Errorf("the %s is not ready: %q", role, line), g.abandon())
	}
	return g, nil
}

const (
	readyLine = "ready\n"
	goLine    = "go\n"
	stopLine  = "stop\n"
)

// run lets it go and returns what it did.
func (g *generator) run() (outcome, error) {
	if err := g.say(goLine); err != nil {
		return outcome{}, err
	}
	return g.outcome()
}

// say tells it to begin, or to stop.
func (g *generator) say(word string) error {
	if _, err := io.WriteString(g.stdin, word); err != nil {
		return errors.Join(fmt.Errorf("tell the generator to %q: %w", word, err), g.abandon())
	}
	return nil
}

// outcome returns what it did, once it has.
func (g *generator) outcome() (outcome, error) {
	var o outcome
	if err := json.NewDecoder(g.lines).Decode(&o); err != nil {
		return o, errors.Join(fmt.Errorf("read what the generator did: %w", err), g.abandon())
	}
	// The rest is a line's end; it must be taken for the child to end.
	if _, err := io.Copy(io.Discard, g.lines); err != nil {
		return o, fmt.Errorf("read what the generator did: %w", err)
	}
	return o, g.wait()
}

// abandon ends a generator that failed and says why it did.
func (g *generator) abandon() error {
	_ = g.answers.Close() // never fails
	_ = g.cmd.Process.Kill()
	return g.wait()
}
