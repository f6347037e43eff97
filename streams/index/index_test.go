package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"kith/actors/user"
	"kith/streams/index"
	"kith/streams/streamstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a world and an engine that is told of it.
type bench struct {
	*streamstest.World

	engine   *engine
	builder  *index.Builder
	registry *prometheus.Registry
	log      *lockedBuffer
	tail     *index.Tail
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{World: streamstest.NewWorld(t), engine: newEngine()}
	b.builder = index.NewBuilder(b.DB, b.engine, slog.New(slog.DiscardHandler))
	return b
}

// start starts a tail.
func (b *bench) start() (stop func()) {
	b.T.Helper()
	b.registry, b.log = prometheus.NewRegistry(), &lockedBuffer{}
	tail, err := index.New(index.Config{
		Store: b.DB, Lanes: b.DB, Committer: b.Committer, Engine: b.engine, Builder: b.builder, Pace: time.Millisecond, Look: 50 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(b.log, nil)), Registerer: b.registry,
	})
	if err != nil {
		b.T.Fatal(err)
	}
	b.tail = tail
	return b.Background(tail.Run)
}

// await waits until something is so, which it looks at whenever the engine was
// called.
func (b *bench) await(what string, so func() bool) {
	b.T.Helper()
	deadline, cancel := context.WithTimeout(b.T.Context(), time.Minute)
	defer cancel()
	for !so() {
		select {
		case <-b.engine.told:
		case <-time.After(10 * time.Millisecond): // acknowledged is a little later
		case <-deadline.Done():
			b.T.Fatalf("waited in vain until %s; lag %d, documents %v\n%s", what, b.tail.Lag(), b.engine.documents(), b.log)
		}
	}
}

func (b *bench) caughtUp() {
	b.T.Helper()
	// Those who are there have documents, so the tail has begun.
	b.await("the engine knows all", func() bool { return b.tail.Lag() == 0 && len(b.engine.documents()) == len(b.rows()) })
	b.same()
}

func (b *bench) rows() []*user.Account {
	b.T.Helper()
	rows, err := b.DB.AccountsAfter(context.WithoutCancel(b.T.Context()), 0, 1<<20)
	if err != nil {
		b.T.Fatal(err)
	}
	return rows
}

// same wants that the engine has what the rows say.
func (b *bench) same() {
	b.T.Helper()
	var got, want []string
	for _, d := range b.engine.documents() {
		got = append(got, fmt.Sprint(d.ID, d.UID, d.Username, d.Name, d.ProfilePicture))
	}
	for _, a := range b.rows() {
		want = append(want, fmt.Sprint(a.ID, a.UID, a.Username, a.Name, a.Picture))
	}
	if !slices.Equal(got, want) {
		b.T.Errorf("the engine has\n%v, want\n%v", got, want)
	}
}

func (b *bench) metric(name string) float64 {
	b.T.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.T.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	b.T.Fatalf("no metric %s", name)
	return 0
}

func renamed(name string) user.Command {
	return user.UpdateProfile{Name: &name, At: streamstest.Time()}
}

func pictured(url string) user.Command {
	return user.UpdateProfile{Picture: &url, At: streamstest.Time()}
}

func deleted() user.Command { return user.Delete{At: streamstest.Time()} }

func TestTheEngineIsToldWhatChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.engine.used = newContents()
	b.start()
	b.Register(1, 100)
	b.caughtUp()
	b.Do(1, renamed("Zoe"))
	b.Do(2, pictured("https://example.com/p.png"))
	b.Do(3, renamed("Last"), deleted())
	b.Do(4, user.Follow{Target: 5, At: streamstest.Time()})
	b.caughtUp()
	if docs := b.engine.documents(); len(docs) != 99 || docs[0].Name != "Zoe" || docs[1].ProfilePicture != "https://example.com/p.png" {
		t.Errorf("the engine has %v", docs)
	}
	if n := b.metric("kith_index_documents_total"); n < 103 {
		t.Errorf("%v documents are counted, want at least 103", n)
	}
}

