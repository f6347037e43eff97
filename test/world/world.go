// Package world runs the inside of a node in a test: a real database, the
// committer, grains and, when asked for, the effects tail; with a journal that
// can be told to fail. It has no gateway and no process of its own. Its data is
// embedded, or in Postgres and Redis when services.Production says so.
//
//   - world.go: World.
//   - store.go: where its data is, and changing that behind its back.
//   - journal.go: the journal that can be told to fail.
package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"

	"kith/actors/cluster"
	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/sqlite"
	"kith/streams/effects"
)

// Options change what a world is made of. The zero Options are fine.
type Options struct {
	Path string // of the database, or of what stands for it; default: a new one in the test's folder
	// Journal wraps the journal that the committer and the grains use.
	Journal func(persistence.Journal) persistence.Journal
	// Lanes wraps the lanes that the committer uses.
	Lanes func(persistence.Lanes) persistence.Lanes
	// Cards wraps the card cache.
	Cards   func(persistence.Cards) persistence.Cards
	Host    func(*usergrain.Config)
	DB      func(*sqlite.Config) // where it is embedded
	Log     io.Writer            // default: discarded
	Effects bool                 // run the effects tail
}

// World is a node without a gateway.
type World struct {
	TB        testing.TB
	Path      string
	DB        Store
	Journal   persistence.Journal // as wrapped
	Cards     persistence.Cards
	Committer *lanes.Committer
	Host      *usergrain.Host
	Node      *cluster.Node
	Client    *usergrain.Client

	stop    []func() error // in reverse order of starting
	cancels []context.CancelFunc
	once    sync.Once
}

// Start starts a world, which ends with the test, or earlier with Stop.
func Start(tb testing.TB, o Options) *World {
	tb.Helper()
	w := &World{TB: tb, Path: o.Path}
	if w.Path == "" {
		w.Path = filepath.Join(tb.TempDir(), "kith.db")
	}
	logger := slog.New(slog.DiscardHandler)
	if o.Log != nil {
		logger = slog.New(slog.NewTextHandler(o.Log, nil))
	}
	tb.Cleanup(w.Stop)
	w.must(w.start(o, logger))
	return w
}

func (w *World) start(o Options, logger *slog.Logger) (err error) {
	ctx := context.WithoutCancel(w.TB.Context()) // parts end in order, not with the test
	if w.DB, err = w.store(ctx, o, logger); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	w.stop = append(w.stop, w.DB.Close)
	w.Journal, w.Cards = w.DB, nil
	if o.Journal != nil {
		w.Journal = o.Journal(w.DB)
	}
	cards, err := w.cache(ctx, logger)
	if err != nil {
		return fmt.Errorf("make the card cache: %w", err)
	}
	w.Cards = cards
	if o.Cards != nil {
		w.Cards = o.Cards(cards)
	}

	const lease = 10 * time.Second
	node, err := w.DB.Acquire(ctx, "test", lease)
	if err != nil {
		return fmt.Errorf("acquire the lanes: %w", err)
	}
	var owner persistence.Lanes = w.DB
	if o.Lanes != nil {
		owner = o.Lanes(w.DB)
	}
	w.Committer, err = lanes.New(ctx, lanes.Config{Journal: w.Journal, Lanes: owner, Cards: w.Cards, Lease: lease, Logger: logger}, node)
	if err != nil {
		return fmt.Errorf("make the committer: %w", err)
	}
	w.run(ctx, w.Committer.Run)
	w.run(ctx, w.Committer.KeepLease)

	cfg := usergrain.Config{Journal: w.Journal, Committer: w.Committer, Logger: logger}
	if o.Host != nil {
		o.Host(&cfg)
	}
	if w.Host, err = usergrain.NewHost(cfg); err != nil {
		return fmt.Errorf("make the host: %w", err)
	}
	w.Node, err = cluster.Start(ctx, cluster.Config{Logger: logger, Kinds: []*pcluster.Kind{usergrain.NewKind()}, RequestTimeout: time.Minute})
	if err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	w.Host.Attach(w.Node.System(), w.Node)
	w.run(ctx, w.Host.Run)
	w.stop = append(w.stop, func() error { return w.Node.Stop(ctx) })
	w.Client, err = usergrain.NewClient(usergrain.ClientConfig{Cluster: w.Node.Cluster(), Host: w.Host, Directory: w.DB, Logger: logger})
	if err != nil {
		return fmt.Errorf("make the client: %w", err)
	}
	w.run(ctx, w.Client.Run)
	if o.Effects {
		tail, err := effects.New(effects.Config{
			Committer: w.Committer, Journal: w.Journal, Lanes: w.DB, Directory: w.DB, Cards: w.Cards, Grains: w.Client, Logger: logger,
		})
		if err != nil {
			return fmt.Errorf("make the effects tail: %w", err)
		}
		w.run(ctx, tail.Run)
	}
	return nil
}

