package services

import (
	"context"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"kith/test/services/server"
)

// Three of them are what three processes have.
func TestOneTestOfAllProcessesHasAServer(t *testing.T) {
	const variable = "KITH_TEST_OF_EXCLUSIVE"
	t.Setenv(variable, "somewhere")
	t.Setenv("TMPDIR", t.TempDir()) // where the locks are
	var taken atomic.Bool
	var processes []*exclusive
	for range 3 {
		processes = append(processes, oneByOne(server.KindSearch, variable, nil, func(context.Context, string) error {
			if !taken.CompareAndSwap(false, true) {
				t.Error("it is emptied while a test has it")
			}
			return nil
		}))
	}
	for i := range 60 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			processes[i%len(processes)].take(t)
			for range 100 {
				runtime.Gosched()
			}
			taken.Store(false)
		})
	}
}
