package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"kith/test/services/server"
)

// advice says what to type to get servers.
func advice(kinds []server.Kind) string {
	var lines []string
	if slices.Contains(kinds, server.KindS3) {
		lines = append(lines, "go "+strings.Join(build, " "))
	}
	if kinds = packaged(kinds); len(kinds) > 0 {
		lines = append(lines, packageAdvice(kinds))
	}
	return strings.Join(lines, "; ")
}

func packageAdvice(kinds []server.Kind) string {
	if runtime.GOOS == "darwin" {
		brew := map[server.Kind]string{
			server.KindPostgres: "postgresql@17", server.KindRedis: "redis", server.KindPgBouncer: "pgbouncer",
			server.KindKafka: "maven", server.KindSearch: "maven", server.KindElastic: "maven",
			server.KindChromium: "chromium", server.KindNode: "node", server.KindPython: "python",
		}
		return "brew install " + strings.Join(each(kinds, func(k server.Kind) string { return brew[k] }), " ")
	}
	return "apt-get install --no-install-recommends " + strings.Join(packages(kinds), " ")
}

// packages returns the packages of Debian that have the kinds.
func packages(kinds []server.Kind) []string { return each(kinds, server.Kind.Package) }

// each returns the name of each kind, those of several kinds once.
func each(kinds []server.Kind, name func(server.Kind) string) []string {
	var names []string
	for _, k := range kinds {
		if n := name(k); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// packaged returns the kinds that are packages.
func packaged(kinds []server.Kind) []server.Kind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k server.Kind) bool { return k.Package() == "" })
}

// build are the arguments of go that build the S3 server, in the root of the
// repository. It is in no package.
var build = []string{"build", "-modfile=" + server.S3Modfile, "-trimpath", "-o", "bin/", server.S3Package} //nolint:gochecknoglobals // a constant list

// install gets servers: packages, and what is built.
func install(ctx context.Context, kinds []server.Kind, out io.Writer) error {
	var errs []error
	if slices.Contains(kinds, server.KindS3) {
		errs = append(errs, buildS3(ctx, out))
	}
	if kinds = packaged(kinds); len(kinds) > 0 {
		errs = append(errs, installPackages(ctx, kinds, out))
	}
	return errors.Join(errs...)
}

// buildS3 takes minutes, the first time.
func buildS3(ctx context.Context, out io.Writer) error {
	root, err := server.Root()
	if err != nil {
		return err //nolint:wrapcheck // says all
	}
	cmd := exec.CommandContext(ctx, "go", build...) //nolint:gosec // a constant list
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", server.S3Package, err)
	}
	return nil
}

// policy tells Debian whether a service may be started when it is installed; see
// invoke-rc.d(8).
const policy = "/usr/sbin/policy-rc.d"

// installPackages installs servers with the package manager. None of them is started:
// tests start their own.
func installPackages(ctx context.Context, kinds []server.Kind, out io.Writer) (err error) {
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return errors.New("only root on Debian and its kin can install packages here")
	}
	if f, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755); err == nil { //nolint:gosec // it is a program
		defer func() { err = errors.Join(err, os.Remove(policy)) }()
		_, err := io.WriteString(f, "#!/bin/sh\nexit 101\n")
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("keep services from being started: %w", err)
		}
	} else if !errors.Is(err, os.ErrExist) { // else somebody has decided
		return fmt.Errorf("keep services from being started: %w", err)
	}
	run := func(args ...string) error {
		cmd := exec.CommandContext(ctx, apt, args...) //nolint:gosec // names of packages
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", args[0], err)
		}
		return nil
	}
	all := append([]string{"install", "-q", "-y", "--no-install-recommends"}, packages(kinds)...)
	if run(all...) == nil { // the lists of packages are there and not too old
		return nil
	}
	if err := run("update", "-q"); err != nil {
		return err
	}
	return run(all...)
}