// run runs f until Stop comes to it.
func (w *World) run(ctx context.Context, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	w.cancels = append(w.cancels, cancel)
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	w.stop = append(w.stop, func() error {
		cancel()
		return <-ended
	})
}

// Stop stops the world in order. A part that ended because it was fenced has
// done what it should.
func (w *World) Stop() {
	w.once.Do(func() {
		for _, stop := range slices.Backward(w.stop) {
			if err := stop(); err != nil && !errors.Is(err, persistence.ErrFenced) {
				w.TB.Errorf("stop: %v", err)
			}
		}
	})
}

// Crash ends all parts at once, whatever they are doing, and then the rest.
func (w *World) Crash() {
	for _, cancel := range w.cancels {
		cancel()
	}
	w.Stop()
}

func (w *World) must(err error) {
	w.TB.Helper()
	if err != nil {
		w.TB.Fatal(err)
	}
}

// Register makes a user and returns the account.
func (w *World) Register(username string) user.Account {
	w.TB.Helper()
	r, err := w.Client.Register(w.TB.Context(), usergrain.Registration{Username: username, Name: username})
	w.must(err)
	return r.Account
}

// Do sends a command that must succeed.
func (w *World) Do(id user.ID, c user.Command) usergrain.Result {
	w.TB.Helper()
	r, err := w.Client.Do(w.TB.Context(), id, c)
	w.must(err)
	return r
}

// Account returns the row of a user, nil when there is none.
func (w *World) Account(id user.ID) *user.Account {
	w.TB.Helper()
	accounts, err := w.DB.Accounts(w.TB.Context(), []user.ID{id})
	w.must(err)
	return accounts[0]
}

// Verify checks all that is stored.
func (w *World) Verify() usergrain.Report {
	w.TB.Helper()
	report, err := usergrain.Verify(w.TB.Context(), w.DB, nil)
	w.must(err)
	return report
}

// Settle waits until nothing is on its way between users, and checks all that is
// stored.
func (w *World) Settle() usergrain.Report {
	w.TB.Helper()
	w.Eventually("the tails to drain", w.settled)
	report := w.Verify()
	if report.Differences > 0 || report.Behind+report.Parked+report.Severings > 0 {
		w.TB.Fatalf("the stored data differs: %+v", report)
	}
	return report
}

// settled reports whether nothing is on its way between users.
func (w *World) settled() bool {
	w.TB.Helper()
	ctx := w.TB.Context()
	marks, err := w.DB.Marks(ctx, persistence.TailEffects)
	w.must(err)
	heads, err := w.DB.Heads(ctx)
	w.must(err)
	parked, err := w.DB.ParkedTargets(ctx)
	w.must(err)
	severings, err := w.DB.Severings(ctx)
	w.must(err)
	return marks == heads && len(parked) == 0 && len(severings) == 0
}

// Eventually waits until the condition holds.
func (w *World) Eventually(what string, holds func() bool) {
	w.TB.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		w.pause(what, deadline)
	}
}

// patience is how long a test waits for what must happen.
const patience = time.Minute

// pause lets others work. What is waited for has no signal: it is read from the
// database.
func (w *World) pause(what string, deadline time.Time) {
	w.TB.Helper()
	if time.Now().After(deadline) {
		w.TB.Fatalf("waited in vain for %s", what)
	}
	<-time.After(2 * time.Millisecond)
}
