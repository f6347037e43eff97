package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresConfig says how a Postgres is to be.
type PostgresConfig struct {
	// Settings are of postgresql.conf, beside those that tests are content with.
	// The data survives a SIGKILL of the server in any case.
	Settings map[string]string
	// Data is the directory that is made for the data, in one where servers may do
	// so; "" makes one that is private. It is removed with the server.
	Data string
}

// Postgres is a PostgreSQL server, through all its restarts. Its name sorts as
// people do (ICU, en-US), as on most servers in production, not as bytes.
type Postgres struct {
	yard     *Yard
	binary   string
	dir      string // holds the data and the log
	data     string
	port     int
	password string
	settings map[string]string

	mu      sync.Mutex
	process *process // nil: it does not run
}

// Careless returns settings for a server whose data nobody wants back after a crash
// of the machine: the tests' own, which share one.
func Careless() map[string]string {
	return map[string]string{"fsync": "off", "full_page_writes": "off", "max_connections": "500"}
}

// superuser is the role that owns everything.
const superuser = "kith"

// startTime bounds the start of a server on a busy machine, also when it has to
// recover.
const startTime = time.Minute

// Postgres makes a Postgres and starts it.
func (y *Yard) Postgres(ctx context.Context, c PostgresConfig) (*Postgres, error) {
	p, err := y.newPostgres(c)
	if err != nil {
		return nil, err
	}
	if err := p.init(ctx); err != nil {
		return nil, errors.Join(err, p.Remove())
	}
	for try := 1; ; try++ {
		if p.port, err = freePort(ctx); err != nil {
			return nil, errors.Join(err, p.Remove())
		}
		switch err = p.Start(ctx); {
		case err == nil:
			return p, nil
		case !portTaken(p.logPath()) || try == startTries:
			return nil, errors.Join(err, p.Remove())
		}
	}
}

func (y *Yard) newPostgres(c PostgresConfig) (*Postgres, error) {
	binary, err := Find(KindPostgres)
	if err != nil {
		return nil, err
	}
	dir, err := y.subdirectory("postgres")
	if err != nil {
		return nil, err
	}
	p := &Postgres{yard: y, binary: binary, dir: dir, data: c.Data, password: rand.Text(), settings: map[string]string{
		"max_connections":  "300",
		"shared_buffers":   "64MB",
		"max_wal_size":     "256MB",
		"wal_level":        "minimal",
		"max_wal_senders":  "0",
		"log_min_messages": "warning",
	}}
	if p.data == "" {
		p.data = filepath.Join(dir, "data")
	}
	maps.Copy(p.settings, c.Settings)
	return p, nil
}

// init makes the data directory.
func (p *Postgres) init(ctx context.Context) error {
	secret := filepath.Join(p.dir, "password")
	if err := p.yard.write(secret, p.password+"\n"); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + p.data, "--username=" + superuser, "--pwfile=" + secret, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
	}
	err := p.run(ctx, "initdb", append(args, "--locale-provider=icu", "--icu-locale=en-US")...)
	if err != nil && ctx.Err() == nil { // older than 15, or built without ICU
		err = p.run(ctx, "initdb", args...)
	}
	return err
}

// run runs a program that stands beside postgres, to its end.
func (p *Postgres) run(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(p.binary), name), args...) //nolint:gosec // of this package
	cmd.Dir, cmd.Env = p.dir, []string{"PATH=/usr/local/bin:/usr/bin:/bin", "PGPASSWORD=" + p.password}
	p.yard.account.impersonate(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("server: %s: %w\n%s", name, err, out)
	}
	return nil
}

// Start starts the server again, on its port, and waits until it answers.
func (p *Postgres) Start(ctx context.Context) error {
	args := []string{"-D", p.data, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "port=" + strconv.Itoa(p.port)}
	for _, name := range slices.Sorted(maps.Keys(p.settings)) {
		args = append(args, "-c", name+"="+p.settings[name])
	}
	process, err := p.yard.begin(command{path: p.binary, args: args, dir: p.dir, env: []string{"LC_ALL=C"}, log: p.logPath()})
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.process = process
	p.mu.Unlock()
	last := errors.New("it was not asked")
	if !poll(startTime, func() bool {
		last = p.ask(ctx)
		return last == nil || process.hasEnded() || ctx.Err() != nil
	}) || last != nil {
		err := fmt.Errorf("server: Postgres does not answer: %w; %s\n%s", last, process.how(), logEnd(p.logPath()))
		return errors.Join(err, p.Kill())
	}
	return nil
}

func (p *Postgres) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	c, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := c.Close(ctx); err != nil {
		return fmt.Errorf("close a connection: %w", err)
	}
	return nil
}

// Set changes a setting from the next start on.
func (p *Postgres) Set(name, value string) { p.settings[name] = value }

// URL returns the URL of a database of the server.
func (p *Postgres) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, p.password), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)),
		Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Dir returns the data directory.
func (p *Postgres) Dir() string { return p.data }

// PID returns the number of the postmaster; 0 when there is none.
func (p *Postgres) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil || p.process.hasEnded() {
		return 0
	}
	return p.process.pid
}

// Log returns the end of what the server has said.
func (p *Postgres) Log() string { return logEnd(p.logPath()) }

func (p *Postgres) logPath() string { return filepath.Join(p.dir, "log") }

// take returns the process that runs, which is then the caller's to end.
func (p *Postgres) take() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	process := p.process
	p.process = nil
	if process == nil || process.hasEnded() {
		return nil
	}
	return process
}

// Stop shuts the server down, fast: transactions are rolled back, everything that
// was committed is on disk.
func (p *Postgres) Stop() error { return p.end(syscall.SIGINT) }

func (p *Postgres) end(s syscall.Signal) error {
	process := p.take()
	if process == nil {
		return nil
	}
	if err := process.signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if !process.await() {
		return fmt.Errorf("server: Postgres does not stop within %s\n%s", closeTime, logEnd(p.logPath()))
	}
	return nil
}

// Kill ends the server and all its children with SIGKILL at one moment: the
// postmaster is stopped before its children are counted, so that there are no
// others.
func (p *Postgres) Kill() error {
	process := p.take()
	if process == nil {
		return nil
	}
	if err := process.signal(syscall.SIGSTOP); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	backends, err := children(process.pid)
	for _, pid := range append(backends, process.pid) {
		if killErr := syscall.Kill(pid, syscall.SIGKILL); killErr != nil && !errors.Is(killErr, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("server: kill %d: %w", pid, killErr))
		}
	}
	if !process.await() {
		err = errors.Join(err, errors.New("server: a killed Postgres is still there"))
	}
	// The next start refuses while one of them holds on to the shared memory.
	if !poll(closeTime, func() bool {
		all, listErr := processes()
		return listErr != nil || !slices.ContainsFunc(backends, func(pid int) bool { _, alive := all[pid]; return alive })
	}) {
		err = errors.Join(err, errors.New("server: a killed backend is still there"))
	}
	return err
}

// Remove ends the server and removes its data.
func (p *Postgres) Remove() error {
	err := p.end(syscall.SIGQUIT)
	for _, dir := range []string{p.data, p.dir} {
		if removeErr := os.RemoveAll(dir); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("server: remove the data of Postgres: %w", removeErr))
		}
	}
	return err
}