func TestAnEngineThatIsAwayIsToldLater(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.engine.used = newContents()
	b.Register(1, 10)
	stop := b.start()
	b.caughtUp()
	b.engine.becomes(func(e *engine) { e.away = true })
	calls := 0
	b.engine.becomes(func(e *engine) { calls = e.calls })
	for i := range 50 {
		b.Do(user.ID(1+i%10), renamed(fmt.Sprint("Name ", i)))
	}
	b.Do(10, deleted())
	b.Register(11, 5)
	b.await("it was asked twice in vain", func() bool {
		b.engine.mu.Lock()
		defer b.engine.mu.Unlock()
		return b.engine.calls > calls+1
	})
	if lag := b.metric("kith_tail_lag_records"); lag < 56 {
		t.Errorf("the lag is %v, want 56", lag)
	}
	if b.metric("kith_index_failures_total") == 0 {
		t.Error("no failure is counted")
	}
	stop() // and what was not told is told by the next
	b.start()
	b.engine.becomes(func(e *engine) { e.away = false })
	b.caughtUp()
}

func TestATailThatCannotTellIsUnwell(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.engine.used = newContents()
	var mu sync.Mutex
	now := time.Now()
	b.registry, b.log = prometheus.NewRegistry(), &lockedBuffer{}
	tail, err := index.New(index.Config{
		Store: b.DB, Lanes: b.DB, Committer: b.Committer, Engine: b.engine, Builder: b.builder, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Registerer: b.registry,
		Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.tail = tail
	b.Background(tail.Run)
	b.Register(1, 1)
	b.caughtUp()
	if err := tail.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	b.engine.becomes(func(e *engine) { e.away = true })
	b.Register(2, 1)
	b.await("it fails", func() bool { return b.metric("kith_index_failures_total") > 0 })
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	if err := tail.Health(); !errors.Is(err, index.ErrAway) || b.metric("kith_index_away") != 1 {
		t.Errorf("health: %v, and the metric is %v", err, b.metric("kith_index_away"))
	}
	b.engine.becomes(func(e *engine) { e.away = false })
	b.caughtUp()
	b.await("it is well", func() bool { return tail.Health() == nil })
}

// An engine without an index gets one, from the rows; the lanes up to there are not
// read.
func TestAMissingIndexIsBuilt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Register(1, 500)
	b.Do(7, deleted())
	b.Do(8, renamed("Zoe"))
	stop := b.start()
	b.caughtUp()
	if told, built := b.metric("kith_index_documents_total"), b.metric("kith_index_rebuilt_users_total"); told != 0 || built != 499 {
		t.Errorf("%v users were told one by one, and %v built; want 0 and 499", told, built)
	}
	b.engine.becomes(func(e *engine) { e.used = nil }) // lost while it runs
	b.Register(501, 1)
	b.caughtUp()
	b.engine.becomes(func(e *engine) { e.used = nil }) // while nobody changes, too
	b.caughtUp()
	stop()
	b.engine.becomes(func(e *engine) { e.used = nil }) // and while it does not
	b.start()
	b.caughtUp()
}

func TestABuildThatFailsIsBegunAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Register(1, 10)
	fails := 2
	b.engine.onStep(func(step string) {
		if step == "build" {
			b.engine.becomes(func(e *engine) { e.away = fails > 0; fails-- })
		}
	})
	b.start()
	b.await("a build has failed", func() bool { return b.metric("kith_index_failures_total") > 0 })
	b.engine.becomes(func(e *engine) { e.away, e.hook = false, nil })
	b.caughtUp()
}

// People come, change and go at every step of a rebuild.
func TestARebuildMissesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.engine.used = newContents()
	b.start()
	b.Register(1, 300)
	b.caughtUp()
	next := user.ID(301)
	changes := func() {
		b.Register(next, 2)
		b.Do(next, renamed("Zoe"))
		b.Do(next-100, deleted())
		b.Do(next-150, renamed("Max"))
		next += 2
	}
	var steps []string
	var building sync.Mutex
	b.engine.onStep(func(step string) {
		if step == "index" || step == "has" || step == "tidy" {
			return
		}
		building.Lock()
		defer building.Unlock()
		steps = append(steps, step)
		changes()
	})
	var told []int
	rebuilt, err := b.builder.Rebuild(t.Context(), func(done, _ int) { told = append(told, done); changes() })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(steps, []string{"build", "fill", "switch"}) || rebuilt.Users < 300 || !slices.Equal(told, []int{rebuilt.Users}) {
		t.Errorf("steps %v, %d users, told %v", steps, rebuilt.Users, told)
	}
	b.engine.becomes(func(e *engine) { e.hook = nil })
	b.caughtUp()
}

