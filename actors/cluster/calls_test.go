package cluster_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"

	"kith/actors/cluster"
)

func TestRequestToStoppedActivationReachesTheNext(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	old := ask(t, n, "1", stopSelf{}).pid
	if next := ask(t, n, "1", whoAreYou{}).pid; next.GetId() == old.GetId() {
		t.Fatal("answered by an activation that had stopped")
	}
}

func TestRequestsBehindAStopReachTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, nil)
		var processed atomic.Int64
		entered, leave := make(chan struct{}, 1), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { ask(t, n, "1", hold{entered, leave}) })
		<-entered
		old := n.Lookup("1", kind)
		for range 100 {
			wg.Go(func() {
				if s := ask(t, n, "1", count{&processed}); s.pid.GetId() == old.GetId() {
					t.Error("processed after the stop")
				}
			})
		}
		synctest.Wait() // they wait in the mailbox
		n.System().Root.Stop(old)
		close(leave)
		wg.Wait()
		if processed.Load() != 100 {
			t.Fatalf("processed %d times", processed.Load())
		}
	})
}

func TestNothingIsLostOrDoubledWhileActivationsComeAndGo(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	var processed atomic.Int64
	const callers, each = 16, 500
	done := make(chan struct{})
	var killer, wg sync.WaitGroup
	killer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			identity := strconv.Itoa(i % 4)
			if pid := n.Lookup(identity, kind); pid != nil {
				if i%2 == 0 {
					n.Deregister(identity, kind, pid)
				}
				n.System().Root.Stop(pid)
			}
		}
	})
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				if _, err := n.Cluster().Request(strconv.Itoa((c+i)%4), kind, count{&processed}, pcluster.WithRetryCount(1<<30)); err != nil {
					t.Errorf("caller %d: %v", c, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(done)
	killer.Wait()
	if processed.Load() != callers*each {
		t.Fatalf("%d requests were processed %d times", callers*each, processed.Load())
	}
}

func TestTimeoutIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, func(c *cluster.Config) { c.RequestTimeout = 3 * time.Second })
		var processed atomic.Int64
		for want, opts := range map[time.Duration][]pcluster.GrainCallOption{
			3 * time.Second: nil,
			time.Minute:     {pcluster.WithTimeout(time.Minute)},
		} {
			processed.Store(0)
			begun := time.Now()
			_, err := n.Cluster().Request("1", kind, silence{&processed}, opts...)
			if !errors.Is(err, cluster.ErrTimeout) || time.Since(begun) != want {
				t.Errorf("error %v after %v, want it after %v", err, time.Since(begun), want)
			}
			if processed.Load() != 1 {
				t.Errorf("processed %d times", processed.Load())
			}
		}
		if n.Count() != 1 {
			t.Errorf("a timeout cost the activation: count %d", n.Count())
		}
	})
}

func TestLateAnswerGoesToNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, nil)
		later := make(chan func(any), 1)
		if _, err := n.Cluster().Request("1", kind, answerTo{later}); !errors.Is(err, cluster.ErrTimeout) {
			t.Fatalf("error %v", err)
		}
		answer := <-later
		answer("late")
		ask(t, n, "1", whoAreYou{}) // it may use what the first call used
		answer("and again")
		ask(t, n, "1", whoAreYou{})
	})
}

func TestUnreachableAfterSomeAttempts(t *testing.T) {
	t.Parallel()
	stillborn := pcluster.NewKind("Stillborn", actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); ok {
			ctx.Stop(ctx.Self())
		}
	}))
	n := start(t, func(c *cluster.Config) { c.Kinds = []*pcluster.Kind{stillborn} })
	if _, err := n.Cluster().Request("1", "Stillborn", whoAreYou{}); !errors.Is(err, cluster.ErrUnreachable) {
		t.Fatalf("error %v", err)
	}
}

func TestPanicIsReportedAndEndsTheActivation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, nil)
		var wg sync.WaitGroup
		entered, leave := make(chan struct{}, 1), make(chan struct{})
		wg.Go(func() {
			if _, err := n.Cluster().Request("1", kind, fail{entered, leave}); !errors.Is(err, cluster.ErrFailed) {
				t.Errorf("error %v", err)
			}
		})
		<-entered
		old := n.Lookup("1", kind)
		wg.Go(func() {
			if next := ask(t, n, "1", whoAreYou{}).pid; next.GetId() == old.GetId() {
				t.Error("the activation that panicked goes on")
			}
		})
		synctest.Wait() // it waits in the mailbox
		close(leave)
		wg.Wait()
	})
}

func TestPanicWhileStoppingDoesNotHang(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	ask(t, n, "1", failLater{})
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.Count() != 0 {
		t.Fatalf("count %d", n.Count())
	}
}

func TestRequestsBehindAPanickingStopReachTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, nil)
		old := ask(t, n, "1", failLater{}).pid
		entered, leave := make(chan struct{}, 1), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { ask(t, n, "1", hold{entered, leave}) })
		<-entered
		for range 10 {
			wg.Go(func() {
				if next := ask(t, n, "1", whoAreYou{}).pid; next.GetId() == old.GetId() {
					t.Error("answered by an activation that panicked while it stopped")
				}
			})
		}
		synctest.Wait() // they wait in the mailbox
		n.System().Root.Stop(old)
		close(leave)
		wg.Wait()
		if n.Count() != 1 {
			t.Errorf("count %d", n.Count())
		}
	})
}

func TestFullMailboxIsBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := start(t, nil)
		entered, leave := make(chan struct{}, 1), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { ask(t, n, "1", hold{entered, leave}) })
		<-entered
		pid := n.Lookup("1", kind)
		for range cluster.MaxQueued {
			n.System().Root.RequestWithCustomSender(pid, whoAreYou{}, pid) // it ignores its own answers
		}
		if _, err := n.Cluster().Request("1", kind, whoAreYou{}); !errors.Is(err, cluster.ErrBusy) {
			t.Errorf("error %v", err)
		}
		var taken atomic.Int64
		n.System().Root.Send(pid, silence{&taken}) // without a sender: always taken
		close(leave)
		synctest.Wait() // the mailbox has emptied
		if ask(t, n, "1", whoAreYou{}).pid.GetId() != pid.GetId() {
			t.Error("a full mailbox cost the activation")
		}
		wg.Wait()
		if taken.Load() != 1 {
			t.Error("a message without a sender was refused")
		}
	})
}

func TestABacklogThatNeverEmptiesTakesNoMoreRoom(t *testing.T) {
	t.Parallel()
	m := cluster.NewBacklog()
	for range 100 {
		m.Post()
	}
	for range 100_000 {
		m.Post()
		m.Take()
	}
	if room := m.Room(); room > 1000 {
		t.Errorf("100 messages wait in the room for %d", room)
	}
	for i := range 100 {
		if got, want := m.Take(), 100_000+i; got != want {
			t.Fatalf("message %d came as the one after %d others", got, want)
		}
	}
}

func TestRequestFuture(t *testing.T) {
	t.Parallel()
	n := start(t, func(c *cluster.Config) { c.Owns = func(identity string) bool { return identity != "2" } })
	f, err := n.Cluster().RequestFuture("1", kind, whoAreYou{}, pcluster.WithTimeout(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := f.Result(); err != nil || answer.(*self).identity != "1" { //nolint:errcheck,forcetypeassert // a panic says it too
		t.Fatalf("%v, %v", answer, err)
	}
	if _, err := n.Cluster().RequestFuture("2", kind, whoAreYou{}); !errors.Is(err, cluster.ErrNotOwned) {
		t.Fatalf("error %v", err)
	}
}
