package lanes_test

import (
	"testing"
	"testing/synctest"
	"time"

	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/lanes/lanestest"
)

const testTail = persistence.TailName("test")

func mark(lane uint8, pos uint64) persistence.Mark {
	return persistence.Mark{Tail: testTail, Lane: lane, Pos: pos}
}

func TestMarksAreSavedWithTheNextBatch(t *testing.T) {
	t.Parallel()
	var s script
	b, held, release := busy(t, &s, normal)
	b.committer.SaveMarks(mark(3, 7))
	next := b.submit(lanestest.NewTurn(2, 0, 1))
	release()
	b.want(held, persistence.Committed, nil)
	b.want(next, persistence.Committed, nil)
	if got := b.store.Mark(testTail, 3); got != 7 {
		t.Errorf("mark %d when the batch is committed, want 7", got)
	}
}

func TestMarksAreSavedWhenIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		b := newBench(t, s.around).run()
		b.committer.SaveMarks(mark(3, 7))
		pause(time.Second)
		if got := b.store.Mark(testTail, 3); got != 7 {
			t.Errorf("mark %d, want 7", got)
		}
		pause(time.Minute)
		if got := len(s.batches); got != 1 {
			t.Errorf("%d batches for one mark, want 1", got)
		}
		b.stop()
	})
}

func TestMarksAreSavedAtTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil).run()
	b.committer.SaveMarks(mark(3, 7))
	b.stop()
	if got := b.store.Mark(testTail, 3); got != 7 {
		t.Errorf("mark %d, want 7", got)
	}
}

func TestAMarkNeverGoesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		s.on(lanestest.OpCommit, refuse)
		b := newBench(t, s.around).run()
		b.committer.SaveMarks(mark(3, 7), mark(4, 1))
		b.committer.SaveMarks(mark(3, 5)) // from a goroutine that was late
		b.want(b.submit(lanestest.NewTurn(1, 0, 1)), 0, lanes.ErrUnavailable)
		b.committer.SaveMarks(mark(4, 2))
		pause(time.Second)
		if got := b.store.Mark(testTail, 3); got != 7 {
			t.Errorf("mark %d after the batch was refused, want 7", got)
		}
		if got := b.store.Mark(testTail, 4); got != 2 {
			t.Errorf("mark %d, want the newer one", got)
		}
		b.stop()
	})
}

func TestMarksOfUnknownOutcomeMoveNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		s.on(lanestest.OpCommit, lose)
		b := newBench(t, s.around).run()
		b.committer.SaveMarks(mark(3, 7))
		pause(time.Second)
		if got := b.committer.Node().Epoch; got != 1 {
			t.Errorf("epoch %d, want 1: saving a mark twice is harmless", got)
		}
		b.commit(1, 0, 1)
		if err := b.committer.Health(); err != nil {
			t.Errorf("health: %v", err)
		}
		b.stop()
	})
}

func TestAWatcherIsToldWhichLanesHaveRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil).run()
		w := b.committer.Watch()
		<-w.Wake()
		if got := w.Dirty(); got != ^uint64(0) {
			t.Errorf("at first %x, want all lanes", got)
		}
		b.commit(1, 0, 1)
		b.commit(66, 0, 1)
		synctest.Wait()
		<-w.Wake()
		if got := w.Dirty(); got != 1<<1|1<<2 {
			t.Errorf("lanes %x, want 1 and 2", got)
		}
		b.stop()
	})
}
