// Command kith is a realtime social backend in one binary.
//
//   - main.go: the command line; signals; exit codes.
//   - config.go, config_limits.go, config_types.go: the settings, from flags and
//     environment, checked.
//   - datadir.go, umask_unix.go: what lives in the data dir, the lock on it, and
//     that it is private.
//   - serve.go, demo.go, tail.go, token.go, role.go, verify.go,
//     reindex.go, migrate.go: one file a command.
//   - assemble.go, kafka.go, search.go, blobs.go, database.go: the one place that wires the parts.
//   - process.go, lifecycle.go: starting parts in order, stopping them in reverse.
//   - operator.go, admin.go: the operator's commands, in this process or through
//     the socket of a server that runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1 // could not do it, or verify found differences
	exitInvalid = 2 // the command line or a setting is wrong
)

func main() {
	restrictFiles()
	// A second signal ends the process at once, as it would without us.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the server. Without settings, everything is embedded and lives in the data dir."`
	Demo    demoCommand    `cmd:"" help:"Run the server with a small world in it to play with, on a data dir of its own."`
	Tail    tailCommand    `cmd:"" help:"Print the live stream of a user, through every interruption."`
	Token   tokenCommand   `cmd:"" help:"Print an access token for an existing user."`
	Role    roleCommand    `cmd:"" help:"Give a user a role: admin, creator or user."`
	Verify  verifyCommand  `cmd:"" help:"Check the stored data: counters against edges, journal against projections."`
	Reindex reindexCommand `cmd:"" help:"Build the index of the search engine anew, beside the one in use, and switch to it."`
	Migrate migrateCommand `cmd:"" help:"Bring the database's schema up to date, or show where it is."`
}

// errInvalid marks an error of the command line or of a setting.
var errInvalid = errors.New("invalid")

func run(ctx context.Context, args []string, stdout, stderr *os.File) int {
	var (
		c    commands
		done = -1 // set when kong has printed help and wants to leave
	)
	parser, err := kong.New(&c,
		kong.Name("kith"),
		kong.Description("A realtime social backend: people follow people, record what they watch, and see what their friends do as it happens."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{"tail_url": tailURL},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { done = code }),
	)
	if err != nil {
		fmt.Fprintln(stderr, "kith:", err)
		return exitFailed
	}
	command, err := parser.Parse(args)
	if done >= 0 {
		return done
	}
	if err != nil {
		fmt.Fprintf(stderr, "kith: %v; see kith --help\n", err)
		return exitInvalid
	}
	command.BindTo(ctx, (*context.Context)(nil))
	switch err := command.Run(&console{out: stdout, err: stderr}); {
	case err == nil:
		return exitOK
	case errors.Is(err, errInvalid):
		fmt.Fprintln(stderr, "kith:", oneLine(err))
		return exitInvalid
	default:
		fmt.Fprintln(stderr, "kith:", oneLine(err))
		return exitFailed
	}
}

// oneLine is what an error says, without the line breaks of the libraries below.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// console is where a command writes.
type console struct{ out, err *os.File }
