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

func follow(id user.ID) user.Command { return user.Follow{Target: id} }

func TestAnswersComeAfterTheCommit(t *testing.T) {
	t.Parallel()
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap})
	ada, bob := w.Register("ada"), w.Register("bob")

	entered, leave := make(chan struct{}), make(chan struct{})
	j.OnCommit(func(_ context.Context, _ persistence.Batch, next func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		entered <- struct{}{}
		<-leave
		return next()
	})
	var answered atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		w.Do(ada.ID, follow(bob.ID))
		answered.Store(true)
	})
	<-entered
	if answered.Load() {
		t.Error("answered before the commit")
	}
	if follows, known := w.Client.Follows(ada.ID, bob.ID); follows || !known {
		t.Errorf("before the commit: follows %t, known %t", follows, known)
	}
	leave <- struct{}{}
	wg.Wait()
	if follows, known := w.Client.Follows(ada.ID, bob.ID); !follows || !known {
		t.Errorf("after the commit: follows %t, known %t", follows, known)
	}
}

func TestTurnTakesAllThatWait(t *testing.T) {
	t.Parallel()
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap})
	ada := w.Register("ada")
	before := j.Commits()

	const waiting = 200
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	var first sync.Once
	j.OnCommit(func(_ context.Context, _ persistence.Batch, next func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		first.Do(func() { entered <- struct{}{}; <-leave })
		return next()
	})
	var wg sync.WaitGroup
	wg.Go(func() { w.Do(ada.ID, follow(1000)) })
	<-entered
	for i := range waiting {
		wg.Go(func() { w.Do(ada.ID, follow(user.ID(2000+i))) })
	}
	w.Eventually("all commands to wait in the grain", func() bool { return usergrain.Waiting(w.Host) == waiting })
	close(leave)
	wg.Wait()
	if n := j.Commits() - before; n != 2 {
		t.Errorf("%d commands took %d commits, want 2", waiting+1, n)
	}
	if got := w.Account(ada.ID).Following; got != waiting+1 {
		t.Errorf("following %d, want %d", got, waiting+1)
	}
}

func TestTurnNetsOutWhatItUndoes(t *testing.T) {
	t.Parallel()
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap})
	ada, bob := w.Register("ada"), w.Register("bob")
	w.Do(ada.ID, follow(bob.ID))

	var turns []*persistence.Turn
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	var first sync.Once
	j.OnCommit(func(_ context.Context, b persistence.Batch, next func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		first.Do(func() { entered <- struct{}{}; <-leave })
		turns = append(turns, b.Turns...)
		return next()
	})
	var wg sync.WaitGroup
	wg.Go(func() { w.Do(ada.ID, follow(1000)) })
	<-entered
	for i, c := range []user.Command{
		user.Unfollow{Target: bob.ID}, follow(bob.ID), // existed: replaced
		follow(7), user.Unfollow{Target: 7}, // did not: nothing
		follow(8),
	} {
		wg.Go(func() { w.Do(ada.ID, c) })
		w.Eventually("the command to wait", func() bool { return usergrain.Waiting(w.Host) == i+1 })
	}
	close(leave)
	wg.Wait()
	if len(turns) != 2 || len(turns[1].Records) != 5 {
		t.Fatalf("turns: %+v", turns)
	}
	if edges := turns[1].Following; len(edges) != 2 || edges[0].ID != uint64(bob.ID) || edges[0].Removed || edges[1].ID != 8 {
		t.Errorf("row changes: %+v", edges)
	}
	if got := w.Account(ada.ID).Following; got != 3 {
		t.Errorf("following %d, want 3", got)
	}
	w.Stop()
}

