package streams_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/lanes/lanestest"
	"kith/streams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testTail = persistence.TailName("test")
	never    = time.Hour
)

// bench is a committer and a tail on a store in memory.
type bench struct {
	t         *testing.T
	store     *lanestest.Store
	journal   persistence.Journal // of the tail
	committer *lanes.Committer
	versions  map[user.ID]uint64
}

func newBench(t *testing.T, around lanestest.Around) *bench {
	t.Helper()
	b := &bench{t: t, store: lanestest.NewStore(around), versions: make(map[user.ID]uint64)}
	b.journal = b.store
	b.startCommitter()
	return b
}

// startCommitter starts a new committer, as a restart does.
func (b *bench) startCommitter() {
	b.t.Helper()
	node, err := b.store.Acquire(b.t.Context(), "n1", never)
	if err != nil {
		b.t.Fatal(err)
	}
	b.committer, err = lanes.New(b.t.Context(), lanes.Config{
		Journal: b.store, Lanes: b.store, Cards: &lanestest.Cards{}, Logger: slog.New(slog.DiscardHandler),
	}, node)
	if err != nil {
		b.t.Fatal(err)
	}
	b.background(b.committer.Run)
}

// background runs f until the test ends, or until the returned function is called.
func (b *bench) background(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("run: %v", err)
		}
	})
	b.t.Cleanup(stop)
	return stop
}

// commit commits n records of a user.
func (b *bench) commit(id user.ID, n int) {
	b.t.Helper()
	done := make(chan error, 1)
	if err := b.committer.Reserve(); err != nil {
		b.t.Fatal(err)
	}
	b.committer.Submit(lanestest.NewTurn(id, b.versions[id], n), func(o persistence.Outcome, err error) {
		if err == nil && o.Status != persistence.Committed {
			err = errors.New("not committed")
		}
		done <- err
	})
	if err := <-done; err != nil {
		b.t.Fatal(err)
	}
	b.versions[id] += uint64(n)
}

// tail makes a tail with the given handler and starts it.
func (b *bench) tail(h *recorder, maxInFlight int) (*streams.Tail, func()) {
	b.t.Helper()
	tail, err := streams.New(streams.Config{
		Name: testTail, Journal: b.journal, Lanes: b.store, Committer: b.committer, Handler: h, MaxInFlight: maxInFlight,
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	h.tail = tail
	return tail, b.background(tail.Run)
}

// recorder is a handler that notes what it is handed, and acknowledges it unless
// told not to.
type recorder struct {
	t     *testing.T
	tail  *streams.Tail
	begin func(marks [persistence.LaneCount]uint64) (from [persistence.LaneCount]uint64, err error)
	keep  bool // do not acknowledge

	mu   sync.Mutex
	last [persistence.LaneCount]uint64
	got  []persistence.Record
	more chan struct{}
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	return &recorder{t: t, more: make(chan struct{}, 1)}
}

func (h *recorder) Begin(_ context.Context, marks [persistence.LaneCount]uint64) (from [persistence.LaneCount]uint64, err error) {
	from = marks
	if h.begin != nil {
		from, err = h.begin(marks)
	}
	h.last = from
	return from, err
}

func (h *recorder) Handle(_ context.Context, records []persistence.Record) {
	h.mu.Lock()
	for _, r := range records {
		if r.Pos != h.last[r.Lane]+1 {
			h.t.Errorf("lane %d: position %d follows %d", r.Lane, r.Pos, h.last[r.Lane])
		}
		h.last[r.Lane] = r.Pos
	}
	h.got = append(h.got, records...)
	h.mu.Unlock()
	if !h.keep {
		for _, r := range records {
			h.tail.Ack(r.Lane, r.Pos)
		}
	}
	select {
	case h.more <- struct{}{}:
	default:
	}
}

// await returns all that was handed out, once it is n records.
func (h *recorder) await(n int) []persistence.Record {
	for {
		h.mu.Lock()
		got := h.got
		h.mu.Unlock()
		if len(got) >= n {
			if len(got) > n {
				h.t.Errorf("%d records were handed out, want %d", len(got), n)
			}
			return got
		}
		<-h.more
	}
}

func (h *recorder) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.got)
}

func TestEveryRecordComesOnceAndInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	// More than the rings hold before the tail starts: read from the database.
	for range 3 {
		b.commit(1, 1000)
		b.commit(2, 1000)
	}
	h := newRecorder(t)
	tail, _ := b.tail(h, 0)
	h.await(6000)
	// And then from the rings, over several lanes.
	for id := user.ID(1); id < 200; id++ {
		b.commit(id, 3)
	}
	h.await(6000 + 199*3)
	if lag := tail.Lag(); lag != 0 {
		t.Errorf("lag %d, want 0", lag)
	}
}

func TestATailStartsAtItsMarks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.commit(1, 10)
		first := newRecorder(t)
		_, stop := b.tail(first, 0)
		first.await(10)
		stop()
		pause(time.Second) // the marks are saved
		if got := b.store.Mark(testTail, 1); got != 10 {
			t.Fatalf("mark %d, want 10", got)
		}
		b.commit(1, 5)
		second := newRecorder(t)
		b.tail(second, 0)
		if got := second.await(5); got[0].Pos != 11 {
			t.Errorf("starts at position %d, want 11", got[0].Pos)
		}
	})
}

func TestTheMarkMovesToWhatIsAcknowledgedWithoutAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.commit(1, 10)
		h := newRecorder(t)
		h.keep = true
		tail, _ := b.tail(h, 0)
		h.await(10)
		for _, step := range []struct{ ack, done uint64 }{{3, 0}, {2, 0}, {1, 3}, {1, 3}, {3, 3}, {5, 3}, {5, 3}, {4, 5}, {10, 5}, {9, 5}, {8, 5}, {7, 5}, {6, 10}} {
			if done := tail.Ack(1, step.ack); done != step.done {
				t.Fatalf("after acknowledging %d: done %d, want %d", step.ack, done, step.done)
			}
			pause(time.Second)
			if mark := b.store.Mark(testTail, 1); mark != step.done {
				t.Fatalf("after acknowledging %d: mark %d, want %d", step.ack, mark, step.done)
			}
			if lag := tail.Lag(); lag != 10-step.done {
				t.Errorf("lag %d, want %d", lag, 10-step.done)
			}
		}
	})
}

func TestWhatIsInFlightIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		for id := user.ID(1); id <= 40; id++ {
			b.commit(id, 10)
		}
		h := newRecorder(t)
		h.keep = true
		tail, _ := b.tail(h, 100)
		pause(time.Minute)
		if got := h.count(); got > 100 || got < 90 {
			t.Fatalf("%d records in flight, want about 100 and no more", got)
		}
		for acked := 0; acked < 400; {
			got := h.await(max(h.count(), acked+1))
			for ; acked < len(got); acked++ {
				tail.Ack(got[acked].Lane, got[acked].Pos)
			}
			synctest.Wait()
			if n := h.count() - acked; n > 100 {
				t.Fatalf("%d records in flight", n)
			}
		}
	})
}

func TestALaneThatStandsStillStopsAtItsWindowAndNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		for range 20 {
			b.commit(1, 1000)
		}
		h := newRecorder(t)
		h.keep = true
		tail, _ := b.tail(h, 1<<20)
		synctest.Wait()
		if got := h.count(); got > 8192 || got < 8000 {
			t.Fatalf("%d records of one lane are in flight, want about its window", got)
		}
		for pos := uint64(2); pos <= uint64(h.count()); pos++ {
			tail.Ack(1, pos) // but not the first
		}
		b.commit(2, 5)
		synctest.Wait()
		if got := h.last[2]; got != 5 {
			t.Errorf("the other lane is at %d, want 5", got)
		}
		before := h.count()
		tail.Ack(1, 1)
		synctest.Wait()
		if h.count() <= before {
			t.Error("the lane does not go on")
		}
	})
}

func TestLanesTakeTurnsWhenThereIsLittleRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		for range 20 {
			b.commit(1, 1000)
		}
		b.commit(63, 1)
		h := newRecorder(t)
		h.keep = true
		tail, _ := b.tail(h, 16)
		for range 200 {
			synctest.Wait()
			for _, r := range h.got {
				tail.Ack(r.Lane, r.Pos)
			}
		}
		if h.last[63] != 1 {
			t.Error("the last lane was never read, the first took all the room")
		}
	})
}

// gappy is a journal that hides one record for some reads.
type gappy struct {
	*lanestest.Store

	mu    sync.Mutex
	hide  uint64
	times int
}

