package usergrain_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

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
	entered, leave := j.HoldNext()
	var wg sync.WaitGroup
	wg.Go(func() { w.Do(ada.ID, follow(1000)) })
	<-entered
	for i := range waiting {
		wg.Go(func() { w.Do(ada.ID, follow(user.ID(2000+i))) })
	}
	w.Eventually("all commands to wait in the grain", func() bool { return usergrain.Waiting(w.Host) == waiting })
	leave()
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
	for _, edge := range turns[1].Following {
		r := turns[1].Records[edge.Seq-turns[1].Version-1]
		e, err := usergrain.DecodeRecord(&r)
		if followed, ok := e.(user.Followed); err != nil || !ok || followed.Target != user.ID(edge.ID) {
			t.Errorf("edge %+v began with %#v, error %v", edge, e, err)
		}
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
	entered, leave := j.HoldNext()
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
	leave()
	wg.Wait()
}

func TestFullGrainIsBusy(t *testing.T) {
	t.Parallel()
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap})
	ada := w.Register("ada")
	entered, leave := j.HoldNext()
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
	leave()
	wg.Wait()
	if done.Load() != usergrain.MaxWaiting {
		t.Errorf("%d done, want %d", done.Load(), usergrain.MaxWaiting)
	}
	if got := w.Account(ada.ID).Following; got != usergrain.MaxWaiting+1 {
		t.Errorf("following %d", got)
	}
}
