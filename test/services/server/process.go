//go:build unix

package server

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// pollTime is how often a process is asked whether it has ended, and a server
	// whether it is ready.
	pollTime = 10 * time.Millisecond
	// closeTime bounds the end of a server that throws its data away.
	closeTime = 30 * time.Second
)

// command is a process to start.
type command struct {
	path    string
	args    []string // without the name
	dir     string
	env     []string
	in      *os.File // nil: nothing
	log     string   // path of what it writes; "" for nowhere
	account *account // nil: this process's own
}

// process is a process that was started here. It is waited for without a
// goroutine: by whoever asks.
type process struct {
	pid  int
	gone func() // called once when it has been waited for; may be nil

	mu     sync.Mutex
	ended  bool
	status syscall.WaitStatus
}

// start starts a process in a session of its own, so that what a terminal sends to
// the tests does not reach it.
func start(c command) (*process, error) {
	in, out := c.in, (*os.File)(nil)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	defer null.Close() //nolint:errcheck // nothing is lost
	if in == nil {
		in = null
	}
	out = null
	if c.log != "" {
		if out, err = os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
			return nil, fmt.Errorf("server: %w", err)
		}
		defer out.Close() //nolint:errcheck // the process has it
	}
	sys := &syscall.SysProcAttr{Setsid: true}
	if c.account != nil {
		sys.Credential = &syscall.Credential{Uid: uint32(c.account.uid), Gid: uint32(c.account.gid)} //nolint:gosec // ids of a system
	}
	p, err := os.StartProcess(c.path, append([]string{c.path}, c.args...), &os.ProcAttr{
		Dir: c.dir, Env: append([]string{"PATH=/usr/local/bin:/usr/bin:/bin"}, c.env...), Files: []*os.File{in, out, out}, Sys: sys,
	})
	if err != nil {
		return nil, fmt.Errorf("server: start %s: %w", c.path, err)
	}
	pid := p.Pid
	if err := p.Release(); err != nil {
		return nil, fmt.Errorf("server: start %s: %w", c.path, err)
	}
	return &process{pid: pid}, nil
}

// hasEnded reports whether the process has ended.
func (p *process) hasEnded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return true
	}
	pid, err := syscall.Wait4(p.pid, &p.status, syscall.WNOHANG, nil)
	if p.ended = pid == p.pid || errors.Is(err, syscall.ECHILD); p.ended && p.gone != nil {
		p.gone()
	}
	return p.ended
}

// await waits until the process has ended, and reports whether it has in time.
func (p *process) await() bool { return poll(closeTime, p.hasEnded) }

// signal sends a signal, unless the process has ended: its number may be
// somebody else's then.
func (p *process) signal(s syscall.Signal) error {
	if p.hasEnded() {
		return os.ErrProcessDone
	}
	if err := syscall.Kill(p.pid, s); err != nil {
		return fmt.Errorf("server: send %s to %d: %w", s, p.pid, err)
	}
	return nil
}

// how says how the process ended.
func (p *process) how() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.ended:
		return "it runs"
	case p.status.Signaled():
		return "it ended by signal " + p.status.Signal().String()
	default:
		return "it ended with exit code " + strconv.Itoa(p.status.ExitStatus())
	}
}

// account is whom servers run as.
type account struct {
	name     string
	uid, gid int
}

// serverAccount returns the account for servers; nil is one's own.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // said above
	}
	const name = "postgres"
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("server: Postgres does not run as root, and there is no user %s: %w", name, err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, fmt.Errorf("server: user %s: %w", name, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, fmt.Errorf("server: user %s: %w", name, err)
	}
	return &account{name, uid, gid}, nil
}

// poll asks until the answer is yes, and reports whether it was in that time.
func poll(within time.Duration, done func() bool) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	ticker := time.NewTicker(pollTime)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			return done()
		}
	}
	return true
}

// impersonate makes a command run as the account.
func (a *account) impersonate(cmd *exec.Cmd) {
	if a != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}} //nolint:gosec // ids of a system
	}
}