func (g *gappy) ReadLane(ctx context.Context, lane uint8, after uint64, limit int) ([]persistence.Record, error) {
	records, err := g.Store.ReadLane(ctx, lane, after, limit)
	g.mu.Lock()
	defer g.mu.Unlock()
	var shown []persistence.Record
	for _, r := range records {
		if r.Pos == g.hide && g.times > 0 {
			g.times--
			continue
		}
		shown = append(shown, r)
	}
	return shown, err
}

func TestAGapIsReadAgainAndNeverSkipped(t *testing.T) {
	t.Parallel()
	for _, hide := range []uint64{1, 7, 10} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, nil)
			b.commit(1, 10)
			g := &gappy{Store: b.store, hide: hide, times: 5}
			b.journal = g
			h := newRecorder(t)
			// From the database: what was committed before the committer began is in no ring.
			b.startCommitter()
			tail, _ := b.tail(h, 0)
			h.await(10) // the recorder checks the order
			if g.times != 0 || tail.Done(1) != 10 {
				t.Errorf("done %d, and the gap is still there for %d reads", tail.Done(1), g.times)
			}
		})
	}
}

func TestALaneWithAGapStopsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.commit(1, 10)
		b.commit(2, 10)
		b.journal = &gappy{Store: b.store, hide: 7, times: 1 << 30}
		b.startCommitter()
		h := newRecorder(t)
		b.tail(h, 0)
		pause(time.Minute)
		b.versions[66], b.versions[3] = 0, 0
		b.commit(3, 4)
		pause(time.Minute)
		if h.last[1] != 6 || h.last[2] != 6 || h.last[3] != 4 {
			t.Errorf("lanes 1, 2, 3 are at %d, %d, %d; want 6, 6, 4", h.last[1], h.last[2], h.last[3])
		}
	})
}

func TestATailSurvivesADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failures := map[string]int{lanestest.OpMarks: 3, lanestest.OpReadLane: 5}
		var mu sync.Mutex
		b := newBench(t, func(_ context.Context, op string, _ any, do func() error) error {
			mu.Lock()
			failures[op]--
			fail := failures[op] >= 0
			mu.Unlock()
			if fail {
				return errors.New("away")
			}
			return do()
		})
		for range 2 {
			b.commit(1, 1000)
		}
		h := newRecorder(t)
		b.tail(h, 0)
		h.await(2000)
	})
}

func TestATailEndsWhenItsHandlerCannotBegin(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	h := newRecorder(t)
	cause := errors.New("no")
	tail, err := streams.New(streams.Config{
		Name: testTail, Journal: b.store, Lanes: b.store, Committer: b.committer, Handler: h, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.begin = func(marks [persistence.LaneCount]uint64) ([persistence.LaneCount]uint64, error) { return marks, cause }
	if err := tail.Run(t.Context()); !errors.Is(err, cause) {
		t.Errorf("run: %v, want %v", err, cause)
	}
}

// What a handler says to have had its effect in another way is not handed out, now or
// after a restart, and behind nothing.
func TestATailGoesOnFromWhereItsHandlerSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.commit(1, 10)
		b.commit(2, 5)
		h := newRecorder(t)
		h.begin = func(marks [persistence.LaneCount]uint64) ([persistence.LaneCount]uint64, error) {
			if lag := h.tail.Lag(); lag != 15 {
				t.Errorf("while the handler begins, the lag is %d, want 15", lag)
			}
			marks[1] = 8
			marks[3] = 4 // of which this process does not know yet
			return marks, nil
		}
		tail, stop := b.tail(h, 0)
		if got := h.await(7); got[0].Pos+got[6].Pos == 0 {
			t.Errorf("handed out were %v", got)
		}
		synctest.Wait()
		if lag := tail.Lag(); lag != 0 {
			t.Errorf("the lag is %d, want 0", lag)
		}
		pause(time.Minute)
		stop()
		for lane, want := range map[uint8]uint64{1: 10, 2: 5, 3: 4} {
			if mark := b.store.Mark(testTail, lane); mark != want {
				t.Errorf("the mark of lane %d is %d, want %d", lane, mark, want)
			}
		}
	})
}

func TestATailNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := streams.New(streams.Config{Name: testTail}); err == nil {
		t.Error("made a tail of nothing")
	}
}

// pause waits; time is that of a synctest bubble.
func pause(d time.Duration) { <-time.After(d) }
