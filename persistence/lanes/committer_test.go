package lanes_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/lanes/lanestest"
)

var (
	errAway    = errors.New("the connection was lost")
	errRefusal = fmt.Errorf("%w: the disk is full", persistence.ErrNotCommitted)
)

// busy runs a committer whose first commit is held. What is submitted before
// release waits together.
func busy(t *testing.T, s *script, first lanestest.Around) (b *bench, held <-chan answer, release func()) {
	t.Helper()
	entered, leave := make(chan struct{}), make(chan struct{})
	s.on(lanestest.OpCommit)
	s.steps[lanestest.OpCommit] = append([]lanestest.Around{hold(entered, leave, first)}, s.steps[lanestest.OpCommit]...)
	b = newBench(t, s.around).run()
	held = b.submit(lanestest.NewTurn(1, 0, 1))
	<-entered
	return b, held, func() { close(leave) }
}

func TestGroupCommitTakesAllThatWait(t *testing.T) {
	t.Parallel()
	var s script
	b, held, release := busy(t, &s, normal)
	var answers []<-chan answer
	for id := user.ID(2); id < 102; id++ {
		answers = append(answers, b.submit(lanestest.NewTurn(id, 0, 1)))
	}
	release()
	b.want(held, persistence.Committed, nil)
	for _, a := range answers {
		b.want(a, persistence.Committed, nil)
	}
	if got := s.turns(); len(got) != 2 || len(got[1]) != 100 {
		t.Errorf("%d batches, want one of the turn that was alone and one of the 100 that waited", len(got))
	}
}

func TestABatchIsBounded(t *testing.T) {
	t.Parallel()
	big := func(id user.ID, records, bytes int) *persistence.Turn {
		turn := lanestest.NewTurn(id, 0, records)
		turn.Records[0].Payload = make([]byte, bytes)
		return turn
	}
	for _, tt := range []struct {
		name  string
		turns func() []*persistence.Turn
		want  []int // turns a batch
	}{
		{"by turns", func() (turns []*persistence.Turn) {
			for id := range user.ID(600) {
				turns = append(turns, big(id+2, 1, 0))
			}
			return turns
		}, []int{512, 88}},
		{"by records", func() []*persistence.Turn {
			return []*persistence.Turn{big(2, 2000, 0), big(3, 2000, 0), big(4, 97, 0), big(5, 1, 0)}
		}, []int{2, 2}},
		{"by bytes", func() []*persistence.Turn {
			return []*persistence.Turn{big(2, 1, 5<<20), big(3, 1, 3<<20), big(4, 1, 1), big(5, 1, 1)}
		}, []int{2, 2}},
		{"a turn that is too large goes alone", func() []*persistence.Turn {
			return []*persistence.Turn{big(2, 1, 1), big(3, 1, 9<<20), big(4, 1, 1)}
		}, []int{1, 1, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var s script
			b, held, release := busy(t, &s, normal)
			var answers []<-chan answer
			for _, turn := range tt.turns() {
				answers = append(answers, b.submit(turn))
			}
			release()
			b.want(held, persistence.Committed, nil)
			for _, a := range answers {
				b.want(a, persistence.Committed, nil)
			}
			var got []int
			for _, turns := range s.turns()[1:] {
				got = append(got, len(turns))
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("batches of %v turns, want %v", got, tt.want)
			}
		})
	}
}

func TestTheSecondTurnOfAUserGoesIntoTheNextBatch(t *testing.T) {
	t.Parallel()
	var s script
	b, held, release := busy(t, &s, normal)
	first := b.submit(lanestest.NewTurn(2, 0, 1))
	second := b.submit(lanestest.NewTurn(2, 1, 1))
	other := b.submit(lanestest.NewTurn(3, 0, 1))
	release()
	for _, a := range []<-chan answer{held, first, second, other} {
		b.want(a, persistence.Committed, nil)
	}
	if got := s.turns(); len(got) != 3 || len(got[1]) != 1 || len(got[2]) != 2 {
		t.Errorf("batches are %v, want the second turn of user 2 in the one after the first", got)
	}
}

func TestATurnIsAnsweredOnlyAfterItsCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		b, held, release := busy(t, &s, normal)
		synctest.Wait()
		select {
		case a := <-held:
			t.Fatalf("answered %v while the commit is in flight", a)
		default:
		}
		if head := b.committer.Ring(1).Head(); head != 0 {
			t.Errorf("the ring has position %d while the commit is in flight", head)
		}
		release()
		b.want(held, persistence.Committed, nil)
		if head := b.committer.Ring(1).Head(); head != 1 {
			t.Errorf("the ring has position %d when the turn is answered, want 1", head)
		}
		b.stop()
	})
}

func TestAStaleTurnFailsAlone(t *testing.T) {
	t.Parallel()
	var s script
	b, held, release := busy(t, &s, normal)
	stale := b.submit(lanestest.NewTurn(2, 7, 1))
	good := b.submit(lanestest.NewTurn(3, 0, 1))
	release()
	b.want(held, persistence.Committed, nil)
	b.want(stale, persistence.Stale, nil)
	b.want(good, persistence.Committed, nil)
	if head := b.committer.Ring(2).Head(); head != 0 {
		t.Errorf("the ring has position %d of a turn that was not committed", head)
	}
}

