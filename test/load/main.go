package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// The names under which the binary calls itself.
const (
	roleBaseline  = "baseline"
	roleGenerator = "generator"
	roleActivator = "activator"
	roleCrowd     = "crowd"
	roleFloor     = "floor"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := dispatch(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "load:", err)
		stop()
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case roleBaseline:
			return serveBaseline(ctx, os.Stdin)
		case roleGenerator:
			return generate(ctx, os.Stdin, os.Stdout)
		case roleActivator:
			return activate(ctx, os.Stdin, os.Stdout)
		case roleCrowd:
			return serveCrowd(ctx, os.Stdin, os.Stdout)
		case roleFloor:
			return serveFloor(ctx, os.Stdin)
		}
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	return measure(ctx, o)
}

// options is the command line.
type options struct {
	only       []string // phases; empty: all
	scale      float64
	summary    bool
	out        string
	profileDir string
	dir        string
	keep       bool
	env        []string // of kith alone, NAME=value
}

func parseOptions(args []string) (options, error) {
	var (
		o    options
		only string
		set  = flag.NewFlagSet("load", flag.ContinueOnError)
	)
	names := phaseNames()
	set.StringVar(&only, "only", "", "run only these `phases`, separated by commas: "+strings.Join(names, ", "))
	set.Float64Var(&o.scale, "scale", 1, "`factor` on users and durations; below 1 the figures say little")
	set.BoolVar(&o.summary, "summary", false, "also write the results in Markdown")
	set.StringVar(&o.out, "out", "", "`file` for the Markdown; default: standard output")
	set.StringVar(&o.profileDir, "cpuprofile", "", "`directory` for profiles of each phase: CPU, allocations, statements of PostgreSQL, and the heap of idle users; profiling itself costs a few percent")
	set.StringVar(&o.dir, "dir", "", "`directory` for the databases, whose disk is measured; default: the system's for temporary files")
	set.Func("env", "`NAME=value` in the environment of kith alone, such as GOGC=200; may be repeated", func(s string) error {
		if name, _, ok := strings.Cut(s, "="); !ok || name == "" {
			return errors.New("allowed is NAME=value")
		}
		o.env = append(o.env, s)
		return nil
	})
	set.BoolVar(&o.keep, "keep", false, "leave the databases there")
	if err := set.Parse(args); err != nil {
		return o, fmt.Errorf("flags: %w", err)
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	if o.scale <= 0 || o.scale > 100 {
		return o, fmt.Errorf("-scale %g: allowed is above 0 and up to 100", o.scale)
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("-only %q: allowed are %s", name, strings.Join(names, ", "))
		}
	}
	return o, nil
}
