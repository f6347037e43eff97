package effects_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/lanes/lanestest"
	"kith/streams/effects"
)

// toggle makes user 1 follow and unfollow user 2, n records in all, each with its
// effect parked or delivered before the next.
func (w *world) toggle(n int) {
	for i := range n {
		if i%2 == 0 {
			w.follow(1, 2)
		} else {
			w.unfollow(1, 2)
		}
		pause(time.Millisecond)
	}
}

func TestWhatIsBeingParkedIsNotForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		var slow atomic.Bool
		w.store = lanestest.NewStore(func(ctx context.Context, op string, arg any, do func() error) error {
			if op == lanestest.OpPark && slow.Load() {
				pause(8 * time.Second) // within the patience of a write
			}
			return w.around(ctx, op, arg, do)
		})
		w.start().register(users(3)...)
		w.setBroken(2, usergrain.ErrBroken)
		w.follow(1, 2)
		pause(100 * time.Millisecond)
		slow.Store(true)
		w.follow(3, 2) // on its way into the database while the first is delivered
		pause(100 * time.Millisecond)
		w.setBroken(2, nil)
		w.wantQuiet(users(3)...)
		if got := len(w.followers(2)); got != 2 {
			t.Errorf("%d followers, want 2", got)
		}
	})
}

func TestParkedEffectsStayInOrderWhenTheClockGoesBack(t *testing.T) {
	t.Parallel()
	t.Run("more than a page of them", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 0)
			var ticks atomic.Int64
			w.cfg = func(c *effects.Config) {
				c.Now = func() time.Time { return time.Unix(1_000_000-ticks.Add(1), 0) }
			}
			w.start().register(users(2)...)
			w.setBroken(2, usergrain.ErrBroken)
			w.toggle(701)
			if got := w.parked()[2]; got != 701 {
				t.Fatalf("%d effects are parked, want 701", got)
			}
			w.setBroken(2, nil)
			w.wantQuiet(users(2)...)
		})
	})
	t.Run("between two runs", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 0)
			now := time.Unix(1_000_000, 0)
			w.cfg = func(c *effects.Config) { at := now; c.Now = func() time.Time { return at } }
			w.start().register(users(2)...)
			w.setBroken(2, usergrain.ErrBroken)
			w.toggle(601) // more than a page
			w.stop()
			now = now.Add(-time.Hour)
			w.start()
			w.toggle(11)
			w.setBroken(2, nil)
			w.wantQuiet(users(2)...)
		})
	})
}

func TestNewEffectsDoNotOvertakeParkedOnesWhileTheseAreDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.store = lanestest.NewStore(func(ctx context.Context, op string, arg any, do func() error) error {
			err := w.around(ctx, op, arg, do)
			if op == lanestest.OpParked {
				pause(100 * time.Millisecond) // what was read is old by then
			}
			return err
		})
		w.start().register(users(2)...)
		for range 10 {
			w.setBroken(2, usergrain.ErrBroken)
			w.toggle(6)
			w.setBroken(2, nil)
			for range 10 { // so that some come between the last look and the end
				w.toggle(2)
				pause(250 * time.Millisecond)
			}
		}
		w.wantQuiet(users(2)...)
	})
}

func TestAParkedRecordThatIsNotFoundStaysParked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(users(2)...)
		w.stop()
		node, err := w.store.Acquire(t.Context(), "n1", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.store.Park(t.Context(), node, []persistence.Parked{{Lane: 1, Pos: 500, Target: 2}}); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.follow(1, 2)
		pause(time.Hour)
		if got := w.parked()[2]; got != 2 {
			t.Errorf("%d effects are parked, want the lost one and the one behind it", got)
		}
	})
}
