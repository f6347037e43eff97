package away_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kith/persistence/away"
)

var errGone = errors.New("gone")

// stub is a server, and what was said of it.
type stub struct {
	mu     sync.Mutex
	err    error
	probes int
	told   []error
}

func (s *stub) probe(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probes++
	return s.err
}

func (s *stub) tell(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, err)
}

func (s *stub) becomes(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *stub) seen() (probes, told int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probes, len(s.told)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stub{}
		w := away.New(time.Second, s.probe, s.tell)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		state := func(when string, gone bool, probes, told int) {
			t.Helper()
			synctest.Wait()
			if p, n := s.seen(); w.Away() != gone || p != probes || n != told {
				t.Errorf("%s: away %t after %d probes, told %d times; want %t after %d, %d times", when, w.Away(), p, n, gone, probes, told)
			}
		}
		state("at first", false, 1, 0)
		<-time.After(10 * time.Second)
		state("later", false, 2, 0)
		s.becomes(errGone)
		state("before anybody asks", false, 2, 0)
		w.Suspect()
		state("after a call failed", true, 3, 1)
		<-time.After(2 * time.Second)
		state("while it is away", true, 5, 1)
		s.becomes(nil)
		<-time.After(time.Second)
		state("when it is back", false, 6, 2)
		if !errors.Is(s.told[0], errGone) || s.told[1] != nil {
			t.Errorf("told %v", s.told)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A server that answers when it is looked at, and on which calls fail all the same, is
// away for a while.
func TestCallsThatFailInARow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stub{}
		w := away.New(time.Second, s.probe, s.tell)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		synctest.Wait()
		fail := func() {
			w.Failed()
			synctest.Wait()
		}
		for range 10 {
			w.Suspect()
			synctest.Wait()
		}
		if w.Away() {
			t.Error("away for calls that failed for what they were about")
		}
		for range 5 {
			fail()
			fail()
			w.Worked()
		}
		if w.Away() {
			t.Error("away though calls succeed in between")
		}
		for range 3 {
			fail()
		}
		if !w.Away() {
			t.Error("not away after three calls in a row failed")
		}
		<-time.After(10*time.Second + time.Millisecond)
		synctest.Wait()
		if w.Away() {
			t.Error("away for ever")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAProbeThatWasCutSaysNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := away.New(time.Second, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, func(error) { t.Error("told") })
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		synctest.Wait()
		stop()
		if err := <-ended; err != nil || w.Away() {
			t.Errorf("%v, away %t", err, w.Away())
		}
	})
}
