package usergrain_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/test/world"
)

func TestIdleActivationsPassivate(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(time.Now().UnixMicro())
	w := world.Start(t, world.Options{Host: func(c *usergrain.Config) {
		c.Now = func() time.Time { return time.UnixMicro(clock.Load()) }
		c.IdleAfter, c.SweepEvery = time.Hour, time.Millisecond
	}})
	ada, bob := w.Register("ada"), w.Register("bob")
	w.Do(ada.ID, follow(bob.ID))
	clock.Add(2 * time.Hour.Microseconds())
	w.Eventually("both to passivate", func() bool { return w.Node.Count() == 0 })
	w.Eventually("the snapshot", func() bool {
		h, err := w.DB.Load(t.Context(), []user.ID{ada.ID})
		return err == nil && h[0].Snapshot != nil && h[0].Snapshot.Seq == 2 && len(h[0].Records) == 0
	})
	if r := w.Do(ada.ID, follow(bob.ID)); r.Changed || r.Account.Following != 1 {
		t.Errorf("after passivation: %+v", r)
	}
}

func TestCapPassivatesTheLongestIdle(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(time.Now().UnixMicro())
	w := world.Start(t, world.Options{Host: func(c *usergrain.Config) {
		c.Now = func() time.Time { return time.UnixMicro(clock.Load()) }
		c.MaxActivations, c.SweepEvery = 10, time.Millisecond
	}})
	var ids []user.ID
	for i := range 40 {
		clock.Add(time.Second.Microseconds())
		ids = append(ids, w.Register(fmt.Sprintf("user%d", i)).ID)
	}
	w.Eventually("the excess to passivate", func() bool { return w.Node.Count() <= 10 })
	last := strconv.FormatUint(uint64(ids[39]), 10)
	if w.Node.Lookup(last, "User") == nil {
		t.Error("the one used last was passivated")
	}
}

func TestSnapshotIsSavedAndNotNeeded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	w := world.Start(t, world.Options{Path: path})
	ada := w.Register("ada")
	for i := range 300 {
		w.Do(ada.ID, follow(user.ID(1000+i)))
	}
	w.Eventually("a snapshot", func() bool {
		h, err := w.DB.Load(t.Context(), []user.ID{ada.ID})
		return err == nil && h[0].Snapshot != nil && h[0].Snapshot.Seq >= 256
	})
	w.Stop()

	spoil(t, path, `UPDATE snapshots SET state = x'0badc0de'`)
	w = world.Start(t, world.Options{Path: path})
	if r := w.Do(ada.ID, follow(1000)); r.Changed || r.Account.Following != 300 {
		t.Errorf("from the journal alone: %+v", r)
	}
}

// A snapshot remembers newest events as they were; those that were deleted since are
// not to be found different from the journal, in which they are blank.
func TestASnapshotFromBeforeADeletionVerifies(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{Path: filepath.Join(t.TempDir(), "kith.db")})
	ada := w.Register("ada")
	for i := range 300 {
		w.Do(ada.ID, user.RecordActivity{Activity: view(fmt.Sprint("e", i))})
	}
	remembered := ""
	w.Eventually("a snapshot", func() bool {
		h, err := w.DB.Load(t.Context(), []user.ID{ada.ID})
		if err != nil || h[0].Snapshot == nil {
			return false
		}
		saved, err := usergrain.DecodeSnapshot(h[0].Snapshot.State)
		if err != nil || len(saved.Recent) == 0 {
			return false
		}
		remembered = saved.Recent[len(saved.Recent)-1].ID
		return true
	})
	w.Do(ada.ID, user.DeleteActivity{EventID: remembered})
	if r := w.Verify(); r.Differences > 0 {
		t.Errorf("%+v", r)
	}
}

func TestRecordThatCannotBeDecodedStopsOneGrain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	w := world.Start(t, world.Options{Path: path, Effects: true})
	ada, bob := w.Register("ada"), w.Register("bob")
	w.Do(ada.ID, follow(bob.ID))
	w.Settle()
	w.Stop()
	spoil(t, path, `UPDATE journal SET payload = x'ff' WHERE user_id = 1 AND seq = 2`)

	var log syncBuffer
	w = world.Start(t, world.Options{Path: path, Log: &log})
	if _, err := w.Client.Do(t.Context(), ada.ID, follow(5)); !errors.Is(err, usergrain.ErrBroken) {
		t.Fatalf("error %v, want broken", err)
	}
	w.Do(bob.ID, follow(ada.ID)) // the others go on
	if !log.Contains("kith verify") || !log.Contains("user_id=1") {
		t.Errorf("the log does not help: %s", log.String())
	}
	if r := w.Verify(); r.Differences != 1 || r.Findings[0].User != ada.ID {
		t.Errorf("verify: %+v", r)
	}
}

func TestGapStopsOneGrain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	w := world.Start(t, world.Options{Path: path})
	ada, bob := w.Register("ada"), w.Register("bob")
	w.Do(ada.ID, follow(bob.ID))
	w.Do(ada.ID, follow(77))
	w.Stop()
	spoil(t, path, `DELETE FROM journal WHERE user_id = 1 AND seq = 2`)
	w = world.Start(t, world.Options{Path: path})
	if _, err := w.Client.Do(t.Context(), ada.ID, follow(5)); !errors.Is(err, usergrain.ErrBroken) {
		t.Fatalf("error %v, want broken", err)
	}
	w.Do(bob.ID, follow(5))
}

