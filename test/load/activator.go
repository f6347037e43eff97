package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"

	"kith/actors/cluster"
	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence/lanes"
	"kith/persistence/memory"
)

// activatorJob is what the process that activates is told.
type activatorJob struct {
	At       place
	Postgres int     // the process of its server, whose CPU counts too; 0: there is none
	First    user.ID // of Users consecutive ids
	Users    int
	Profile  string // where profiles go, without their ending; "" for none
}

// databaseCPU returns what PostgreSQL has used, if there is one.
func (j *activatorJob) databaseCPU() (time.Duration, error) {
	if j.Postgres == 0 {
		return 0, nil
	}
	return treeCPU(j.Postgres)
}

// activated is what it found.
type activated struct {
	Users         int
	Elapsed       time.Duration
	CPU, Database time.Duration // of the process, and of PostgreSQL
	Before, After memoryUse
}

type memoryUse struct{ RSS, Heap int64 }

func (a *activated) rate() float64 { return float64(a.Users) / a.Elapsed.Seconds() }
func (a *activated) each() float64 {
	return float64((a.CPU + a.Database).Microseconds()) / float64(a.Users)
}
func (a *activated) rss() float64  { return float64(a.After.RSS-a.Before.RSS) / float64(a.Users) }
func (a *activated) heap() float64 { return float64(a.After.Heap-a.Before.Heap) / float64(a.Users) }

// costs says what an activation costs.
func (a *activated) costs() string {
	if a.Database == 0 {
		return fmt.Sprintf("%.0f µs", a.each())
	}
	of := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(a.Users) }
	return fmt.Sprintf("%.0f µs: process %.0f + PostgreSQL %.0f", a.each(), of(a.CPU), of(a.Database))
}

// String implements fmt.Stringer.
func (a *activated) String() string {
	return fmt.Sprintf("%.0f/s, CPU %s; an idle user: RSS %.2f KB, heap %.2f KB", a.rate(), a.costs(), a.rss()/1024, a.heap()/1024)
}

const (
	// activationsInFlight is how many activations are asked for at once.
	activationsInFlight = 2048
	activatorCache      = 4 << 20
)

// activate is the activator's process: grains of a whole node, without a gateway.
// Everything but the users is there before their memory is counted: a tenth of
// them is activated first, and more histories are read than the page caches hold,
// which are small here, since what they take is no user's.
func activate(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	var j activatorJob
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	db, err := j.At.open(ctx, activatorCache)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	g, err := startGrains(ctx, db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.stop(ctx)) }()

	warm := j.Users / 10
	if err := readHistories(ctx, db, j); err != nil {
		return err
	}
	if err := g.activateAll(ctx, j.First, warm); err != nil {
		return err
	}
	a := activated{Users: j.Users - warm}
	if a.Before, err = used(); err != nil {
		return err
	}
	stopProfile, err := profileSelf(j.Profile)
	if err != nil {
		return err
	}
	cpu, start := ownCPU(), time.Now()
	database, err := j.databaseCPU()
	if err != nil {
		return err
	}
	if err := g.activateAll(ctx, j.First+user.ID(warm), a.Users); err != nil { //nolint:gosec // not negative
		return err
	}
	a.Elapsed, a.CPU = time.Since(start), ownCPU()-cpu
	if a.Database, err = j.databaseCPU(); err != nil {
		return err
	}
	a.Database -= database
	if err := stopProfile(); err != nil {
		return err
	}
	if a.After, err = used(); err != nil {
		return err
	}
	if err := writeHeap(j.Profile); err != nil {
		return err
	}
	if n := g.host.Activations(); n != j.Users {
		return fmt.Errorf("%d of %d users are active", n, j.Users)
	}
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return fmt.Errorf("say what was found: %w", err)
	}
	return nil
}

// grains is a node of user grains.
type grains struct {
	host   *usergrain.Host
	node   *cluster.Node
	client *usergrain.Client

	cancel  context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	errs    []error
}

// startGrains wires a node as kith serve does.
func startGrains(ctx context.Context, db store) (*grains, error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	const lease = 10 * time.Second
	owner, err := db.Acquire(ctx, fillNode, lease)
	if err != nil {
		return nil, fmt.Errorf("take the lanes: %w", err)
	}
	cards, err := memory.NewCards(memory.Config{})
	if err != nil {
		return nil, fmt.Errorf("make the card cache: %w", err)
	}
	committer, err := lanes.New(ctx, lanes.Config{Journal: db, Lanes: db, Cards: cards, Lease: lease, Logger: logger}, owner)
	if err != nil {
		return nil, fmt.Errorf("make the committer: %w", err)
	}
	host, err := usergrain.NewHost(usergrain.Config{Journal: db, Committer: committer, Logger: logger, IdleAfter: time.Hour})
	if err != nil {
		return nil, fmt.Errorf("make the host: %w", err)
	}
	node, err := cluster.Start(ctx, cluster.Config{Logger: logger, Kinds: []*pcluster.Kind{usergrain.NewKind()}, RequestTimeout: time.Minute})
	if err != nil {
		return nil, fmt.Errorf("start the node: %w", err)
	}
	host.Attach(node.System(), node)
	client, err := usergrain.NewClient(usergrain.ClientConfig{Cluster: node.Cluster(), Host: host, Directory: db, Logger: logger})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the client: %w", err), node.Stop(ctx))
	}
	g := &grains{host: host, node: node, client: client}
	ctx, g.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, run := range []func(context.Context) error{committer.Run, committer.KeepLease, host.Run, client.Run} {
		g.running.Go(func() {
			if err := run(ctx); err != nil {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.errs = append(g.errs, err)
			}
		})
	}
	return g, nil
}

func (g *grains) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := g.node.Stop(ctx)
	g.cancel()
	g.running.Wait()
	return errors.Join(append(g.errs, err)...)
}

// activateAll activates n users from first on.
func (g *grains) activateAll(ctx context.Context, first user.ID, n int) error {
	return each(ctx, activationsInFlight, n, func(i int) error {
		id := first + user.ID(i) //nolint:gosec // an index
		for attempt := 1; ; attempt++ {
			err := g.client.Activate(ctx, id)
			// Busy is an answer of a node that others fill up as well.
			if err == nil || !errors.Is(err, usergrain.ErrBusy) || attempt == 100 {
				return err
			}
		}
	})
}

// readHistories loads histories of random users and forgets them.
func readHistories(ctx context.Context, db store, j activatorJob) error {
	const batch, most = 512, 40
	return each(ctx, runtime.NumCPU(), min(j.Users/batch+1, most), func(i int) error {
		rng := mathrand.New(mathrand.NewPCG(3, uint64(i))) //nolint:gosec // must be the same every time
		ids := make([]user.ID, batch)
		for k := range ids {
			ids[k] = j.First + user.ID(rng.IntN(j.Users)) //nolint:gosec // not negative
		}
		_, err := db.Load(ctx, ids)
		return err //nolint:wrapcheck // says it all
	})
}

// used returns what the process holds once it has given back what it can.
func used() (memoryUse, error) {
	runtime.GC() // finalizers of the first let the second free more
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return memoryUse{}, fmt.Errorf("memory of the process: %w", err)
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return memoryUse{}, fmt.Errorf("memory of the process: %q has too few fields", b)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return memoryUse{}, fmt.Errorf("memory of the process: %w", err)
	}
	return memoryUse{RSS: pages * int64(os.Getpagesize()), Heap: int64(stats.HeapInuse)}, nil //nolint:gosec // fits
}

// ownCPU returns the user and system time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // it cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
