package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// PgBouncer is a pgbouncer in transaction mode in front of one database.
type PgBouncer struct {
	dir     string
	url     string
	process *process
}

// PgBouncer starts a pgbouncer in front of the database of a URL, with further
// lines of its configuration and else its own defaults where they matter to a
// client.
func (y *Yard) PgBouncer(ctx context.Context, upstream string, lines ...string) (*PgBouncer, error) {
	binary, err := Find(KindPgBouncer)
	if err != nil {
		return nil, err
	}
	to, err := pgx.ParseConfig(upstream)
	if err != nil {
		return nil, fmt.Errorf("server: the URL of a database: %w", err)
	}
	dir, err := y.subdirectory("pgbouncer")
	if err != nil {
		return nil, err
	}
	b := &PgBouncer{dir: dir}
	for try := 1; ; try++ {
		port, err := freePort(ctx)
		if err != nil {
			return nil, errors.Join(err, b.Remove())
		}
		switch err = b.start(ctx, y, binary, to, port, strings.Join(lines, "\n")); {
		case err == nil:
			return b, nil
		case !portTaken(b.logPath()) || try == startTries:
			return nil, errors.Join(err, b.Remove())
		}
	}
}

func (b *PgBouncer) start(ctx context.Context, y *Yard, binary string, to *pgx.ConnConfig, port int, lines string) error {
	users, conf := filepath.Join(b.dir, "users"), filepath.Join(b.dir, "pgbouncer.ini")
	if err := y.write(users, fmt.Sprintf("%q %q\n", to.User, to.Password)); err != nil {
		return err
	}
	if err := y.write(conf, fmt.Sprintf(`[databases]
%s = host=%s port=%d dbname=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
%s
`, to.Database, to.Host, to.Port, to.Database, port, users, lines)); err != nil {
		return err
	}
	process, err := y.begin(command{path: binary, args: []string{conf}, dir: b.dir, log: b.logPath()})
	if err != nil {
		return err
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(to.User, to.Password), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path: "/" + to.Database, RawQuery: "sslmode=disable",
	}
	b.process, b.url = process, u.String()
	last := errors.New("it was not asked")
	if !poll(startTime, func() bool {
		last = b.ask(ctx)
		return last == nil || process.hasEnded() || ctx.Err() != nil
	}) || last != nil {
		return fmt.Errorf("server: pgbouncer does not answer: %w; %s\n%s", last, process.how(), logEnd(b.logPath()))
	}
	return nil
}

func (b *PgBouncer) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	c, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := c.Close(ctx); err != nil {
		return fmt.Errorf("close a connection: %w", err)
	}
	return nil
}

// URL returns the URL of the database behind it.
func (b *PgBouncer) URL() string { return b.url }

func (b *PgBouncer) logPath() string { return filepath.Join(b.dir, "log") }

// Remove ends it and removes its files.
func (b *PgBouncer) Remove() error {
	var err error
	if b.process != nil {
		if err = b.process.signal(syscall.SIGKILL); errors.Is(err, os.ErrProcessDone) {
			err = nil
		}
		b.process.await()
	}
	if removeErr := os.RemoveAll(b.dir); removeErr != nil {
		err = errors.Join(err, fmt.Errorf("server: remove the files of pgbouncer: %w", removeErr))
	}
	return err
}
