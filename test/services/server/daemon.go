package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// daemon is a server of one process with a directory of its own, through all its
// restarts.
type daemon struct {
	name string // in messages
	dir  string

	mu      sync.Mutex
	process *process // nil: it does not run
}

// Dir returns where its data is.
func (d *daemon) Dir() string { return d.dir }

// PID returns the number of the process; 0 when there is none.
func (d *daemon) PID() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process == nil || d.process.hasEnded() {
		return 0
	}
	return d.process.pid
}

func (d *daemon) logPath() string { return filepath.Join(d.dir, "log") }

// runs notes the process of a start.
func (d *daemon) runs(p *process) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.process = p
}

// Stop shuts the server down.
func (d *daemon) Stop() error { return d.end(syscall.SIGTERM) }

// Kill ends the server with SIGKILL.
func (d *daemon) Kill() error { return d.end(syscall.SIGKILL) }

func (d *daemon) end(s syscall.Signal) error {
	d.mu.Lock()
	process := d.process
	d.process = nil
	d.mu.Unlock()
	if process == nil {
		return nil
	}
	if err := process.signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if !process.await() {
		return fmt.Errorf("server: %s does not stop within %s\n%s", d.name, closeTime, logEnd(d.logPath()))
	}
	return nil
}

// Remove ends the server and removes its data.
func (d *daemon) Remove() error {
	err := d.Kill()
	if removeErr := os.RemoveAll(d.dir); removeErr != nil {
		err = errors.Join(err, fmt.Errorf("server: remove the data of %s: %w", d.name, removeErr))
	}
	return err
}
