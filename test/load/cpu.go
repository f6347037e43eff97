package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// userHz is the unit of CPU times in /proc on every Linux.
const userHz = 100

// taskTimes are the CPU times of a process, user and system together.
type taskTimes struct {
	parent int
	own    time.Duration // of all its threads
	waited time.Duration // of its children that have ended and that it has waited for
}

// readTimes reads the CPU times of a process.
func readTimes(pid int) (t taskTimes, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return t, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	// The name in parentheses is field 2 of proc(5) and may hold spaces; the parent
	// is field 4; utime, stime, cutime and cstime are fields 14 to 17.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 15 {
		return t, fmt.Errorf("CPU time of process %d: %q has too few fields", pid, b)
	}
	var ticks [4]int64
	for i := range ticks {
		if ticks[i], err = strconv.ParseInt(fields[11+i], 10, 64); err != nil {
			return t, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
	}
	if t.parent, err = strconv.Atoi(fields[1]); err != nil {
		return t, fmt.Errorf("parent of process %d: %w", pid, err)
	}
	const tick = time.Second / userHz
	t.own, t.waited = time.Duration(ticks[0]+ticks[1])*tick, time.Duration(ticks[2]+ticks[3])*tick
	return t, nil
}

// processCPU returns the CPU time that a process has used, without its children.
func processCPU(pid int) (time.Duration, error) {
	t, err := readTimes(pid)
	return t.own, err
}

// treeTries bounds how often treeCPU looks again because a child ended meanwhile.
const treeTries = 100

// treeCPU returns the CPU time that a process and its children have used, those
// that have ended too. The children except are left out; they must not have ended.
// Children of children count once they and their parents have been waited for.
func treeCPU(pid int, except ...int) (time.Duration, error) {
	for range treeTries {
		before, err := readTimes(pid)
		if err != nil {
			return 0, err
		}
		children, err := childrenCPU(pid, except)
		if err != nil {
			return 0, err
		}
		after, err := readTimes(pid)
		if err != nil {
			return 0, err
		}
		// A child that was waited for in between has moved from one figure to the
		// other, and may be in both or in none.
		if before.waited == after.waited {
			return after.own + after.waited + children, nil
		}
	}
	return 0, fmt.Errorf("CPU time of process %d: its children come and go too fast", pid)
}

// childrenCPU returns the CPU time of the children that a process has now.
func childrenCPU(parent int, except []int) (total time.Duration, err error) {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil || slices.Contains(except, pid) {
			continue
		}
		switch t, err := readTimes(pid); {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH):
			continue // it has ended
		case err != nil:
			return 0, err
		case t.parent == parent:
			total += t.own + t.waited
		}
	}
	return total, nil
}