func TestTwoActivationsOfOneUser(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	ada := w.Register("ada")
	identity := strconv.FormatUint(uint64(ada.ID), 10)
	first := w.Node.Lookup(identity, "User")
	w.Node.Deregister(identity, "User", first) // alive, but no longer found

	w.Do(ada.ID, follow(100)) // by a second activation
	second := w.Node.Lookup(identity, "User")
	if second == nil || second.GetId() == first.GetId() {
		t.Fatal("there is no second activation")
	}
	// The first one decides on what it knows, fails its guard, and stops; its
	// caller is answered by an activation that knows the truth.
	if r, err := usergrain.ExecuteAt(w.Client, first, user.Follow{Target: 100}); err != nil || r != nil {
		t.Errorf("the stale activation answered %v, %v; want a dead letter", r, err)
	}
	w.Eventually("the stale activation to end", func() bool { return w.Node.Count() == 1 })
	w.Do(ada.ID, follow(101))
	if got := w.Account(ada.ID).Following; got != 2 {
		t.Errorf("following %d, want 2", got)
	}
	if r := w.Verify(); r.Differences > 0 {
		t.Errorf("%+v", r)
	}
}

func TestAnswerOfCommitIsLost(t *testing.T) {
	t.Parallel()
	for name, written := range map[string]bool{"written": true, "not written": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var j world.Journal
			w := world.Start(t, world.Options{Journal: j.Wrap})
			ada := w.Register("ada")
			epoch := w.Committer.Node().Epoch
			var once sync.Once
			j.OnCommit(func(_ context.Context, _ persistence.Batch, next func() ([]persistence.Outcome, error)) (o []persistence.Outcome, err error) {
				lost := false
				once.Do(func() {
					lost = true
					if written {
						_, err = next()
					}
				})
				if lost {
					return nil, errors.Join(err, errors.New("connection lost"))
				}
				return next()
			})
			_, err := w.Client.Do(t.Context(), ada.ID, follow(100))
			if !errors.Is(err, usergrain.ErrOutcomeUnknown) {
				t.Fatalf("error %v, want outcome unknown", err)
			}
			w.Eventually("the committer to recover", func() bool { return w.Committer.Health() == nil })
			if w.Committer.Node().Epoch <= epoch {
				t.Error("the epoch was not raised")
			}
			r := w.Do(ada.ID, follow(100)) // again, by a new activation
			if r.Changed == written {
				t.Errorf("sent again: changed %t", r.Changed)
			}
			if got := w.Account(ada.ID).Following; got != 1 {
				t.Errorf("following %d, want 1", got)
			}
			if r := w.Verify(); r.Differences > 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// slowRaise is an owner of lanes whose raise waits, as for a batch that is still
// being committed.
type slowRaise struct {
	persistence.Lanes
	entered, leave chan struct{}
}

func (s slowRaise) Raise(ctx context.Context, n persistence.Node) (persistence.Node, error) {
	s.entered <- struct{}{}
	<-s.leave
	return s.Lanes.Raise(ctx, n) //nolint:wrapcheck // it is what the lanes say
}

// The database goes on committing a batch whose client has given up. Whoever
// activates in between must not live on with what was true before.
func TestNobodyActivatesWhileAnOutcomeIsSettled(t *testing.T) {
	t.Parallel()
	var j world.Journal
	raise := slowRaise{entered: make(chan struct{}), leave: make(chan struct{})}
	w := world.Start(t, world.Options{Journal: j.Wrap, Lanes: func(l persistence.Lanes) persistence.Lanes { raise.Lanes = l; return raise }})
	ada := w.Register("ada")
	late := make(chan persistence.Batch, 1)
	j.OnCommit(func(_ context.Context, b persistence.Batch, _ func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		late <- b
		return nil, errors.New("connection lost")
	})
	if _, err := w.Client.Do(t.Context(), ada.ID, follow(100)); !errors.Is(err, usergrain.ErrOutcomeUnknown) {
		t.Fatalf("error %v, want outcome unknown", err)
	}
	j.OnCommit(nil)
	<-raise.entered
	if err := w.Client.Activate(t.Context(), ada.ID); !errors.Is(err, usergrain.ErrUnavailable) {
		t.Errorf("an activation before the outcome is settled: %v, want unavailable", err)
	}
	if _, err := w.DB.Commit(t.Context(), <-late); err != nil { // now the batch is through
		t.Error(err)
	}
	close(raise.leave)
	w.Eventually("the committer to recover", func() bool { return w.Committer.Health() == nil })
	if r := w.Do(ada.ID, user.Unfollow{Target: 100}); !r.Changed {
		t.Error("an activation from before the batch answered")
	}
}

func TestRefusedCommitAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap})
	ada := w.Register("ada")
	full := fmt.Errorf("disk full: %w", persistence.ErrNotCommitted)
	j.OnCommit(func(context.Context, persistence.Batch, func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		return nil, full
	})
	for range 3 {
		if _, err := w.Client.Do(t.Context(), ada.ID, follow(100)); !errors.Is(err, usergrain.ErrUnavailable) {
			t.Fatalf("error %v, want unavailable", err)
		}
	}
	if got := w.Account(ada.ID).Following; got != 0 {
		t.Errorf("following %d", got)
	}
	j.OnCommit(nil)
	w.Eventually("writes to be taken again", func() bool {
		_, err := w.Client.Do(t.Context(), ada.ID, follow(100))
		return err == nil
	})
	if got := w.Account(ada.ID).Following; got != 1 {
		t.Errorf("following %d, want 1", got)
	}
}

