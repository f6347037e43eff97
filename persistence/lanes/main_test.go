package lanes_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/lanes/lanestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const nodeID = "n1"

// bench is a committer on a store in memory, with a test around every call.
type bench struct {
	t         *testing.T
	store     *lanestest.Store
	cards     *lanestest.Cards
	committer *lanes.Committer
	registry  *prometheus.Registry
	cancel    context.CancelFunc
	ended     chan struct{}
	err       error // of Run, once ended is closed
}

// newBench makes a committer that does not run yet.
func newBench(t *testing.T, around lanestest.Around) *bench {
	t.Helper()
	b := &bench{t: t, store: lanestest.NewStore(around), cards: &lanestest.Cards{}, registry: prometheus.NewRegistry(), ended: make(chan struct{})}
	node, err := b.store.Acquire(t.Context(), nodeID, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	b.committer, err = lanes.New(t.Context(), lanes.Config{
		Journal: b.store, Lanes: b.store, Cards: b.cards, Lease: 10 * time.Second, Logger: slog.New(slog.DiscardHandler), Registerer: b.registry,
	}, node)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run starts the committer; it is stopped with the test.
func (b *bench) run() *bench {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() {
		defer close(b.ended)
		b.err = b.committer.Run(ctx)
	}()
	b.t.Cleanup(b.stop)
	return b
}

func (b *bench) stop() {
	b.cancel()
	<-b.ended
}

// answer is what a turn was answered.
type answer struct {
	status persistence.TurnStatus
	err    error
}

// submit submits a turn, for which it takes a place, and returns where the answer
// will be.
func (b *bench) submit(turn *persistence.Turn) <-chan answer {
	b.t.Helper()
	if err := b.committer.Reserve(); err != nil {
		b.t.Fatalf("reserve: %v", err)
	}
	return b.submitReserved(turn)
}

func (b *bench) submitReserved(turn *persistence.Turn) <-chan answer {
	answers := make(chan answer, 2) // a second answer would be a fault, not a block
	b.committer.Submit(turn, func(o persistence.Outcome, err error) { answers <- answer{o.Status, err} })
	return answers
}

// want waits for an answer and compares it.
func (b *bench) want(answers <-chan answer, status persistence.TurnStatus, err error) {
	b.t.Helper()
	got := <-answers
	if got.status != status || got.err != err { //nolint:errorlint // the committer's own sentinels, as they are
		b.t.Fatalf("answer is %v, %v; want %v, %v", got.status, got.err, status, err)
	}
}

func (b *bench) commit(id user.ID, version uint64, n int) {
	b.t.Helper()
	b.want(b.submit(lanestest.NewTurn(id, version, n)), persistence.Committed, nil)
}

// gauge returns the value of a metric without labels.
func (b *bench) gauge(name string) float64 {
	b.t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	b.t.Fatalf("no metric %s", name)
	return 0
}

// script answers the calls of one operation one after another, and makes all
// others as they are. It notes every batch.
type script struct {
	mu      sync.Mutex
	steps   map[string][]lanestest.Around
	batches []persistence.Batch
}

func (s *script) on(op string, steps ...lanestest.Around) *script {
	if s.steps == nil {
		s.steps = make(map[string][]lanestest.Around)
	}
	s.steps[op] = append(s.steps[op], steps...)
	return s
}

func (s *script) around(ctx context.Context, op string, arg any, do func() error) error {
	s.mu.Lock()
	if b, ok := arg.(persistence.Batch); ok {
		s.batches = append(s.batches, b)
	}
	var step lanestest.Around
	if steps := s.steps[op]; len(steps) > 0 {
		step, s.steps[op] = steps[0], steps[1:]
	}
	s.mu.Unlock()
	if step == nil {
		return do()
	}
	return step(ctx, op, arg, do)
}

// turns returns the batches that had turns.
func (s *script) turns() [][]*persistence.Turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all [][]*persistence.Turn
	for _, b := range s.batches {
		if len(b.Turns) > 0 {
			all = append(all, b.Turns)
		}
	}
	return all
}

// Steps of a script.

// normal makes the call.
func normal(_ context.Context, _ string, _ any, do func() error) error { return do() }

// refuse fails before the call, certainly.
func refuse(context.Context, string, any, func() error) error { return errRefusal }

// away fails before the call, without saying so.
func away(context.Context, string, any, func() error) error { return errAway }

// lose makes the call and loses the answer.
func lose(_ context.Context, _ string, _ any, do func() error) error {
	if err := do(); err != nil {
		return err
	}
	return errAway
}

// hold makes the call, or what step makes of it, when it is let.
func hold(entered chan<- struct{}, leave <-chan struct{}, step lanestest.Around) lanestest.Around {
	return func(ctx context.Context, op string, arg any, do func() error) error {
		entered <- struct{}{}
		<-leave
		return step(ctx, op, arg, do)
	}
}
