// Command run runs a command, such as go test, with the real servers that tests
// use, or, without a command, keeps them running until ctrl-C. Its --help says all.
//
//   - main.go: the command line.
//   - servers.go: which servers there are, and starting those that are not.
//   - install.go: getting those that are not installed.
//   - command.go: the command that is run, and what becomes of signals.
//   - report.go: what was left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"kith/test/services/server"
)

const usage = `Runs a command, such as go test, with the real servers that the tests use:
Postgres, Redis, pgbouncer, Kafka, OpenSearch, Elasticsearch, S3; and looks for what
else they run: Chromium, Node, Python.

  go run ./test/services/run [-install] [-require] -- go test ./...
  go run ./test/services/run [-install]

Servers named by KITH_TEST_DATABASE_URL (a Postgres, as a role that may create
databases), KITH_TEST_REDIS_URL and KITH_TEST_SEARCH_URL (an OpenSearch, whose indices
with names that begin with kith- are deleted) are used as they are. Others are started
from installed binaries: on free ports of 127.0.0.1, with random passwords where they
know any, in a private directory that is removed at the end, and stopped by their
process ids. They do not survive this process, even when it is killed. Kafka and the
search engines are fetched by Maven, once, when they are first started.

The command gets these variables in its environment, and its exit code is passed
on. Without a command the lines to export are printed on standard output, and the
servers run until ctrl-C: for single tests, for psql, or for

  kith serve --database-url "$KITH_TEST_DATABASE_URL" --redis-url "$KITH_TEST_REDIS_URL"

Tests also start servers of their own, to stop and kill them, and each Elasticsearch
and Kafka that they use, unless KITH_TEST_KAFKA_BROKERS (host:port,…) names a Kafka:
its topics whose names begin with kith. are deleted. Tests that need what is not
installed are left out, and the last lines say which; with -require they fail.

`

func main() {
	// A second signal ends the process at once, and the servers with it.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	r := &runner{find: server.Find, shared: sharedServers(), install: install, getenv: os.Getenv, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(r.main(ctx, os.Args[1:]))
}

// Exit codes beside those of the command.
const (
	exitFailed  = 1
	exitInvalid = 2
)

// runner does what the command line says.
type runner struct {
	find           func(server.Kind) (string, error)
	shared         []shared
	install        func(ctx context.Context, missing []server.Kind, out io.Writer) error
	getenv         func(string) string
	stdout, stderr io.Writer

	require bool
}

func (r *runner) main(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(r.stderr)
	mayInstall := flags.Bool("install", false, "install what is missing: with apt-get, as root on Debian and its kin; the S3 server is built into bin, which takes minutes")
	flags.BoolVar(&r.require, "require", false, "fail when something is missing")
	flags.Usage = func() {
		fmt.Fprintf(r.stderr, "%s", usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return exitInvalid
	}
	code, err := r.run(ctx, *mayInstall, flags.Args())
	if err != nil {
		r.say("%v", err)
		return max(code, exitFailed)
	}
	return code
}

// say tells whoever watches.
func (r *runner) say(format string, args ...any) {
	fmt.Fprintf(r.stderr, "services: "+format+"\n", args...)
}

func (r *runner) run(ctx context.Context, mayInstall bool, command []string) (code int, err error) {
	missing, err := r.missing(ctx, mayInstall)
	if err != nil {
		return exitFailed, err
	}
	yard, err := server.Open()
	if err != nil {
		return exitFailed, fmt.Errorf("make a place for servers: %w", err)
	}
	defer func() {
		if closed := yard.Close(); closed != nil {
			err = errors.Join(err, closed)
		}
	}()
	env, missing, err := r.start(ctx, yard, missing)
	if err != nil {
		return exitFailed, err
	}
	if len(command) == 0 {
		return 0, r.hold(ctx, env, missing)
	}
	report := newReport(yard.Dir())
	code, err = r.command(ctx, command, append(env, report.env()))
	r.leftOut(report, missing)
	return code, err
}

// hold shows what to export, and waits for the end.
func (r *runner) hold(ctx context.Context, env []string, missing []server.Kind) error {
	for _, line := range env {
		if _, err := fmt.Fprintf(r.stdout, "export %s\n", quoted(line)); err != nil {
			return fmt.Errorf("say what to export: %w", err)
		}
	}
	for _, k := range missing {
		r.say("without %s, its tests are left out: %s", k, advice([]server.Kind{k}))
	}
	r.say("running until ctrl-C")
	<-ctx.Done()
	r.say("stopping")
	return nil
}
