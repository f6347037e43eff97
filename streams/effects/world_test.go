package effects_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/lanes/lanestest"
	"kith/streams/effects"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errCrashed = errors.New("the process is no more")
	errAway    = errors.New("the connection was lost")
)

// world is a whole node in memory: real decisions, a real committer and the tail,
// on a store and grains that fail on demand. A crash throws all away but the
// store.
type world struct {
	tb      testing.TB
	store   *lanestest.Store
	cards   *lanestest.Cards
	crashed atomic.Bool
	cfg     func(*effects.Config) // nil: as it is

	mu       sync.Mutex
	random   *rand.Rand
	trouble  float64 // how likely a call fails
	broken   map[user.ID]error
	before   func(ctx context.Context, id user.ID, what any) error // nil: nothing; a call fails with its error
	grains   map[user.ID]*grain
	settled  map[place]bool      // the effect may be forgotten: delivered, parked, refused by who is gone
	passed   map[place]bool      // delivered, or refused
	severed  map[[2]user.ID]bool // the first was told that the second is gone
	faults   []error
	calls    int
	largest  int
	cursors  []uint64 // of the severings, as stored
	inCalls  int
	maxCalls int

	committer *lanes.Committer
	tail      *effects.Tail
	stop      func()
}

type place struct {
	lane   uint8
	pos    uint64
	target user.ID // 0 for a deletion
}

func newWorld(tb testing.TB, seed uint64) *world {
	tb.Helper()
	w := &world{
		tb: tb, cards: &lanestest.Cards{}, random: rand.New(rand.NewPCG(seed, 1)),
		broken: make(map[user.ID]error), grains: make(map[user.ID]*grain), settled: make(map[place]bool), passed: make(map[place]bool),
		severed: make(map[[2]user.ID]bool),
	}
	w.store = lanestest.NewStore(w.around)
	return w
}

func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Errorf(format, args...))
}

// chance reports whether something goes wrong now.
func (w *world) chance(part float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.Float64() < w.trouble*part
}

// around is put around every call to the database.
func (w *world) around(_ context.Context, op string, arg any, do func() error) error {
	if w.crashed.Load() {
		return errCrashed
	}
	if b, ok := arg.(persistence.Batch); ok {
		w.checkMarks(b.Marks)
	}
	switch {
	case op == lanestest.OpAcquire, op == lanestest.OpHeads:
	case op == lanestest.OpCommit && w.chance(0.1):
		return fmt.Errorf("%w: refused", persistence.ErrNotCommitted)
	case w.chance(0.1):
		return errAway
	case w.chance(0.1):
		if err := do(); err != nil {
			return err
		}
		w.stored(arg)
		return errAway
	}
	err := do()
	if err == nil {
		w.stored(arg)
	}
	return err
}

// stored notes what the database now has.
func (w *world) stored(arg any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch arg := arg.(type) {
	case []persistence.Parked:
		for _, p := range arg {
			w.settled[place{p.Lane, p.Pos, p.Target}] = true
			w.settled[place{p.Lane, p.Pos, 0}] = true // unreadable
		}
	case []persistence.Severing:
		for _, s := range arg {
			w.settled[place{persistence.LaneOf(s.User), s.Pos, 0}] = true
			w.cursors = append(w.cursors, s.Cursor)
		}
	}
}

// checkMarks checks marks that are about to be saved: no effect up to them may
// still be owed.
func (w *world) checkMarks(marks []persistence.Mark) {
	for _, m := range marks {
		for _, r := range w.store.LaneUpTo(m.Lane, m.Pos) {
			p := place{r.Lane, r.Pos, targetOf(&r)}
			if r.Kind != persistence.KindDeleted && p.target == 0 {
				continue
			}
			w.mu.Lock()
			ok := w.settled[p] ||
				w.passed[p] && (w.severed[[2]user.ID{r.User, p.target}] || w.settled[place{r.Lane, r.Pos, r.User}])
			w.mu.Unlock()
			if !ok {
				w.fault("the mark of lane %d moves to %d past position %d, whose effect is owed to user %d", m.Lane, m.Pos, r.Pos, p.target)
			}
		}
	}
}

func targetOf(r *persistence.Record) user.ID {
	if r.Kind != persistence.KindFollowed && r.Kind != persistence.KindUnfollowed {
		return 0
	}
	e, err := usergrain.DecodeRecord(r)
	if err != nil {
		return 0
	}
	if followed, ok := e.(user.Followed); ok {
		return followed.Target
	}
	if unfollowed, ok := e.(user.Unfollowed); ok {
		return unfollowed.Target
	}
	return 0
}

