//go:build unix

package server

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// A process keeps the ports that it was given from others, and from itself.
func TestAPortIsGivenOnce(t *testing.T) {
	t.Parallel()
	if port := os.Getenv("KITH_TEST_PORT"); port != "" { // the other process
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		if ours, err := reserve(n); ours || err != nil {
			t.Fatalf("a port of another process was given: %v", err)
		}
		return
	}
	port, err := freePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := reserve(port); ours || err != nil {
		t.Errorf("it was given again: %v", err)
	}
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAPortIsGivenOnce$")
	other.Env = append(os.Environ(), "KITH_TEST_PORT="+strconv.Itoa(port))
	if out, err := other.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
