package effects_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/lanes/lanestest"
	"kith/streams/effects"
)

func (w *world) followers(id user.ID) []user.ID { return w.store.Edges(persistence.EdgeFollowers, id) }

func (w *world) following(id user.ID) []user.ID { return w.store.Edges(persistence.EdgeFollowing, id) }

func TestTheTargetLearnsOfFollowAndUnfollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(users(3)...)
		w.follow(1, 3)
		w.follow(2, 3)
		w.unfollow(1, 3)
		w.wantQuiet(users(3)...)
		if got := w.followers(3); !slices.Equal(got, []user.ID{2}) {
			t.Errorf("followers are %v, want 2 alone", got)
		}
	})
}

func TestDeliveringAgainChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(users(2)...)
		w.follow(1, 2)
		w.unfollow(1, 2)
		w.follow(1, 2)
		w.wantQuiet(users(2)...)
		head := w.store.Head(2)
		for range 3 {
			w.stop()
			w.store.Rewind(persistence.TailEffects)
			w.start()
			w.wantQuiet(users(2)...)
		}
		if got := w.followers(2); !slices.Equal(got, []user.ID{1}) {
			t.Errorf("followers are %v, want 1", got)
		}
		if w.store.Head(2) != head {
			t.Errorf("delivering again wrote %d records", w.store.Head(2)-head)
		}
	})
}

func TestABrokenTargetDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(users(10)...)
		w.setBroken(10, usergrain.ErrBroken)
		for id := user.ID(1); id < 10; id++ {
			w.follow(id, 10)
			w.follow(id, id%9+1)
		}
		w.unfollow(1, 10)
		pause(2 * time.Second)
		for id := user.ID(1); id < 10; id++ {
			if len(w.followers(id)) != 1 {
				t.Errorf("user %d has followers %v", id, w.followers(id))
			}
		}
		if w.tail.Lag() != 0 {
			t.Errorf("lag %d, want 0: what is parked holds nothing up", w.tail.Lag())
		}
		if got := w.parked()[10]; got != 10 {
			t.Errorf("%d effects are parked, want 10", got)
		}
		w.stop() // a new process knows what is parked, and queues behind it
		w.start()
		w.follow(1, 10)
		w.setBroken(10, nil)
		w.wantQuiet(users(10)...)
		if got := len(w.followers(10)); got != 9 {
			t.Errorf("%d followers after it was mended, want 9", got)
		}
		w.unfollow(1, 10) // and nothing queues any more
		pause(100 * time.Millisecond)
		if got := len(w.followers(10)); got != 8 {
			t.Errorf("%d followers, want 8 at once", got)
		}
	})
}

func TestATargetThatStaysBusyIsParked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(users(3)...)
		w.setBroken(3, usergrain.ErrBusy)
		w.follow(1, 3)
		w.follow(1, 2)
		pause(20 * time.Second)
		if len(w.followers(2)) != 1 || w.parked()[3] != 0 {
			t.Errorf("after 20 s: followers of 2 are %v, parked %v; want the other served, and patience", w.followers(2), w.parked())
		}
		if got := w.store.Mark(persistence.TailEffects, 1); got != 1 { // the registration
			t.Errorf("mark %d while an effect is owed, want 1", got)
		}
		pause(20 * time.Second)
		if w.parked()[3] != 1 || w.tail.Lag() != 0 {
			t.Errorf("after 40 s: parked %v, lag %d; want the effect parked", w.parked(), w.tail.Lag())
		}
		w.setBroken(3, nil)
		w.wantQuiet(users(3)...)
	})
}

func TestADatabaseThatIsAwayParksNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(users(3)...)
		w.setBroken(3, usergrain.ErrUnavailable)
		w.follow(1, 3)
		pause(10 * time.Minute)
		if len(w.parked()) != 0 {
			t.Errorf("parked %v", w.parked())
		}
		w.setBroken(3, nil)
		w.wantQuiet(users(3)...)
	})
}

func TestACrowdBehindATargetThatFailsIsParkedSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 1500
		w := newWorld(t, 0).start().register(users(n)...)
		w.setBroken(1, usergrain.ErrBusy)
		for id := user.ID(2); id <= n; id++ {
			w.follow(id, 1)
		}
		pause(5 * time.Second)
		if w.tail.Lag() != 0 {
			t.Errorf("lag %d, parked %v; want all parked", w.tail.Lag(), w.parked())
		}
		w.setBroken(1, nil)
		w.wantQuiet(1, 2, n)
		if got := len(w.followers(1)); got != n-1 {
			t.Errorf("%d followers, want %d", got, n-1)
		}
	})
}

func TestAHotTargetGetsLargeCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 1200
		w := newWorld(t, 0).start().register(users(n)...)
		leave := make(chan struct{})
		w.setBefore(func(context.Context, user.ID, any) error { <-leave; return nil })
		for id := user.ID(2); id <= n; id++ {
			w.follow(id, 1)
		}
		synctest.Wait()
		close(leave)
		w.wantQuiet(1, 2, n)
		if calls, largest, most := w.numbers(); largest != 128 || calls > 14 || most != 1 {
			t.Errorf("%d calls, the largest with %d effects, %d at a time; want few of up to 128, one at a time", calls, largest, most)
		}
	})
}

func TestCallsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.cfg = func(c *effects.Config) { c.MaxCalls = 4 }
		w.start().register(users(50)...)
		leave := make(chan struct{})
		w.setBefore(func(context.Context, user.ID, any) error { <-leave; return nil })
		for id := user.ID(2); id <= 50; id++ {
			w.follow(1, id)
		}
		synctest.Wait()
		close(leave)
		w.wantQuiet(users(50)...)
		if _, _, most := w.numbers(); most != 4 {
			t.Errorf("%d calls were in flight, want 4", most)
		}
	})
}

func TestARecordThatCannotBeReadGoesBy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(users(3)...)
		w.stop()
		for _, r := range []persistence.Record{
			{Kind: persistence.KindFollowed, Payload: []byte{0xff}},
			{Kind: persistence.KindUnfollowed}, // of nobody
			{Kind: 200},
		} {
			r.User = 65 // in the lane of user 1
			w.store.Append(r)
		}
		w.start()
		w.follow(1, 2)
		w.wantQuiet(users(3)...)
		if got := w.parked()[0]; got != 3 {
			t.Errorf("%d unreadable records are parked, want 3", got)
		}
		w.stop()
		w.store.Rewind(persistence.TailEffects)
		w.start()
		w.wantQuiet(users(3)...)
		if got := w.parked()[0]; got != 3 {
			t.Errorf("%d unreadable records are parked after another run, want 3", got)
		}
	})
}

func TestAFollowInFlightWhileItsTargetIsDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(users(4)...)
		entered, leave := make(chan struct{}), make(chan struct{})
		w.setBefore(func(_ context.Context, id user.ID, what any) error {
			if _, effects := what.([]usergrain.Effect); effects && id == 2 {
				entered <- struct{}{}
				<-leave
			}
			return nil
		})
		w.follow(1, 2)
		<-entered
		w.follow(3, 2)
		w.remove(2)
		w.remove(3) // a source that is gone itself
		pause(time.Second)
		go func() { <-entered }() // the second call
		close(leave)
		w.wantQuiet(users(4)...)
		if got := w.following(1); len(got) != 0 {
			t.Errorf("user 1 follows %v, who is deleted", got)
		}
	})
}

func TestASourceThatIsBrokenWhileItsTargetIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(users(3)...)
		w.remove(2)
		w.setBroken(1, usergrain.ErrBroken)
		w.follow(1, 2)
		w.follow(3, 2)
		pause(2 * time.Second)
		if got := w.following(3); len(got) != 0 {
			t.Errorf("user 3 follows %v", got)
		}
		if w.parked()[1] != 1 || w.tail.Lag() != 0 {
			t.Errorf("parked %v, lag %d; want the dropping of the edge parked for user 1", w.parked(), w.tail.Lag())
		}
		w.setBroken(1, nil)
		w.wantQuiet(users(3)...)
	})
}

func TestDeletingRepairsTheNeighbours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 1300
		w := newWorld(t, 0).start().register(users(n)...)
		for id := user.ID(2); id <= n; id++ {
			if id%3 == 0 {
				w.follow(1, id)
			}
			if id%2 == 0 {
				w.follow(id, 1)
			}
		}
		w.setBroken(10, usergrain.ErrBroken)
		w.setBroken(12, usergrain.ErrBroken)
		w.remove(1)
		pause(5 * time.Second)
		if jobs, _ := w.store.Severings(t.Context()); len(jobs) != 0 {
			t.Errorf("severings %v are still open, though only two neighbours are broken", jobs)
		}
		if w.parked()[10] == 0 || w.parked()[12] == 0 {
			t.Errorf("parked %v, want something for 10 and 12", w.parked())
		}
		w.setBroken(10, nil)
		w.setBroken(12, nil)
		w.wantQuiet(users(n)...)
	})
}

