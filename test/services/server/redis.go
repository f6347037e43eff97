package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Redis is a Redis server, through all its restarts. It writes its data to disk
// only when it is told to (SAVE) and reads at its start what was written last.
type Redis struct {
	daemon

	yard     *Yard
	binary   string
	port     int
	password string
	lines    []string
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
	r := &Redis{yard: y, binary: binary, daemon: daemon{name: "Redis", dir: dir}, password: rand.Text(), lines: lines}
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
	r.runs(process)
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
