// Package faults_test breaks a node, without its gateway, in the ways that a
// node breaks, and looks at what is stored. Faults of one part alone are tested
// beside that part, and those of the process in test/crash and test/e2e.
package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/test/services"
	"kith/test/world"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(services.OnAllStores(m)) }

// A node whose epoch was raised by another goes on: nothing of it is written,
// nobody is answered success, and it stops.
func TestFencedNodeThatGoesOnWriting(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	ada := w.Register("ada")
	if _, err := w.DB.Acquire(t.Context(), "test", time.Minute); err != nil { // somebody else, as this node
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := w.Client.Do(t.Context(), ada.ID, user.Follow{Target: user.ID(100 + i)}); !errors.Is(err, usergrain.ErrUnavailable) {
			t.Fatalf("error %v, want unavailable", err)
		}
	}
	if !errors.Is(w.Committer.Health(), persistence.ErrFenced) {
		t.Errorf("health: %v", w.Committer.Health())
	}
	if got := w.Account(ada.ID).Following; got != 0 {
		t.Errorf("a fenced node wrote: following %d", got)
	}
}

// The process ends between a commit and its card: a cache that outlives it holds the
// older card, and is not asked for it by the next.
func TestCrashBetweenCommitAndCard(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	cache := &cutCards{}
	w := world.Start(t, world.Options{Path: path, Cards: cache.wrap, Effects: true})
	ada, bob := w.Register("ada"), w.Register("bob")
	w.Settle()
	cache.cut.Store(true) // from here on nothing reaches it, as after a kill
	w.Do(ada.ID, user.Follow{Target: bob.ID})
	name := "Ada L"
	w.Do(ada.ID, user.UpdateProfile{Name: &name})
	cut := cache.get(t, ada.ID)
	w.Stop()
	if cut.Card.Name != "ada" {
		t.Fatalf("the cache was to be older: %+v", cut.Card)
	}

	cache.cut.Store(false)
	w = world.Start(t, world.Options{Path: path, Cards: cache.wrap, Effects: true})
	w.Settle()
	if c := cache.get(t, ada.ID); c != nil && (c.Card.Name != name || c.Card.Following != 1) {
		t.Errorf("the next finds %+v, from before", c.Card)
	}
	w.Do(ada.ID, user.Unfollow{Target: bob.ID})
	if c := cache.get(t, ada.ID); c == nil || c.Card.Name != name || c.Card.Following != 0 {
		t.Errorf("the next finds %+v, and not what it has put", c)
	}
}

// cutCards is the cache of a node, which can be cut off from it.
type cutCards struct {
	persistence.Cards
	cut atomic.Bool
}

func (c *cutCards) wrap(inner persistence.Cards) persistence.Cards {
	c.Cards = inner
	return c
}

func (c *cutCards) Put(ctx context.Context, cards []*persistence.CachedCard) error {
	if c.cut.Load() {
		return nil
	}
	return c.Cards.Put(ctx, cards) //nolint:wrapcheck // it is what the cache says
}

func (c *cutCards) get(t *testing.T, id user.ID) *persistence.CachedCard {
	t.Helper()
	cards, err := c.Get(t.Context(), []user.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	return cards[0]
}

// rewind puts the marks of all tails back to the start: everything is delivered
// again.
func rewind(t *testing.T, path string) {
	t.Helper()
	world.Change(t, path, `UPDATE tails SET pos = 0`)
}

// Follows that were committed while their target was being deleted leave nothing
// behind.
func TestFollowInFlightWhileItsTargetIsDeleted(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{Effects: true})
	const fans = 40
	for round := range 5 {
		star := w.Register(fmt.Sprintf("star%d", round))
		var ids []user.ID
		for i := range fans {
			ids = append(ids, w.Register(fmt.Sprintf("fan%d_%d", round, i)).ID)
		}
		var wg sync.WaitGroup
		for i, id := range ids {
			wg.Go(func() { w.Do(id, user.Follow{Target: star.ID}) })
			wg.Go(func() {
				_, err := w.Client.Do(t.Context(), star.ID, user.Follow{Target: ids[(i+1)%fans]})
				if err != nil && !errors.Is(err, user.ErrDeleted) {
					t.Errorf("the star follows: %v", err)
				}
			})
			if i == fans/2 {
				wg.Go(func() { w.Do(star.ID, user.Delete{}) })
				break // the rest follow somebody who is going, or gone
			}
		}
		wg.Wait()
		for _, id := range ids[fans/2:] {
			w.Do(id, user.Follow{Target: star.ID}) // as far as the caller knows
		}
		w.Settle()
		for _, id := range ids {
			if a := w.Account(id); a.Following != 0 || a.Followers != 0 {
				t.Errorf("round %d: user %d has %d following, %d followers", round, id, a.Following, a.Followers)
			}
		}
	}
}