func TestDeletingErasesThePhotoHoweverOftenItTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		photos := &flakyPhotos{fail: 3}
		w := newWorld(t, 0)
		w.cfg = func(c *effects.Config) { c.Photos = photos }
		w.start().register(1, 2)
		w.follow(2, 1)
		w.remove(1)
		pause(time.Minute)
		w.wantQuiet(1, 2)
		if want := []user.ID{1, 1, 1, 1}; !slices.Equal(photos.asked, want) {
			t.Errorf("asked to erase the photos of %v, want %v", photos.asked, want)
		}
	})
}

// flakyPhotos fails a few times.
type flakyPhotos struct {
	fail  int
	asked []user.ID
}

func (p *flakyPhotos) DeletePhoto(_ context.Context, id user.ID) error {
	p.asked = append(p.asked, id)
	if len(p.asked) <= p.fail {
		return errAway
	}
	return nil
}

func TestASeveringWaitsForEarlierEffectsOfItsLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(1, 65, 3)
		leave := make(chan struct{})
		w.setBefore(func(_ context.Context, id user.ID, _ any) error {
			if id == 3 {
				<-leave
			}
			return nil
		})
		w.follow(65, 3) // another user of the same lane
		w.remove(1)
		pause(10 * time.Second)
		if w.store.Released(1) {
			t.Error("the deletion was begun while an earlier effect of the lane is owed")
		}
		close(leave)
		w.wantQuiet(1, 65, 3)
	})
}

func TestASeveringGoesOnAtItsCursor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 1100
		w := newWorld(t, 0).start().register(users(n)...)
		for id := user.ID(2); id <= n; id++ {
			w.follow(id, 1)
		}
		w.wantQuiet(1)
		var told sync.Map
		var crashes atomic.Int32
		w.setBefore(func(_ context.Context, id user.ID, _ any) error {
			if id == 900 && crashes.Load() == 0 {
				return usergrain.ErrBusy
			}
			if n, twice := told.LoadOrStore(id, 1); twice { // one goroutine a user
				told.Store(id, n.(int)+1) //nolint:errcheck // only ints
			}
			return nil
		})
		w.remove(1)
		pause(5 * time.Second)
		w.crash()
		crashes.Add(1)
		w.start()
		w.wantQuiet(users(n)...)
		if n, _ := told.Load(user.ID(400)); n != 1 {
			t.Errorf("user 400, below the cursor, was told %v times", n)
		}
	})
}

func TestCardsThatTheCacheMissedAreWrittenLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0).start().register(users(3)...)
		w.wantQuiet(users(3)...)
		w.cards.SetAway(true)
		w.follow(1, 2)
		w.remove(3)
		pause(time.Minute)
		w.cards.SetAway(false)
		pause(10 * time.Second)
		cards, err := w.cards.Get(t.Context(), users(3))
		if err != nil {
			t.Fatal(err)
		}
		if cards[0].Card.Following != 1 || cards[1].Card.Followers != 1 || !cards[2].Deleted {
			t.Errorf("the cache has %+v", cards)
		}
	})
}

func TestARegistrationThatWasNotCommittedGetsNoTombstone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		var lost atomic.Bool
		w.store = lanestest.NewStore(func(ctx context.Context, op string, arg any, do func() error) error {
			if b, ok := arg.(persistence.Batch); ok && len(b.Turns) > 0 && lost.CompareAndSwap(false, true) {
				return errAway
			}
			return w.around(ctx, op, arg, do)
		})
		w.start()
		if err := w.decide(t.Context(), 1, []user.Command{user.Register{ID: 1, UID: user.UID{1}, Username: "user1"}}); !errors.Is(err, usergrain.ErrOutcomeUnknown) {
			t.Fatalf("register: %v", err)
		}
		pause(10 * time.Second)
		w.register(1)
		cards, err := w.cards.Get(t.Context(), []user.ID{1})
		if err != nil {
			t.Fatal(err)
		}
		if cards[0] == nil || cards[0].Deleted {
			t.Errorf("the cache has %+v of a user who exists", cards[0])
		}
	})
}

func TestTheTailNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := effects.New(effects.Config{}); err == nil {
		t.Error("made a tail of nothing")
	}
}