func TestTheQueueIsBoundedByReservedPlaces(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	places := 0
	for b.committer.Reserve() == nil {
		places++
	}
	if places != 16<<10 {
		t.Errorf("%d places, want %d", places, 16<<10)
	}
	if err := b.committer.Reserve(); !errors.Is(err, lanes.ErrFull) {
		t.Errorf("reserve when full: %v", err)
	}
	b.committer.Unreserve()
	if err := b.committer.Reserve(); err != nil {
		t.Errorf("reserve a place that was given back: %v", err)
	}
	for range places {
		b.committer.Unreserve()
	}
	if got := b.gauge("kith_lanes_queued_turns"); got != 0 {
		t.Errorf("%v places are taken in the end, want 0", got)
	}
}

func TestStopAnswersEverything(t *testing.T) {
	t.Parallel()
	var s script
	b, held, release := busy(t, &s, normal)
	waiting := b.submit(lanestest.NewTurn(2, 0, 1))
	if err := b.committer.Reserve(); err != nil {
		t.Fatal(err)
	}
	b.cancel()
	release()
	b.want(held, persistence.Committed, nil)
	b.want(waiting, persistence.Committed, nil) // submitted before: committed
	<-b.ended
	if b.err != nil {
		t.Errorf("run: %v", b.err)
	}
	b.want(b.submitReserved(lanestest.NewTurn(3, 0, 1)), 0, lanes.ErrStopped)
	if got := b.gauge("kith_lanes_queued_turns"); got != 0 {
		t.Errorf("%v places are taken in the end, want 0", got)
	}
}

func TestStopWhileTheDatabaseIsAwayEnds(t *testing.T) {
	t.Parallel()
	var s script
	for range 100 {
		s.on(lanestest.OpCommit, refuse)
	}
	b, held, release := busy(t, &s, refuse)
	b.committer.SaveMarks(persistence.Mark{Tail: "test", Lane: 1, Pos: 1})
	waiting := b.submit(lanestest.NewTurn(2, 0, 1))
	b.cancel()
	release()
	b.want(held, 0, lanes.ErrUnavailable)
	b.want(waiting, 0, lanes.ErrStopped)
	<-b.ended
}

func TestARefusedBatchIsUnavailableUntilARenewalSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		s.on(lanestest.OpCommit, refuse)
		s.on(lanestest.OpRenew, away, normal)
		b := newBench(t, s.around).run()
		keep := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { keep <- b.committer.KeepLease(ctx) }()

		b.want(b.submit(lanestest.NewTurn(1, 0, 1)), 0, lanes.ErrUnavailable)
		if err := b.committer.Reserve(); !errors.Is(err, lanes.ErrUnavailable) {
			t.Errorf("reserve: %v", err)
		}
		if err := b.committer.Health(); !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("health: %v", err)
		}
		if got := b.gauge("kith_lanes_healthy_ratio"); got != 0 {
			t.Errorf("the metric says %v, want 0", got)
		}
		pause(1500 * time.Millisecond) // the first renewal fails
		if b.committer.Health() == nil {
			t.Error("healthy, though nothing was written since")
		}
		pause(time.Second)
		if err := b.committer.Health(); err != nil {
			t.Errorf("health after a renewal: %v", err)
		}
		b.commit(1, 0, 1)
		cancel()
		if err := <-keep; err != nil {
			t.Errorf("keep the lease: %v", err)
		}
		b.stop()
	})
}

func TestCardsThatTheCacheMissedAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil).run()
	b.commit(1, 0, 1)
	if got := b.committer.MissedCards(); got != nil {
		t.Errorf("missed %v while the cache is there", got)
	}
	b.cards.SetAway(true)
	b.commit(1, 1, 1)
	b.commit(1, 2, 2)
	gone := lanestest.NewTurn(2, 0, 1)
	gone.Deleted = true
	b.want(b.submit(gone), persistence.Committed, nil)
	got := make(map[user.ID]lanes.MissedCard)
	for _, m := range b.committer.MissedCards() {
		got[m.User] = m
	}
	want := map[user.ID]lanes.MissedCard{1: {User: 1, Version: 4}, 2: {User: 2, Version: 1, Deleted: true}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("missed %v, want %v", got, want)
	}
	if got := b.committer.MissedCards(); got != nil {
		t.Errorf("missed %v a second time", got)
	}
}

func TestMissedCardsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil).run()
	b.cards.SetAway(true)
	const bound = 64 << 10
	var last <-chan answer
	for id := user.ID(1); id <= bound+100; id++ {
		for b.committer.Reserve() != nil {
			b.want(last, persistence.Committed, nil)
		}
		last = b.submitReserved(lanestest.NewTurn(id, 0, 1))
	}
	b.stop()
	if got := len(b.committer.MissedCards()); got != bound {
		t.Errorf("%d cards are kept, want %d", got, bound)
	}
}

// pause waits; time is that of a synctest bubble.
func pause(d time.Duration) { <-time.After(d) }