func TestTombstone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	w := world.Start(t, world.Options{Path: path})
	ada := w.Register("ada")
	w.Do(ada.ID, user.Delete{})
	for range 2 {
		if _, err := w.Client.Do(t.Context(), ada.ID, follow(5)); !errors.Is(err, user.ErrDeleted) {
			t.Errorf("error %v, want deleted", err)
		}
		err := w.Client.Deliver(t.Context(), ada.ID, []usergrain.Effect{{Source: 9, Lane: 9, Pos: 1, At: time.Now()}})
		if !errors.Is(err, user.ErrDeleted) {
			t.Errorf("a new follower: error %v, want deleted", err)
		}
		if err := w.Client.Deliver(t.Context(), ada.ID, []usergrain.Effect{{Source: 9, Lane: 9, Pos: 2, Removed: true}}); err != nil {
			t.Errorf("a follower less: %v", err)
		}
		for _, c := range []user.Command{user.Sever{Gone: 9}, user.Delete{}} { // satisfied
			if r, err := w.Client.Do(t.Context(), ada.ID, c); err != nil || r.Changed {
				t.Errorf("%T: %+v, error %v", c, r, err)
			}
		}
		w.Stop()
		w = world.Start(t, world.Options{Path: path}) // from the tombstone
	}
	again := w.Register("ada") // the name is free
	if again.ID == ada.ID {
		t.Error("an id came back")
	}
}

func TestEventIDsAreUniqueForEver(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	ada := w.Register("ada")
	record := func(id string) error {
		_, err := w.Client.Do(t.Context(), ada.ID, user.RecordActivity{Activity: user.Activity{EventID: id, Type: user.ActivityView, MovieID: 1, OccurredAt: time.Now().UTC()}})
		return err
	}
	for i := range 2 * user.MaxRecent { // more than the grain remembers
		if err := record(fmt.Sprintf("e%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	w.Do(ada.ID, user.DeleteActivity{EventID: "e1"})

	var wg sync.WaitGroup
	for id, want := range map[string]error{"e0": user.ErrAlreadyRecorded, "e1": user.ErrEventDeleted, "new": nil} {
		wg.Go(func() { // in one turn, or in several
			if err := record(id); !errors.Is(err, want) {
				t.Errorf("record %s: %v, want %v", id, err, want)
			}
		})
	}
	wg.Wait()
	for id, want := range map[string]error{"e1": user.ErrEventNotFound, "never": user.ErrEventNotFound, "e2": nil} {
		if _, err := w.Client.Do(t.Context(), ada.ID, user.DeleteActivity{EventID: id}); !errors.Is(err, want) {
			t.Errorf("delete %s: %v, want %v", id, err, want)
		}
	}
	if r := w.Verify(); r.Differences > 0 {
		t.Errorf("%+v", r)
	}
}

func TestDeletingWhatIsNotThereEndsNoActivation(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	ada := w.Register("ada")
	before := w.Node.Lookup("1", "User")
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for i := range 20 {
				_, err := w.Client.Do(context.Background(), ada.ID, user.DeleteActivity{EventID: fmt.Sprintf("never%d_%d", worker, i)})
				if !errors.Is(err, user.ErrEventNotFound) {
					t.Errorf("error %v, want not found", err)
				}
			}
		})
	}
	wg.Wait()
	if after := w.Node.Lookup("1", "User"); after == nil || after.GetId() != before.GetId() {
		t.Error("the activation ended")
	}
}

func TestActivationsAreLoadedTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	w := world.Start(t, world.Options{Path: path})
	const users = 300
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() { w.Register(fmt.Sprintf("user%d", i)) })
	}
	wg.Wait()
	w.Stop()

	held := &holdLoads{leave: make(chan struct{})}
	w = world.Start(t, world.Options{Path: path, Journal: func(j persistence.Journal) persistence.Journal { held.Journal = j; return held }})
	for id := range user.ID(users) {
		wg.Go(func() {
			if err := w.Client.Activate(context.Background(), id+1); err != nil {
				t.Errorf("activate %d: %v", id+1, err)
			}
		})
	}
	w.Eventually("all to ask for their state", func() bool { return usergrain.Waiting(w.Host) == users })
	close(held.leave)
	wg.Wait()
	// Those that were held, and then one for all the rest, or two.
	if n := held.loads.Load(); n > usergrain.LoaderWorkers+2 {
		t.Errorf("%d activations took %d loads", users, n)
	}
}

// holdLoads is a journal whose loads wait until they may go.
type holdLoads struct {
	persistence.Journal
	leave chan struct{}
	loads atomic.Int64
}

func (h *holdLoads) Load(ctx context.Context, ids []user.ID) ([]persistence.History, error) {
	h.loads.Add(1)
	<-h.leave
	return h.Journal.Load(ctx, ids) //nolint:wrapcheck // it is what the journal says
}

func TestWarmActivatesInTheBackground(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	w := world.Start(t, world.Options{Path: path})
	ada := w.Register("ada")
	w.Stop()
	w = world.Start(t, world.Options{Path: path})
	if _, known := w.Client.Follows(ada.ID, 5); known {
		t.Error("known without an activation")
	}
	w.Client.Warm(ada.ID)
	w.Eventually("the activation", func() bool { _, known := w.Client.Follows(ada.ID, 5); return known })
}