func TestRefusalMayRestOnTheTurnAndWaitsForIt(t *testing.T) {
	t.Parallel()
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap})
	ada := w.Register("ada")
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	j.OnCommit(func(_ context.Context, _ persistence.Batch, next func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		entered <- struct{}{}
		<-leave
		return next()
	})
	var wg sync.WaitGroup
	wg.Go(func() { w.Do(ada.ID, user.Delete{}) })
	<-entered
	refused := make(chan error, 1)
	go func() {
		_, err := w.Client.Do(t.Context(), ada.ID, follow(100))
		refused <- err
	}()
	w.Eventually("the command to wait", func() bool { return usergrain.Waiting(w.Host) == 1 })
	close(leave)
	if err := <-refused; !errors.Is(err, user.ErrDeleted) {
		t.Errorf("error %v, want deleted", err)
	}
	wg.Wait()
}

func TestWhatADeletionTakesAlongIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap})
	ada := w.Register("ada")
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	var first sync.Once
	j.OnCommit(func(_ context.Context, _ persistence.Batch, next func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		first.Do(func() { entered <- struct{}{}; <-leave })
		return next()
	})
	var wg sync.WaitGroup
	wg.Go(func() { w.Do(ada.ID, follow(1000)) })
	<-entered
	name := "Augusta"
	for i, c := range []struct {
		command user.Command
		want    error
	}{{user.UpdateProfile{Name: &name}, user.ErrDeleted}, {user.Delete{}, nil}, {user.Sever{Gone: 1000}, nil}} {
		wg.Go(func() { // all in the turn of the deletion
			if _, err := w.Client.Do(context.Background(), ada.ID, c.command); !errors.Is(err, c.want) {
				t.Errorf("%T: %v, want %v", c.command, err, c.want)
			}
		})
		w.Eventually("the command to wait", func() bool { return usergrain.Waiting(w.Host) == i+1 })
	}
	close(leave)
	wg.Wait()
}

func TestFullGrainIsBusy(t *testing.T) {
	t.Parallel()
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap})
	ada := w.Register("ada")
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	var first sync.Once
	j.OnCommit(func(_ context.Context, _ persistence.Batch, next func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		first.Do(func() { entered <- struct{}{}; <-leave })
		return next()
	})
	var busy, done atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() { w.Do(ada.ID, follow(1000)) })
	<-entered
	for i := range usergrain.MaxWaiting + 50 {
		wg.Go(func() {
			switch _, err := w.Client.Do(context.Background(), ada.ID, follow(user.ID(2000+i))); {
			case err == nil:
				done.Add(1)
			case errors.Is(err, usergrain.ErrBusy):
				busy.Add(1)
			default:
				t.Errorf("error %v", err)
			}
		})
	}
	w.Eventually("the grain to refuse", func() bool { return busy.Load() == 50 })
	close(leave)
	wg.Wait()
	if done.Load() != usergrain.MaxWaiting {
		t.Errorf("%d done, want %d", done.Load(), usergrain.MaxWaiting)
	}
	if got := w.Account(ada.ID).Following; got != usergrain.MaxWaiting+1 {
		t.Errorf("following %d", got)
	}
}

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