// Everything is delivered again, long after the edges changed, and nothing moves.
func TestEffectsDeliveredAgainAfterTheEdgeChanged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	w := world.Start(t, world.Options{Path: path, Effects: true})
	ada, bob, eve := w.Register("ada"), w.Register("bob"), w.Register("eve")
	for _, c := range []user.Command{user.Follow{Target: bob.ID}, user.Unfollow{Target: bob.ID}, user.Follow{Target: bob.ID}, user.Follow{Target: eve.ID}, user.Unfollow{Target: eve.ID}} {
		w.Do(ada.ID, c)
		w.Settle()
	}
	for range 3 {
		before := *w.Account(bob.ID)
		w.Stop()
		rewind(t, path)
		w = world.Start(t, world.Options{Path: path, Effects: true})
		w.Settle()
		if b := w.Account(bob.ID); b.Followers != 1 || b.Version != before.Version {
			t.Errorf("bob: %d followers, version %d, was %d", b.Followers, b.Version, before.Version)
		}
		if e := w.Account(eve.ID); e.Followers != 0 {
			t.Errorf("eve: %d followers", e.Followers)
		}
	}
}

// A target whose history cannot be read holds up nobody, and gets what it missed
// once it is mended.
func TestTargetThatCannotActivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	w := world.Start(t, world.Options{Path: path, Effects: true})
	ada, bob, eve, kim := w.Register("ada"), w.Register("bob"), w.Register("eve"), w.Register("kim")
	w.Do(kim.ID, user.Follow{Target: bob.ID})
	w.Settle()
	w.Stop()
	world.Change(t, path, fmt.Sprintf(`UPDATE journal SET kind = 99 WHERE user_id = %d AND seq = 1`, bob.ID))

	w = world.Start(t, world.Options{Path: path, Effects: true})
	w.Do(ada.ID, user.Follow{Target: bob.ID})
	w.Do(ada.ID, user.Follow{Target: eve.ID})
	w.Do(ada.ID, user.Unfollow{Target: bob.ID})
	w.Do(ada.ID, user.Follow{Target: bob.ID})
	w.Do(eve.ID, user.Follow{Target: bob.ID})
	w.Do(kim.ID, user.Delete{}) // bob holds an edge to somebody who is gone
	w.Eventually("eve's follower", func() bool { return w.Account(eve.ID).Followers == 1 })
	var report usergrain.Report
	w.Eventually("all that is bob's to be parked", func() bool {
		report = w.Verify()
		return report.Behind == 0 && report.Severings == 0
	})
	if report.Parked != 5 || report.Differences != 1 || report.Findings[0].User != bob.ID || !strings.Contains(report.Findings[0].What, "cannot be read") {
		t.Errorf("verify: %+v", report)
	}
	w.Stop()

	world.Change(t, path, fmt.Sprintf(`UPDATE journal SET kind = 1 WHERE user_id = %d AND seq = 1`, bob.ID))
	w = world.Start(t, world.Options{Path: path, Effects: true})
	w.Settle()
	if b := w.Account(bob.ID); b.Followers != 2 {
		t.Errorf("bob has %d followers, want 2", b.Followers)
	}
}

// A record that no effect can be read from is passed by and named.
func TestRecordThatCannotBeDecodedIsPassedBy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	w := world.Start(t, world.Options{Path: path}) // no tail yet
	ada, bob := w.Register("ada"), w.Register("bob")
	w.Do(ada.ID, user.Follow{Target: bob.ID})
	w.Do(ada.ID, user.Follow{Target: 77})
	w.Do(bob.ID, user.Follow{Target: ada.ID})
	w.Stop()
	world.Change(t, path, fmt.Sprintf(`UPDATE journal SET payload = %s WHERE user_id = %d AND seq = 2`, world.Bytes([]byte{0xff}), ada.ID))

	var log strings.Builder
	w = world.Start(t, world.Options{Path: path, Effects: true, Log: &log})
	var report usergrain.Report
	w.Eventually("the tail to pass it", func() bool { report = w.Verify(); return report.Behind == 0 })
	found := fmt.Sprint(report.Findings)
	if !strings.Contains(found, "is parked") || !strings.Contains(found, "record 2 cannot be read") {
		t.Errorf("verify: %s", found)
	}
	w.Stop()
	if strings.Contains(log.String(), "ada") {
		t.Error("the log names somebody")
	}
}

