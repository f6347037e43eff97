package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a child with its output in a file. It is not safe for concurrent
// use.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   string // path
	done  chan struct{}
	err   error // valid once done is closed
}

// command describes a child.
type command struct {
	name   string
	path   string
	args   []string
	env    []string // added to ours
	dir    string   // where its log goes
	stdout io.Writer
}

// start starts a child. It is killed when ctx ends.
func start(ctx context.Context, c command) (*process, error) {
	p := &process{name: c.name, log: filepath.Join(c.dir, c.name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	p.cmd = exec.CommandContext(ctx, c.path, c.args...) //nolint:gosec // what we built, or ourselves
	p.cmd.Env = append(os.Environ(), c.env...)
	p.cmd.Stderr, p.cmd.Stdout = log, c.stdout
	if c.stdout == nil {
		p.cmd.Stdout = log
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.name, err), log.Close())
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.name, err), log.Close())
	}
	go func() {
		defer close(p.done)
		p.err = errors.Join(p.cmd.Wait(), log.Close())
	}()
	return p, nil
}

// send writes v to the child as one line of JSON.
func (p *process) send(v any) error {
	if err := json.NewEncoder(p.stdin).Encode(v); err != nil {
		return fmt.Errorf("send to %s: %w", p.name, err)
	}
	return nil
}

// wait waits until the child has ended and says how.
func (p *process) wait() error {
	<-p.done
	if p.err != nil {
		return fmt.Errorf("%s: %w%s", p.name, p.err, p.lastWords())
	}
	return nil
}

// stopTimeout is how long a child may take to end when asked to.
const stopTimeout = 40 * time.Second

// stop asks the child to end, and kills it when it does not.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-p.done:
		return p.wait()
	case <-timeout.C:
		return errors.Join(fmt.Errorf("stop %s: it did not end within %s", p.name, stopTimeout), p.cmd.Process.Kill(), p.wait())
	}
}

// cpu returns the user and system time that the child has used.
func (p *process) cpu() (time.Duration, error) { return processCPU(p.cmd.Process.Pid) }

// rss returns how much memory the child has, in bytes.
func (p *process) rss() (int64, error) {
	kb, _, _ := strings.Cut(field(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), "VmRSS"), " ")
	n, err := strconv.ParseInt(kb, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("memory of %s: %w", p.name, err)
	}
	return n << 10, nil
}

// writes returns how many system calls to write the child has made.
func (p *process) writes() (int64, error) {
	n, err := strconv.ParseInt(field(fmt.Sprintf("/proc/%d/io", p.cmd.Process.Pid), "syscw"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("writes of %s: %w", p.name, err)
	}
	return n, nil
}

// lastWords returns the end of the child's log, for an error.
func (p *process) lastWords() string {
	const enough = 2 << 10
	b, err := os.ReadFile(p.log)
	if err != nil || len(b) == 0 {
		return ""
	}
	return "\n" + strings.TrimSpace(string(b[max(0, len(b)-enough):]))
}

// readyTimeout is how long a server may take until it answers.
const readyTimeout = 60 * time.Second

// answers waits until a URL of the child answers 200.
func (p *process) answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %s does not answer: %w%s", p.name, url, ctx.Err(), p.lastWords())
		case <-p.done:
			return fmt.Errorf("%s: it ended before it answered: %w%s", p.name, p.err, p.lastWords())
		case <-tick.C:
		}
		if _, err := get(ctx, url); err == nil {
			return nil
		}
	}
}

// get returns the body of an answer 200.
func get(ctx context.Context, url string) (body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	request.Header.Set("Accept-Encoding", "identity") // packing it would cost the server more than the rest
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	if body, err = io.ReadAll(answer.Body); err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", url, answer.Status)
	}
	return body, nil
}

// freeAddrs returns addresses that were free a moment ago, all different.
func freeAddrs(ctx context.Context, n int) ([]string, error) {
	addrs := make([]string, 0, n)
	for range n {
		var config net.ListenConfig
		l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() //nolint:errcheck // held until all are found, so that they differ
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}
