package main

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// shell runs a script until the test ends, and returns once it has said a word.
func shell(t *testing.T, script string) (pid int, said string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-c", script)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // which ends it
		_, _ = io.Copy(io.Discard, out)
		_ = c.Wait()
	})
	said, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid, strings.TrimSpace(said)
}

// work keeps a shell busy for some hundredths of a second at least.
const work = `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done`

const someWork = 20 * time.Millisecond

// Children count while they run and after they have ended, and those that are left
// out do not.
func TestTreeCPUCountsChildren(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"that run":        `sh -c '` + work + `; echo $$; read x'; :`,
		"that have ended": `sh -c '` + work + `'; echo 0; read x; :`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pid, said := shell(t, script)
			own, err := processCPU(pid)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := treeCPU(pid)
			if err != nil {
				t.Fatal(err)
			}
			if own >= someWork || tree < someWork {
				t.Errorf("%s alone, %s with its children", own, tree)
			}
			if said == "0" {
				return
			}
			child := 0
			for _, digit := range said {
				child = 10*child + int(digit-'0')
			}
			if rest, err := treeCPU(pid, child); err != nil || rest != own {
				t.Errorf("%s without the child (%v), want %s", rest, err, own)
			}
		})
	}
}

func TestTreeCPUOfNobodyFails(t *testing.T) {
	t.Parallel()
	if _, err := treeCPU(1 << 30); err == nil {
		t.Error("a process that cannot be has used CPU")
	}
}
