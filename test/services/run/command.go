//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// graceTime is how long the command may take to end after it was told to.
const graceTime = 20 * time.Second

// command runs the command and returns its exit code. It is a process group of its
// own: go test does not pass signals on to the tests that it runs, so all of them
// are told.
func (r *runner) command(ctx context.Context, command, env []string) (int, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return exitFailed, fmt.Errorf("find the command: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, command[1:]...) //nolint:gosec // whoever calls says what to run
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), r.stdout, r.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		r.say("told to stop")
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	cmd.WaitDelay = graceTime
	err = cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		// What it left behind uses servers that are about to end.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return max(exit.ExitCode(), exitFailed), nil
	case err != nil:
		return exitFailed, fmt.Errorf("run %s: %w", command[0], err)
	}
	return 0, nil
}

// quoted makes NAME=value safe to paste into a shell.
func quoted(line string) string {
	name, value, _ := strings.Cut(line, "=")
	return name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
