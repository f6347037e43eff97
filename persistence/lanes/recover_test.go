package lanes_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/lanes/lanestest"
)

// unknown runs a committer whose first batch has an unknown outcome, with one
// turn in it and one behind it.
func unknown(t *testing.T, s *script, first lanestest.Around) *bench {
	t.Helper()
	b, held, release := busy(t, s, first)
	behind := b.submit(lanestest.NewTurn(2, 0, 1))
	release()
	b.want(held, 0, lanes.ErrUnknown)
	b.want(behind, 0, lanes.ErrMoved)
	return b
}

// eventually commits a turn as soon as turns are taken again.
func (b *bench) eventually(turn func() *persistence.Turn) persistence.TurnStatus {
	b.t.Helper()
	for {
		if err := b.committer.Reserve(); err == nil {
			a := <-b.submitReserved(turn())
			if a.err == nil {
				return a.status
			}
		}
		pause(time.Millisecond)
	}
}

func TestAnUnknownOutcomeRaisesTheEpochAndReadsTheHeads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		first lanestest.Around
		head  uint64
		again persistence.TurnStatus // of the same turn, sent again
	}{
		{"and the batch had committed", lose, 1, persistence.Stale},
		{"and the batch had not committed", away, 0, persistence.Committed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var s script
				b := unknown(t, &s, tt.first)
				synctest.Wait()
				if got := b.committer.Node().Epoch; got != 2 {
					t.Errorf("epoch %d, want 2", got)
				}
				if got := b.committer.Ring(1).Head(); got != tt.head {
					t.Errorf("head %d, want %d", got, tt.head)
				}
				if _, ok := b.committer.Ring(1).After(0, nil, 10); ok != (tt.head == 0) {
					t.Error("the ring pretends to hold what nobody gave it")
				}
				// The cache learns what became of the batch.
				if missed := b.committer.MissedCards(); len(missed) != 1 || missed[0].User != 1 {
					t.Errorf("missed cards are %v, want that of user 1", missed)
				}
				if got := b.eventually(func() *persistence.Turn { return lanestest.NewTurn(1, 0, 1) }); got != tt.again {
					t.Errorf("the same turn again: %v, want %v", got, tt.again)
				}
				b.commit(1, 1, 1)
				if records, ok := b.committer.Ring(1).After(1, nil, 10); !ok || len(records) != 1 || records[0].Pos != 2 {
					t.Errorf("the ring has %v after position 1", records)
				}
				b.stop()
			})
		})
	}
}

func TestNothingIsCommittedUntilTheEpochIsRaised(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		s.on(lanestest.OpRaise, away).on(lanestest.OpAcquire, normal, away, away, away) // the first is newBench's
		b, held, release := busy(t, &s, lose)
		if err := b.committer.Reserve(); err != nil {
			t.Fatal(err)
		}
		release()
		b.want(held, 0, lanes.ErrUnknown)
		synctest.Wait()
		// Decided before, submitted while the epoch is being raised.
		b.want(b.submitReserved(lanestest.NewTurn(3, 0, 1)), 0, lanes.ErrMoved)
		if err := b.committer.Reserve(); !errors.Is(err, lanes.ErrUnavailable) {
			t.Errorf("reserve: %v", err)
		}
		if got := len(s.turns()); got != 1 {
			t.Errorf("%d batches, want 1", got)
		}
		pause(10 * time.Second)
		if err := b.committer.Health(); err != nil {
			t.Errorf("health: %v", err)
		}
		b.commit(3, 0, 1)
		b.stop()
	})
}

func TestALostAnswerOfTheRaiseIsFoundOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		s.on(lanestest.OpRaise, lose)
		b := newBench(t, s.around)
		keep := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { keep <- b.committer.KeepLease(ctx) }()
		s.on(lanestest.OpCommit, lose).on(lanestest.OpAcquire, away, away, away, away, away, away, away)
		b.run()
		b.want(b.submit(lanestest.NewTurn(1, 0, 1)), 0, lanes.ErrUnknown)
		// Meanwhile renewals are fenced by the node's own raise: that is no reason to
		// give the lanes up.
		pause(30 * time.Second)
		if err := b.committer.Health(); err != nil {
			t.Errorf("health: %v", err)
		}
		if got := b.committer.Node().Epoch; got != 3 {
			t.Errorf("epoch %d, want 3", got)
		}
		b.commit(2, 0, 1)
		cancel()
		if err := <-keep; err != nil {
			t.Errorf("keep the lease: %v", err)
		}
		b.stop()
	})
}

func TestARenewalThatMeetsTheRaiseIsNoFence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		entered, leave := make(chan struct{}, 1), make(chan struct{})
		// The renewal reaches the database after the raise, with the epoch before it.
		s.on(lanestest.OpRenew, hold(entered, leave, normal))
		s.on(lanestest.OpCommit, lose)
		b := newBench(t, s.around).run()
		keep := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { keep <- b.committer.KeepLease(ctx) }()
		<-entered
		b.want(b.submit(lanestest.NewTurn(1, 0, 1)), 0, lanes.ErrUnknown)
		synctest.Wait()
		if got := b.committer.Node().Epoch; got != 2 {
			t.Fatalf("epoch %d, want 2", got)
		}
		close(leave)
		pause(5 * time.Second)
		cancel()
		if err := <-keep; err != nil {
			t.Errorf("keep the lease: %v", err)
		}
		b.stop()
	})
}