// start starts a process.
func (w *world) start() *world {
	w.tb.Helper()
	w.crashed.Store(false)
	w.mu.Lock()
	clear(w.grains)
	w.mu.Unlock()
	node, err := w.store.Acquire(context.Background(), "n1", time.Hour)
	if err != nil {
		w.tb.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	w.committer, err = lanes.New(context.Background(), lanes.Config{Journal: w.store, Lanes: w.store, Cards: w.cards, Logger: log}, node)
	if err != nil {
		w.tb.Fatal(err)
	}
	cfg := effects.Config{
		Journal: w.store, Lanes: w.store, Directory: w.store, Cards: w.cards, Committer: w.committer, Grains: w, Logger: log,
		Registerer: prometheus.NewRegistry(),
	}
	if w.cfg != nil {
		w.cfg(&cfg)
	}
	if w.tail, err = effects.New(cfg); err != nil {
		w.tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	tailCtx, stopTail := context.WithCancel(ctx)
	tailDone := make(chan struct{})
	run := func(ctx context.Context, f func(context.Context) error) {
		if err := f(ctx); err != nil {
			w.fault("run: %w", err)
		}
	}
	keep, lease := context.WithCancel(ctx)
	running.Go(func() { run(ctx, w.committer.Run) })
	running.Go(func() { run(keep, w.committer.KeepLease) })
	go func() {
		defer close(tailDone)
		run(tailCtx, w.tail.Run)
	}()
	w.stop = sync.OnceFunc(func() {
		lease()
		stopTail()
		<-tailDone
		cancel()
		running.Wait()
	})
	w.tb.Cleanup(w.stop)
	return w
}

// crash ends the process with nothing more written, marks included.
func (w *world) crash() {
	w.crashed.Store(true)
	w.stop()
}

// grain is a user: real decisions, one turn at a time.
type grain struct {
	turn  chan struct{} // holds one while a turn is made
	state *user.State   // nil: not loaded
}

func (w *world) grain(id user.ID) *grain {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.grains[id]
	if g == nil {
		g = &grain{turn: make(chan struct{}, 1)}
		w.grains[id] = g
	}
	return g
}

// Deliver implements effects.Grains.
func (w *world) Deliver(ctx context.Context, target user.ID, list []usergrain.Effect) error {
	commands := make([]user.Command, len(list))
	for i, e := range list {
		at := time.Unix(2, 0)
		if e.Removed {
			commands[i] = user.RemoveFollower{Source: e.Source, Lane: e.Lane, Pos: e.Pos, At: at}
		} else {
			commands[i] = user.AddFollower{Source: e.Source, Lane: e.Lane, Pos: e.Pos, At: at}
		}
	}
	w.checkOrder(target, list)
	err := w.tell(ctx, target, list, commands...)
	if err == nil || errors.Is(err, user.ErrDeleted) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls++
		w.largest = max(w.largest, len(list))
		for _, e := range list {
			w.passed[place{e.Lane, e.Pos, target}] = true
			if err == nil || e.Removed { // else the source must be told
				w.settled[place{e.Lane, e.Pos, target}] = true
			}
		}
	}
	return err
}

// checkOrder checks that nothing of the same lane for the same target is passed
// over.
func (w *world) checkOrder(target user.ID, list []usergrain.Effect) {
	if len(list) > 512 {
		w.fault("a call of %d effects", len(list))
	}
	passed := make(map[place]bool)
	for _, e := range list {
		for _, r := range w.store.LaneUpTo(e.Lane, e.Pos-1) {
			p := place{r.Lane, r.Pos, targetOf(&r)}
			w.mu.Lock()
			before := w.passed[p]
			w.mu.Unlock()
			if p.target == target && !before && !passed[p] {
				w.fault("user %d gets position %d of lane %d before position %d", target, e.Pos, e.Lane, r.Pos)
			}
		}
		passed[place{e.Lane, e.Pos, target}] = true
	}
}

// Do implements effects.Grains.
func (w *world) Do(ctx context.Context, id user.ID, c user.Command) (usergrain.Result, error) {
	err := w.tell(ctx, id, c, c)
	if s, ok := c.(user.Sever); ok && (err == nil || isRefusal(err)) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.severed[[2]user.ID{id, s.Gone}] = true
	}
	return usergrain.Result{}, err
}