// The tail stops in the middle, again and again, while people follow and leave.
func TestTailThatStopsAnywhere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	var ids []user.ID
	for round := range 8 {
		w := world.Start(t, world.Options{Path: path, Effects: true})
		for i := range 10 {
			ids = append(ids, w.Register(fmt.Sprintf("user%d_%d", round, i)).ID)
		}
		var wg sync.WaitGroup
		for i, id := range ids {
			wg.Go(func() {
				for k := range 6 {
					target := ids[(i*7+k*3+round)%len(ids)]
					_, err := w.Client.Do(context.Background(), id, user.Follow{Target: target})
					if err != nil && !errors.Is(err, user.ErrSelfFollow) && !errors.Is(err, user.ErrDeleted) {
						t.Errorf("follow: %v", err)
					}
				}
			})
		}
		wg.Wait()
		w.Do(ids[round*7], user.Delete{})
		w.Stop() // with effects under way
		if r := func() usergrain.Report {
			w := world.Start(t, world.Options{Path: path})
			defer w.Stop()
			return w.Verify()
		}(); r.Differences > 0 {
			t.Fatalf("round %d: %+v", round, r)
		}
	}
	w := world.Start(t, world.Options{Path: path, Effects: true})
	w.Settle()
}

// A hundred thousand operations by many clients, in rounds that end in the middle
// of everything, with commits that fail: on both sides of every edge, and in
// every counter, is what the journals say.
func TestCountersEqualEdgesAfterAHundredThousandOperations(t *testing.T) {
	t.Parallel()
	const rounds, workers, each, users = 10, 100, 100, 400
	path := filepath.Join(t.TempDir(), "kith.db")
	var ids []user.ID
	var done atomic.Int64
	for round := range rounds {
		var j world.Journal
		w := world.Start(t, world.Options{Path: path, Effects: true, Journal: j.Wrap})
		for range users / rounds {
			ids = append(ids, w.Register(fmt.Sprintf("user%d", len(ids))).ID)
		}
		var n atomic.Int64
		j.OnCommit(func(_ context.Context, _ persistence.Batch, next func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
			if n.Add(1)%50 == 0 {
				_, err := next()
				return nil, errors.Join(err, errors.New("the answer is lost"))
			}
			return next()
		})
		var wg sync.WaitGroup
		crash := make(chan struct{})
		for worker := range workers {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(round), uint64(worker)))
				for i := range each {
					if worker == 0 && i == each*9/10 {
						close(crash)
					}
					operate(w.Client, random, ids)
					done.Add(1)
				}
			})
		}
		<-crash
		w.Crash()
		wg.Wait()
	}
	if done.Load() != rounds*workers*each {
		t.Fatalf("%d operations", done.Load())
	}
	w := world.Start(t, world.Options{Path: path, Effects: true})
	if r := w.Settle(); r.Edges < users {
		t.Errorf("only %d edges are left: %+v", r.Edges, r)
	}
}

// operate does one random thing. What becomes of it is not asked: it may be
// refused, or end with the node.
func operate(c *usergrain.Client, random *rand.Rand, ids []user.ID) {
	ctx := context.Background()
	id, other := ids[random.IntN(len(ids))], ids[random.IntN(len(ids))]
	var command user.Command
	switch n := random.IntN(100); {
	case n < 45:
		command = user.Follow{Target: other}
	case n < 60:
		command = user.Follow{Target: ids[0]} // a star
	case n < 85:
		command = user.Unfollow{Target: other}
	case n < 90:
		command = user.FollowCrew{Crew: 1 + random.Int64N(50)}
	case n < 95:
		command = user.UnfollowCrew{Crew: 1 + random.Int64N(50)}
	case n < 99:
		public := random.IntN(2) == 0
		command = user.SetPrivacy{Profile: &public}
	default:
		if random.IntN(20) > 0 || id == ids[0] {
			return
		}
		command = user.Delete{}
	}
	_, _ = c.Do(ctx, id, command)
}