// What fails leaves the index in use, and nothing beside it.
func TestARebuildThatFailsLeavesTheIndex(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.engine.used = newContents()
	b.start()
	b.Register(1, 10)
	b.caughtUp()
	ctx, cancel := context.WithCancel(t.Context())
	b.engine.onStep(func(step string) {
		if step == "fill" {
			cancel()
		}
	})
	if _, err := b.builder.Rebuild(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("rebuild: %v", err)
	}
	b.engine.becomes(func(e *engine) {
		if e.hook = nil; e.next != nil {
			t.Error("the build is left")
		}
	})
	b.Register(11, 1)
	b.caughtUp()
}

// What a process before did not finish is removed, or it would be told of everything.
func TestWhatABuildHasLeftIsRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.engine.used, b.engine.next = newContents(), newContents()
	b.Register(1, 3)
	b.start()
	b.caughtUp()
	b.engine.becomes(func(e *engine) {
		if e.next != nil {
			t.Error("the build is left")
		}
	})
}

// Two who want to build do so one after the other.
func TestOneBuildsAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.engine.used = newContents()
	b.Register(1, 10)
	var mu sync.Mutex
	var steps []string
	b.engine.onStep(func(step string) {
		mu.Lock()
		defer mu.Unlock()
		steps = append(steps, step)
	})
	var building sync.WaitGroup
	for range 3 {
		building.Go(func() {
			if r, err := b.builder.Rebuild(t.Context(), nil); err != nil || r.Users != 10 {
				t.Errorf("rebuilt %+v, %v", r, err)
			}
		})
	}
	building.Wait()
	once := []string{"build", "fill", "switch"}
	if want := slices.Concat(once, once, once); !slices.Equal(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
	gone, cancel := context.WithCancel(t.Context())
	b.engine.onStep(func(step string) {
		if step == "build" {
			cancel()
			if _, err := b.builder.Rebuild(gone, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("one who has gone waits: %v", err)
			}
		}
	})
	if _, err := b.builder.Rebuild(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// A round that was under way when an index was switched to is told that there is none.
func TestASwitchDuringARoundBuildsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.engine.used = newContents()
	b.start()
	b.Register(1, 5)
	b.caughtUp()
	b.engine.becomes(func(e *engine) { e.switching = true })
	b.Register(6, 1)
	b.caughtUp()
	if built := b.metric("kith_index_rebuilt_users_total"); built != 0 {
		t.Errorf("%v users were indexed anew", built)
	}
}

// Rows that are stored at the second try are read anew.
func TestASecondTryReadsAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.engine.used = newContents()
	b.Register(1, 5)
	fails := true
	b.engine.onStep(func(step string) {
		if step == "fill" && fails {
			fails = false
			b.Do(2, deleted())
			b.Do(3, renamed("Zoe"))
			b.engine.becomes(func(e *engine) { e.away = true })
			time.AfterFunc(10*time.Millisecond, func() { b.engine.becomes(func(e *engine) { e.away = false }) })
		}
	})
	if r, err := b.builder.Rebuild(t.Context(), nil); err != nil || r.Users != 4 {
		t.Fatalf("rebuilt %+v, %v", r, err)
	}
	b.same()
}

// Whom the engine refuses is named, without their data, and holds up nobody.
func TestARefusedUserHoldsUpNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.engine.used, b.engine.refuse = newContents(), 3
	b.start()
	b.Register(1, 5)
	b.await("the others are told", func() bool { return b.tail.Lag() == 0 && len(b.engine.documents()) == 4 })
	if log := b.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "user_id=3") || strings.Contains(log, "Name 3") {
		t.Errorf("the log says %s", log)
	}
}

func TestATailNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := index.New(index.Config{}); err == nil {
		t.Error("made a tail of nothing")
	}
}