// tell calls a grain, which may fail before and after.
func (w *world) tell(ctx context.Context, id user.ID, what any, commands ...user.Command) error {
	w.mu.Lock()
	broken, before := w.broken[id], w.before
	w.inCalls++
	w.maxCalls = max(w.maxCalls, w.inCalls)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.inCalls--
	}()
	if broken != nil {
		return broken
	}
	if before != nil {
		if err := before(ctx, id, what); err != nil {
			return err
		}
	}
	if w.chance(0.3) {
		return usergrain.ErrBusy
	}
	err := w.decide(ctx, id, commands)
	if err == nil && w.chance(0.3) {
		return usergrain.ErrOutcomeUnknown
	}
	return err
}

// decide is one turn of a grain.
func (w *world) decide(ctx context.Context, id user.ID, commands []user.Command) error {
	g := w.grain(id)
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	if g.state == nil {
		if err := w.load(ctx, id, g); err != nil {
			return fmt.Errorf("%w: %w", usergrain.ErrUnavailable, err)
		}
	}
	if w.committer.Reserve() != nil {
		return usergrain.ErrUnavailable
	}
	before := user.State{Following: g.state.Following.Clone(), Followers: g.state.Followers.Clone()}
	turn := &persistence.Turn{User: id, Version: g.state.Version}
	var refusal error
	for _, c := range commands {
		events, err := user.Decide(g.state, c)
		if err != nil {
			refusal = err
		}
		for _, e := range events {
			_, turn.Deleted = e.(user.Deleted)
			g.state.Apply(e)
			r := persistence.Record{User: id, Seq: g.state.Version, At: e.RecordedAt()}
			if r.Kind, r.EventID, r.Payload, err = usergrain.EncodeEvent(e); err != nil {
				panic(err)
			}
			turn.Records = append(turn.Records, r)
		}
	}
	if len(turn.Records) == 0 {
		w.committer.Unreserve()
		return refusal
	}
	turn.Account = g.state.Account()
	if !turn.Deleted {
		turn.Following = difference(&before.Following, &g.state.Following)
		turn.Followers = difference(&before.Followers, &g.state.Followers)
	}
	type outcome struct {
		status persistence.TurnStatus
		err    error
	}
	done := make(chan outcome, 1)
	w.committer.Submit(turn, func(o persistence.Outcome, err error) { done <- outcome{o.Status, err} })
	o := <-done
	if o.err == nil && o.status == persistence.Committed {
		return refusal
	}
	g.state = nil
	switch {
	case errors.Is(o.err, lanes.ErrUnknown):
		return usergrain.ErrOutcomeUnknown
	case o.err == nil, errors.Is(o.err, lanes.ErrMoved):
		return usergrain.ErrBusy
	}
	return usergrain.ErrUnavailable
}

func (w *world) load(ctx context.Context, id user.ID, g *grain) error {
	h, err := w.store.Load(ctx, []user.ID{id})
	if err != nil {
		return err
	}
	state := &user.State{ID: id, Deleted: h[0].Deleted, Version: h[0].Version}
	if !state.Deleted {
		state.Version = 0
		for i := range h[0].Records {
			e, err := usergrain.DecodeRecord(&h[0].Records[i])
			if err != nil {
				return err
			}
			state.Apply(e)
		}
	}
	g.state = state
	return nil
}

func difference(before, after *user.Set[user.ID]) []persistence.Edge {
	var edges []persistence.Edge
	for id := range before.All() {
		if !after.Contains(id) {
			edges = append(edges, persistence.Edge{ID: uint64(id), Removed: true})
		}
	}
	for id := range after.All() {
		if !before.Contains(id) {
			edges = append(edges, persistence.Edge{ID: uint64(id)})
		}
	}
	return edges
}

// must makes a command until it is through; a refusal is an answer, too.
func (w *world) must(id user.ID, c user.Command) {
	for {
		err := w.decide(context.Background(), id, []user.Command{c})
		if err == nil || w.crashed.Load() || isRefusal(err) {
			return
		}
		pause(50 * time.Millisecond)
	}
}

func isRefusal(err error) bool {
	var r user.Refusal
	return errors.As(err, &r)
}

func (w *world) register(ids ...user.ID) *world {
	for _, id := range ids {
		w.must(id, user.Register{ID: id, UID: user.UID{1, byte(id), byte(id >> 8)}, Username: fmt.Sprint("user", id), At: time.Unix(1, 0)})
	}
	return w
}

func (w *world) follow(id, target user.ID) {
	w.must(id, user.Follow{Target: target, At: time.Unix(1, 0)})
}

func (w *world) unfollow(id, target user.ID) {
	w.must(id, user.Unfollow{Target: target, At: time.Unix(1, 0)})
}

