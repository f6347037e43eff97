package cluster_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"

	"kith/actors/cluster"
)

func TestConcurrentGetsGiveOneActivation(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	for _, identity := range []string{"42", "alice"} {
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			seen = map[*actor.PID]int{}
			gate = make(chan struct{})
		)
		for range 1000 {
			wg.Go(func() {
				<-gate
				pid := n.Cluster().Get(identity, kind)
				mu.Lock()
				defer mu.Unlock()
				seen[pid]++
			})
		}
		close(gate)
		wg.Wait()
		if len(seen) != 1 || seen[nil] != 0 {
			t.Fatalf("%s: %d activations", identity, len(seen))
		}
	}
	if n.Count() != 2 {
		t.Fatalf("count %d", n.Count())
	}
}

func TestIdentitiesStayApart(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	identities := []string{"0", "7", "07", "007", "+7", "-7", "7$1", "a/b", "a$b", "$", "18446744073709551615", "18446744073709551616"}
	seen := map[*actor.PID]string{}
	for _, identity := range identities {
		s := ask(t, n, identity, whoAreYou{})
		if s.identity != identity {
			t.Errorf("grain %q believes to be %q", identity, s.identity)
		}
		pid := n.Lookup(identity, kind)
		if pid == nil || pid.GetId() != s.pid.GetId() {
			t.Errorf("lookup of %q: %v, it is %v", identity, pid, s.pid)
		}
		if other, taken := seen[pid]; taken {
			t.Errorf("%q and %q are one activation", identity, other)
		}
		seen[pid] = identity
	}
	if n.Lookup("8", kind) != nil {
		t.Error("lookup activates")
	}
}

func TestDeregisteredActivationLivesOnBesideTheNext(t *testing.T) {
	t.Parallel()
	ended := make(chan string, 8)
	n := start(t, func(c *cluster.Config) { c.Kinds = []*pcluster.Kind{kindOf(func(id string) { ended <- id })} })
	old := ask(t, n, "1", whoAreYou{}).pid
	if !n.Deregister("1", kind, old) {
		t.Fatal("the activation was not registered")
	}
	if n.Deregister("1", kind, old) {
		t.Fatal("deregistered twice")
	}
	next := ask(t, n, "1", whoAreYou{}).pid
	if next.GetId() == old.GetId() {
		t.Fatal("the deregistered activation was found again")
	}
	if n.Count() != 2 {
		t.Fatalf("count %d while both live", n.Count())
	}
	answer, err := n.System().Root.RequestFuture(old, whoAreYou{}, -1).Result()
	if s, ok := answer.(*self); err != nil || !ok || s.pid.GetId() != old.GetId() {
		t.Fatalf("the old activation does not answer: %v, %v", answer, err)
	}
	n.System().Root.Stop(old)
	<-ended
	if pid := n.Lookup("1", kind); pid == nil || pid.GetId() != next.GetId() {
		t.Fatalf("the end of the old activation took the new one with it: %v", pid)
	}
}

func TestNotOwnedIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	n := start(t, func(c *cluster.Config) {
		c.Owns = func(identity string) bool { return identity != "2" }
		c.RequestTimeout = 1 << 62
	})
	if _, err := n.Cluster().Request("2", kind, whoAreYou{}); !errors.Is(err, cluster.ErrNotOwned) {
		t.Fatalf("error %v", err)
	}
	if pid := n.Cluster().Get("2", kind); pid != nil {
		t.Fatalf("activated %v", pid)
	}
	ask(t, n, "1", whoAreYou{})
	if n.Count() != 1 {
		t.Fatalf("count %d", n.Count())
	}
}

func TestUnknownKindIsRefused(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	for _, c := range [][2]string{{"1", "Other"}, {"", kind}} {
		if _, err := n.Cluster().Request(c[0], c[1], whoAreYou{}); !errors.Is(err, cluster.ErrUnknownKind) {
			t.Errorf("%q: error %v", c, err)
		}
	}
}

func TestActivationsAreRefusedAtTwiceTheCap(t *testing.T) {
	t.Parallel()
	n := start(t, func(c *cluster.Config) { c.MaxActivations = 2 })
	for i := range 4 {
		ask(t, n, strconv.Itoa(i), whoAreYou{})
	}
	if _, err := n.Cluster().Request("9", kind, whoAreYou{}); !errors.Is(err, cluster.ErrFull) {
		t.Fatalf("error %v", err)
	}
	ask(t, n, "3", whoAreYou{}) // those who are here go on
}

func TestEvictStopsOnlyWhatMatches(t *testing.T) {
	t.Parallel()
	var lost atomic.Bool
	even := func(identity string) bool { return (identity[len(identity)-1]-'0')%2 == 0 }
	n := start(t, func(c *cluster.Config) {
		c.Owns = func(identity string) bool { return !lost.Load() || !even(identity) }
	})
	for i := range 3000 { // more than are stopped at a time
		ask(t, n, strconv.Itoa(i), whoAreYou{})
	}
	lost.Store(true)
	if err := n.Evict(t.Context(), even); err != nil {
		t.Fatal(err)
	}
	if n.Count() != 1500 || n.Lookup("1", kind) == nil || n.Lookup("2", kind) != nil {
		t.Fatalf("count %d, odd %v, even %v", n.Count(), n.Lookup("1", kind), n.Lookup("2", kind))
	}
}

func TestStopDrains(t *testing.T) {
	t.Parallel()
	ending, allowed := make(chan string), make(chan struct{})
	n := start(t, func(c *cluster.Config) {
		c.Kinds = []*pcluster.Kind{kindOf(func(id string) { ending <- id; <-allowed })}
	})
	for _, identity := range []string{"1", "2"} {
		ask(t, n, identity, whoAreYou{})
	}
	n.Deregister("2", kind, n.Lookup("2", kind)) // is waited for nevertheless

	stopped := make(chan error, 2)
	for range 2 {
		go func() { stopped <- n.Stop(context.Background()) }()
	}
	<-ending
	<-ending
	if _, err := n.Cluster().Request("3", kind, whoAreYou{}); !errors.Is(err, cluster.ErrStopping) {
		t.Fatalf("a request while it stops: %v", err)
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped before its grains: %v", err)
	default:
	}
	close(allowed)
	for range 2 {
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
	}
	if n.Count() != 0 {
		t.Fatalf("count %d", n.Count())
	}
	if _, err := n.Cluster().Request("1", kind, whoAreYou{}); !errors.Is(err, cluster.ErrStopping) {
		t.Fatalf("a request after the end: %v", err)
	}
}

func TestStopGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ending, allowed := make(chan string), make(chan struct{})
	n := start(t, func(c *cluster.Config) {
		c.Kinds = []*pcluster.Kind{kindOf(func(id string) { ending <- id; <-allowed })}
	})
	ask(t, n, "1", whoAreYou{})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- n.Stop(ctx) }()
	<-ending
	cancel()
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	close(allowed)
}