func TestARenewalThatMeetsARaiseWithoutAnswerIsNoFence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		entered, leave := make(chan struct{}, 1), make(chan struct{})
		s.on(lanestest.OpRenew, hold(entered, leave, normal))
		s.on(lanestest.OpCommit, lose).on(lanestest.OpRaise, lose).on(lanestest.OpAcquire, normal, away, away, away)
		b := newBench(t, s.around).run()
		keep := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { keep <- b.committer.KeepLease(ctx) }()
		<-entered
		b.want(b.submit(lanestest.NewTurn(1, 0, 1)), 0, lanes.ErrUnknown)
		synctest.Wait()
		if got := b.committer.Node().Epoch; got != 1 {
			t.Fatalf("epoch %d, want the one before the raise", got)
		}
		close(leave)
		pause(5 * time.Second)
		b.commit(2, 0, 1)
		cancel()
		if err := <-keep; err != nil {
			t.Errorf("keep the lease: %v", err)
		}
		b.stop()
	})
}

func TestTheHeadsAreReadBeforeAnythingIsCommitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		s.on(lanestest.OpHeads, normal, away, away) // the first is New's
		b := unknown(t, &s, lose)
		pause(time.Second)
		if got := b.committer.Ring(1).Head(); got != 1 {
			t.Errorf("head %d, want 1", got)
		}
		b.commit(1, 1, 1)
		b.stop()
	})
}

func TestWhoeverIsFencedStopsAndAnswersEverything(t *testing.T) {
	t.Parallel()
	steal := func(b **bench) lanestest.Around {
		return func(ctx context.Context, _ string, _ any, do func() error) error {
			if _, err := (*b).store.Acquire(ctx, "another", time.Second); err != nil {
				return err
			}
			return do()
		}
	}
	t.Run("by a commit", func(t *testing.T) {
		t.Parallel()
		var s script
		var b *bench
		b, held, release := busy(t, &s, func(ctx context.Context, op string, arg any, do func() error) error {
			return steal(&b)(ctx, op, arg, do)
		})
		behind := b.submit(lanestest.NewTurn(2, 0, 1))
		release()
		b.want(held, 0, lanes.ErrUnavailable)
		b.want(behind, 0, lanes.ErrUnavailable)
		<-b.ended
		if !errors.Is(b.err, persistence.ErrFenced) {
			t.Errorf("run: %v, want ErrFenced", b.err)
		}
		if b.committer.Health() == nil {
			t.Error("healthy, though fenced")
		}
	})
	t.Run("by the raise", func(t *testing.T) {
		t.Parallel()
		var s script
		var b *bench
		s.on(lanestest.OpRaise, func(ctx context.Context, op string, arg any, do func() error) error {
			return steal(&b)(ctx, op, arg, do)
		})
		b, held, release := busy(t, &s, away)
		release()
		b.want(held, 0, lanes.ErrUnknown)
		<-b.ended
		if !errors.Is(b.err, persistence.ErrFenced) {
			t.Errorf("run: %v, want ErrFenced", b.err)
		}
	})
	t.Run("by the lease of another", func(t *testing.T) {
		t.Parallel()
		var s script
		s.on(lanestest.OpRaise, away).on(lanestest.OpAcquire, normal, func(context.Context, string, any, func() error) error {
			return &persistence.LeasedError{Node: "another"}
		})
		b, held, release := busy(t, &s, away)
		release()
		b.want(held, 0, lanes.ErrUnknown)
		<-b.ended
		if !errors.Is(b.err, persistence.ErrFenced) {
			t.Errorf("run: %v, want ErrFenced", b.err)
		}
	})
	t.Run("by a renewal", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, nil)
			if _, err := b.store.Acquire(t.Context(), "another", time.Second); err != nil {
				t.Fatal(err)
			}
			if err := b.committer.KeepLease(t.Context()); !errors.Is(err, persistence.ErrFenced) {
				t.Errorf("keep the lease: %v, want ErrFenced", err)
			}
		})
	})
}

func TestStopEndsARecovery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		s.on(lanestest.OpRaise, away).on(lanestest.OpAcquire, normal)
		for range 1000 {
			s.on(lanestest.OpAcquire, away)
		}
		b := unknown(t, &s, lose)
		b.stop()
		if b.err != nil {
			t.Errorf("run: %v", b.err)
		}
	})
}

func TestACommitThatNeverEndsHasAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		s.on(lanestest.OpCommit, func(ctx context.Context, _ string, _ any, _ func() error) error {
			<-ctx.Done()
			return ctx.Err()
		})
		b := newBench(t, s.around).run()
		b.want(b.submit(lanestest.NewTurn(1, 0, 1)), 0, lanes.ErrUnknown)
		if got := b.eventually(func() *persistence.Turn { return lanestest.NewTurn(1, 0, 1) }); got != persistence.Committed {
			t.Errorf("the same turn again: %v", got)
		}
		b.stop()
	})
}

func TestANodeThatOutlivedItsLeaseTakesNoTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		b := newBench(t, s.around)
		for range 12 { // more than one a second
			s.on(lanestest.OpRenew, away)
		}
		keep := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { keep <- b.committer.KeepLease(ctx) }()
		pause(9500 * time.Millisecond)
		if err := b.committer.Health(); err != nil {
			t.Errorf("health within the lease: %v", err)
		}
		pause(time.Second)
		if b.committer.Health() == nil {
			t.Error("healthy, though the lease is over")
		}
		if err := b.committer.Reserve(); !errors.Is(err, lanes.ErrUnavailable) {
			t.Errorf("reserve: %v", err)
		}
		pause(10 * time.Second)
		if err := b.committer.Health(); err != nil {
			t.Errorf("health after the lease was renewed: %v", err)
		}
		cancel()
		if err := <-keep; err != nil {
			t.Errorf("keep the lease: %v", err)
		}
	})
}
