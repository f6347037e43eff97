package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// machine is what a run ran on.
type machine struct {
	CPU    string
	Cores  int
	Memory string
	Load   string // of the last minute when the run began
	Kernel string
	Go     string
	Fsync  float64 // writes of 4 KiB, each followed by fsync, a second
}

// lookAround describes the machine. dir is where the databases will be.
func lookAround(dir string) (machine, error) {
	m := machine{
		CPU:    field("/proc/cpuinfo", "model name"),
		Cores:  runtime.NumCPU(),
		Memory: field("/proc/meminfo", "MemTotal"),
		Go:     runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		Kernel: "unknown", Load: "unknown",
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(b), " ")
	}
	var err error
	m.Fsync, err = fsyncRate(dir, fsyncTime)
	return m, err
}

// field returns the first value of a key in a file of "key : value" lines.
func field(path, key string) string {
	f, err := os.Open(path) //nolint:gosec // a constant path under /proc
	if err != nil {
		return "unknown"
	}
	defer f.Close() //nolint:errcheck // only read
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

const (
	fsyncBlock  = 4 << 10
	fsyncTime   = time.Second
	fsyncBlocks = 1024 // then it starts over in the same 4 MiB, as a write-ahead log does
)

// fsyncRate measures how often a second a block can be written and made durable,
// which bounds whoever commits one thing at a time. It goes by the median of the
// single writes, so that it is about the disk and less about who else runs.
func fsyncRate(dir string, d time.Duration) (rate float64, err error) {
	f, err := os.Create(filepath.Join(dir, "fsync")) //nolint:gosec // our own directory
	if err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	defer func() {
		if e := f.Close(); err == nil && e != nil {
			err = fmt.Errorf("measure fsync: %w", e)
		}
	}()
	var (
		block   = make([]byte, fsyncBlock)
		seconds []float64
	)
	for start := time.Now(); time.Since(start) < d; {
		began := time.Now()
		if _, err := f.WriteAt(block, int64(len(seconds)%fsyncBlocks)*fsyncBlock); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		if err := f.Sync(); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		seconds = append(seconds, time.Since(began).Seconds())
	}
	return 1 / middle(seconds), nil
}
