package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// Redis is a Redis server, through all its restarts. It writes its data to disk
// only when it is told to (SAVE) and reads at its start what was written last.
type Redis struct {
	yard     *Yard
	binary   string
	dir      string
	port     int
	password string
	lines    []string

	mu      sync.Mutex
	process *process // nil: it does not run
}

// RedisDatabases is how many logical databases a Redis has that was started here.
const RedisDatabases = 1024

// Redis makes a Redis and starts it, with further lines of its configuration, such
// as "maxmemory 4mb".
func (y *Yard) Redis(ctx context.Context, lines ...string) (*Redis, error) {
	binary, err := Find(KindRedis)
	if err != nil {
		return nil, err
	}
	dir, err := y.subdirectory("redis")
	if err != nil {
		return nil, err
	}
	r := &Redis{yard: y, binary: binary, dir: dir, password: rand.Text(), lines: lines}
	for try := 1; ; try++ {
		if r.port, err = freePort(ctx); err != nil {
			return nil, errors.Join(err, r.Remove())
		}
		switch err = r.Start(ctx); {
		case err == nil:
			return r, nil
		case !portTaken(r.logPath()) || try == startTries:
			return nil, errors.Join(err, r.Remove())
		}
	}
}

// Start starts the server again, on its port, and waits until it answers.
func (r *Redis) Start(ctx context.Context) error {
	// A password is not for everybody's list of processes.
	conf := fmt.Sprintf("bind 127.0.0.1\nport %d\nrequirepass %s\ndir %s\ndatabases %d\nsave \"\"\nappendonly no\ndaemonize no\n%s\n",
		r.port, r.password, r.dir, RedisDatabases, strings.Join(r.lines, "\n"))
	path := filepath.Join(r.dir, "redis.conf")
	if err := r.yard.write(path, conf); err != nil {
		return err
	}
	process, err := r.yard.begin(command{path: r.binary, args: []string{path}, dir: r.dir, log: r.logPath()})
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.process = process
	r.mu.Unlock()
	options, err := redis.ParseURL(r.URL(0))
	if err != nil {
		return errors.Join(fmt.Errorf("server: %w", err), r.Kill())
	}
	options.MaxRetries, options.DialerRetries, options.PoolSize = -1, 1, 1
	client := redis.NewClient(options)
	last := errors.New("it was not asked")
	if !poll(startTime, func() bool {
		if last = dial(ctx, options.Addr); last == nil { // the client logs what is refused
			last = client.Ping(ctx).Err()
		}
		return last == nil || process.hasEnded() || ctx.Err() != nil
	}) || last != nil {
		err = fmt.Errorf("server: Redis does not answer: %w; %s\n%s", last, process.how(), logEnd(r.logPath()))
		return errors.Join(err, client.Close(), r.Kill())
	}
	if err := client.Close(); err != nil {
		return fmt.Errorf("server: close a connection: %w", err)
	}
	return nil
}

// URL returns the URL of a logical database.
func (r *Redis) URL(database int) string {
	u := url.URL{
		Scheme: "redis", User: url.UserPassword("", r.password), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)),
		Path: "/" + strconv.Itoa(database),
	}
	return u.String()
}

// Dir returns where its data is.
func (r *Redis) Dir() string { return r.dir }

// PID returns the number of the process; 0 when there is none.
func (r *Redis) PID() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil || r.process.hasEnded() {
		return 0
	}
	return r.process.pid
}

func (r *Redis) logPath() string { return filepath.Join(r.dir, "log") }

// Stop shuts the server down.
func (r *Redis) Stop() error { return r.end(syscall.SIGTERM) }

// Kill ends the server with SIGKILL.
func (r *Redis) Kill() error { return r.end(syscall.SIGKILL) }

func (r *Redis) end(s syscall.Signal) error {
	r.mu.Lock()
	process := r.process
	r.process = nil
	r.mu.Unlock()
	if process == nil {
		return nil
	}
	if err := process.signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if !process.await() {
		return fmt.Errorf("server: Redis does not stop within %s\n%s", closeTime, logEnd(r.logPath()))
	}
	return nil
}

// Remove ends the server and removes its data.
func (r *Redis) Remove() error {
	err := r.Kill()
	if removeErr := os.RemoveAll(r.dir); removeErr != nil {
		err = errors.Join(err, fmt.Errorf("server: remove the data of Redis: %w", removeErr))
	}
	return err
}