func (w *world) remove(id user.ID) { w.must(id, user.Delete{At: time.Unix(1, 0)}) }

// setBroken makes calls to a user fail, or work again with nil.
func (w *world) setBroken(id user.ID, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		delete(w.broken, id)
		return
	}
	w.broken[id] = err
}

func (w *world) setTrouble(trouble float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = trouble
	if trouble == 0 {
		clear(w.broken)
	}
}

func (w *world) setBefore(f func(ctx context.Context, id user.ID, what any) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = f
}

func (w *world) numbers() (calls, largest, maxCalls int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls, w.largest, w.maxCalls
}

func (w *world) parked() map[user.ID]int {
	w.tb.Helper()
	counts, err := w.store.ParkedTargets(context.Background())
	if err != nil {
		w.tb.Fatal(err)
	}
	return counts
}

// quiet waits until nothing is under way, and saved.
func (w *world) quiet() error {
	ctx := context.Background()
	for range 24 * 60 {
		pause(time.Second)
		severings, err := w.store.Severings(ctx)
		if err != nil {
			return err
		}
		parked := 0
		for target, n := range w.parked() {
			if target != 0 {
				parked += n
			}
		}
		if w.tail.Lag() == 0 && parked == 0 && len(severings) == 0 {
			pause(time.Second) // the marks
			return nil
		}
	}
	return fmt.Errorf("not quiet after a long time: lag %d, parked %v", w.tail.Lag(), w.parked())
}

// check compares both sides of every edge, once it is quiet.
func (w *world) check(ids []user.ID) error {
	w.mu.Lock()
	errs := append(slices.Clone(w.faults), w.store.Faults())
	w.mu.Unlock()
	for _, id := range ids {
		following := w.store.Edges(persistence.EdgeFollowing, id)
		followers := w.store.Edges(persistence.EdgeFollowers, id)
		if w.store.Deleted(id) {
			if len(following)+len(followers) > 0 || !w.store.Erased(id) || !w.store.Released(id) {
				errs = append(errs, fmt.Errorf("user %d is deleted and not all is gone", id))
			}
			continue
		}
		for _, other := range append(slices.Clone(following), followers...) {
			if w.store.Deleted(other) {
				errs = append(errs, fmt.Errorf("user %d has an edge to %d, who is deleted", id, other))
			}
		}
		for _, other := range following {
			if !slices.Contains(w.store.Edges(persistence.EdgeFollowers, other), id) {
				errs = append(errs, fmt.Errorf("%d follows %d, who does not know", id, other))
			}
		}
		for _, other := range followers {
			if !slices.Contains(w.store.Edges(persistence.EdgeFollowing, other), id) {
				errs = append(errs, fmt.Errorf("%d is followed by %d, who does not know", id, other))
			}
		}
		if want := w.wished(id); !slices.Equal(want, following) {
			errs = append(errs, fmt.Errorf("user %d follows %v, and wished %v", id, following, want))
		}
	}
	for lane := range uint8(persistence.LaneCount) {
		if mark, head := w.store.Mark(persistence.TailEffects, lane), w.store.Head(lane); mark != head {
			errs = append(errs, fmt.Errorf("the mark of lane %d is %d, its head %d", lane, mark, head))
		}
	}
	return errors.Join(errs...)
}

// wished returns whom a user follows by its own decisions alone, without those
// who are deleted.
func (w *world) wished(id user.ID) []user.ID {
	wished := []user.ID{}
	records, err := w.store.Records(context.Background(), id, 0, 1<<30)
	if err != nil {
		w.tb.Fatal(err)
	}
	for i := range records {
		switch r := &records[i]; r.Kind {
		case persistence.KindFollowed:
			wished = append(wished, targetOf(r))
		case persistence.KindUnfollowed:
			target := targetOf(r)
			wished = slices.DeleteFunc(wished, func(id user.ID) bool { return id == target })
		}
	}
	slices.Sort(wished)
	return slices.DeleteFunc(slices.Compact(wished), w.store.Deleted)
}

func (w *world) wantQuiet(ids ...user.ID) {
	w.tb.Helper()
	if err := w.quiet(); err != nil {
		w.tb.Error(err)
	}
	if err := w.check(ids); err != nil {
		w.tb.Error(err)
	}
}

func users(n user.ID) []user.ID {
	var ids []user.ID
	for id := user.ID(1); id <= n; id++ {
		ids = append(ids, id)
	}
	return ids
}

// pause waits; time is that of a synctest bubble.
func pause(d time.Duration) { <-time.After(d) }
