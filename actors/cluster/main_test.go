package cluster_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"go.uber.org/goleak"

	"kith/actors/cluster"
)

// Nothing is ignored: a node that was stopped leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the tests say to their grain. Each is answered as it says.
type (
	whoAreYou struct{}                  // a *self
	count     struct{ n *atomic.Int64 } // adds one, then answers a *self
	silence   struct{ n *atomic.Int64 } // adds one, no answer
	hold      struct{ entered, leave chan struct{} }
	fail      struct{ entered, leave chan struct{} } // panics when allowed to
	stopSelf  struct{}                               // stops behind its answer
	failLater struct{}                               // panics when it stops
	answerTo  struct{ later chan<- func(any) }       // hands out a function that answers
)

type self struct {
	pid      *actor.PID
	identity string
}

// grain is the actor of the tests.
type grain struct {
	stopped   func(identity string)
	identity  string
	failLater bool
}

func (g *grain) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *pcluster.ClusterInit:
		g.identity = m.Identity.GetIdentity()
	case *actor.Stopped:
		if g.failLater {
			panic("on stopping")
		}
		if g.stopped != nil {
			g.stopped(g.identity)
		}
	case whoAreYou:
		ctx.Respond(&self{ctx.Self(), g.identity})
	case count:
		m.n.Add(1)
		ctx.Respond(&self{ctx.Self(), g.identity})
	case silence:
		m.n.Add(1)
	case hold:
		m.entered <- struct{}{}
		<-m.leave
		ctx.Respond(&self{ctx.Self(), g.identity})
	case fail:
		m.entered <- struct{}{}
		<-m.leave
		panic("on purpose")
	case stopSelf:
		ctx.Stop(ctx.Self())
		ctx.Respond(&self{ctx.Self(), g.identity})
	case failLater:
		g.failLater = true
		ctx.Respond(&self{ctx.Self(), g.identity})
	case answerTo:
		sender, system := ctx.Sender(), ctx.ActorSystem()
		m.later <- func(answer any) { system.Root.Send(sender, answer) }
	}
}

const kind = "Test"

func kindOf(stopped func(identity string)) *pcluster.Kind {
	return pcluster.NewKind(kind, actor.PropsFromProducer(func() actor.Actor { return &grain{stopped: stopped} }))
}

// start starts a node that is stopped with the test.
func start(tb testing.TB, change func(*cluster.Config)) *cluster.Node {
	tb.Helper()
	cfg := cluster.Config{Kinds: []*pcluster.Kind{kindOf(nil)}}
	if change != nil {
		change(&cfg)
	}
	n, err := cluster.Start(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = n.Stop(context.Background()) })
	return n
}

// ask sends a request and wants a *self.
func ask(tb testing.TB, n *cluster.Node, identity string, message any) *self {
	tb.Helper()
	answer, err := n.Cluster().Request(identity, kind, message)
	if err != nil {
		tb.Fatalf("request to %s: %v", identity, err)
	}
	s, ok := answer.(*self)
	if !ok {
		tb.Fatalf("request to %s: answer is %T", identity, answer)
	}
	return s
}
