package live_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kith/actors/user"
	"kith/gateway/live"
	"kith/persistence"
)

func TestAFollowerIsToldOfWhatTheyMaySee(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		w.follow(ada, bob)
		session, s := w.attach(ada, "")
		defer session.Detach()
		s.expect(t, "ready ada")
		w.does(bob, user.ActivityRating, "r1")
		w.does(bob, user.ActivityView, "hidden")
		w.does(cyd, user.ActivityRating, "stranger")
		got := s.expect(t, "activity bob r1")
		if want := "00000000000000000000000000000002/2"; len(got) == 1 && got[0].ID != want {
			t.Errorf("its id is %s, want %s", got[0].ID, want)
		}

		w.commit(bob, user.PrivacySet{Privacy: user.Privacy{WatchHistory: true, Ratings: true}, At: time.Now()})
		w.does(bob, user.ActivityRating, "private")
		s.expect(t, "")
		w.commit(bob, user.Followed{Target: ada, At: time.Now()}) // opens the profile
		w.does(bob, user.ActivityView, "v1")
		s.expect(t, "activity bob v1")
		w.commit(bob, user.Unfollowed{Target: ada, At: time.Now()})
		w.does(bob, user.ActivityView, "v2")
		s.expect(t, "")
	})
}

func TestAnUnfollowHoldsForOpenSockets(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		session, s := w.attach(ada, "")
		defer session.Detach()
		w.follow(ada, bob)
		w.does(bob, user.ActivityRating, "r1")
		w.commit(ada, user.Unfollowed{Target: bob, At: time.Now()})
		synctest.Wait()
		w.does(bob, user.ActivityRating, "r2")
		frames := s.frames(t)
		for _, f := range frames {
			if f.Data.Event.EventID == "r2" {
				t.Errorf("told: %s", told(frames))
			}
		}
		if last := frames[len(frames)-1]; last.Type != live.TypeCounters || last.Data.Following != 0 {
			t.Errorf("the last is %+v", last)
		}
	})
}

func TestANewFollowerIsToldToAllSocketsOfAUser(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		first, one := w.attach(bob, "")
		defer first.Detach()
		second, two := w.attach(bob, "")
		defer second.Detach()
		w.follow(ada, bob)
		got := one.expect(t, "ready bob, follower.added ada, counters bob")
		two.expect(t, "ready bob, follower.added ada, counters bob")
		if got[len(got)-1].Data.Followers != 1 {
			t.Errorf("counters: %+v", got[len(got)-1])
		}
	})
}

func TestAWatchShowsAStranger(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		session, s := w.attach(ada, "")
		defer session.Detach()
		if err := errors.Join(session.Watch(bob), session.Watch(bob)); err != nil {
			t.Fatal(err)
		}
		w.does(bob, user.ActivityRating, "r1")
		w.commit(bob, user.ProfileUpdated{Name: "Bob", At: time.Now()})
		w.follow(cyd, bob)
		s.expect(t, "ready ada, activity bob r1, profile.updated bob, counters bob")
		session.Unwatch(bob)
		w.does(bob, user.ActivityRating, "r2")
		s.expect(t, "")
		for id := user.ID(10); id < 110; id++ {
			if err := session.Watch(id); err != nil {
				t.Fatal(err)
			}
		}
		if err := session.Watch(bob); !errors.Is(err, live.ErrTooManyWatches) {
			t.Errorf("the 101st watch: %v", err)
		}
	})
}

func TestACursorFollowsWhatWasSentAndResumes(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		w.follow(ada, bob)
		session, s := w.attach(ada, "")
		w.does(bob, user.ActivityRating, "r1")
		synctest.Wait()
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's own time
		frames := s.expect(t, "ready ada, activity bob r1, cursor")
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's own time
		s.expect(t, "")         // nothing flows
		session.Detach()

		w.does(bob, user.ActivityRating, "r2")
		w.commit(bob, user.ActivityDeleted{EventID: "r1", At: time.Now()})
		w.does(bob, user.ActivityView, "hidden")
		again, s := w.attach(ada, frames[len(frames)-1].Data.Cursor)
		defer again.Detach()
		frames = s.expect(t, "ready ada, activity bob r2, activity.deleted")
		if !frames[0].Data.Resumed {
			t.Error("ready does not say that it resumed")
		}
	})
}

func TestWhatHappensWhileASessionBeginsComesOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		w.follow(ada, bob)
		before, s := w.attach(ada, "")
		cursor := s.frames(t)[0].Data.Cursor
		before.Detach()
		n := 0
		w.onRead = func() {
			if n++; n == 1 { // the card of ada, who is in the index already
				w.does(bob, user.ActivityRating, "r1")
				synctest.Wait()
			}
		}
		session, s := w.attach(ada, cursor)
		defer session.Detach()
		w.does(bob, user.ActivityRating, "r2")
		s.expect(t, "ready ada, activity bob r1, activity bob r2")
	})
}

func TestACursorThatIsNotOursIsAnErrorAndAnOldOneAGap(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		first, s := w.attach(ada, "x")
		defer first.Detach()
		cursor := s.expect(t, "ready ada, error bad_cursor")[0].Data.Cursor
		w.late.Store(int64(7*24*time.Hour + time.Second))
		second, s := w.attach(ada, cursor)
		defer second.Detach()
		s.expect(t, "ready ada, gap")
		w.follow(bob, ada)
		s.expect(t, "follower.added bob, counters ada")
	})
}

func TestOnlyTheSlowOneIsClosed(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		w.follow(ada, bob)
		w.follow(cyd, bob)
		slow, full := w.attach(ada, "")
		defer slow.Detach()
		quick, s := w.attach(cyd, "")
		defer quick.Detach()
		full.makeRoom(100)
		const n = 2000
		for i := range n {
			w.does(bob, user.ActivityRating, "r"+strconv.Itoa(i))
		}
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's own time
		if code := full.closed(); code != live.CloseTooSlow {
			t.Errorf("the slow one is closed with %d", code)
		}
		activities := 0
		for _, f := range s.frames(t) {
			if f.Type == live.TypeActivity {
				activities++
			}
		}
		if activities != n || s.closed() != 0 {
			t.Errorf("the other one was told of %d, closed with %d", activities, s.closed())
		}
	})
}

func TestAPartlyWrittenFrameGoesOnWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		session, s := w.attach(bob, "")
		defer session.Detach()
		s.expect(t, "ready bob")
		s.makeRoom(7)
		w.follow(ada, bob)
		synctest.Wait()
		w.follow(cyd, bob)
		synctest.Wait()
		s.makeRoom(-1)
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // the bubble's own time
		got := s.expect(t, "follower.added ada, follower.added cyd, counters bob")
		if len(got) == 0 {
			return
		}
		if last := got[len(got)-1]; last.Data.Followers != 2 {
			t.Errorf("counters: %+v", last)
		}
	})
}

func TestADeletedUserAndThe21stSocketAreRefused(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		var last *socket
		for range 20 {
			session, s := w.attach(ada, "")
			defer session.Detach()
			last = s
		}
		if _, err := w.hub.Attach(t.Context(), ada, "", &socket{}, nil); !errors.Is(err, live.ErrTooManySockets) {
			t.Errorf("the 21st: %v", err)
		}
		w.commit(ada, user.Deleted{At: time.Now()})
		if code := last.closed(); code != live.CloseSessionEnded {
			t.Errorf("closed with %d", code)
		}
	})
}

func TestNothingIsLostWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		w.follow(ada, bob)
		session, s := w.attach(ada, "")
		defer session.Detach()
		s.expect(t, "ready ada")
		w.mu.Lock()
		w.refuse = errors.New("away")
		w.mu.Unlock()
		w.does(bob, user.ActivityRating, "r1")
		s.expect(t, "")
		w.mu.Lock()
		w.refuse = nil
		w.mu.Unlock()
		time.Sleep(200 * time.Millisecond) //nolint:forbidigo // the bubble's own time
		s.expect(t, "activity bob r1")
	})
}

func TestAReplayShowsUsersAsTheyAreNow(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		w.follow(ada, bob)
		first, s := w.attach(ada, "")
		w.does(bob, user.ActivityRating, "r1")
		synctest.Wait()
		w.follow(cyd, ada)
		cursor := s.expect(t, "ready ada, activity bob r1, follower.added cyd, counters ada")[0].Data.Cursor
		first.Detach()
		w.commit(bob, user.ProfileUpdated{Name: "Robert", At: time.Now()})
		w.commit(cyd, user.Deleted{At: time.Now()})
		synctest.Wait()
		again, s := w.attach(ada, cursor)
		defer again.Detach()
		frames := s.expect(t, "ready ada, activity bob r1, profile.updated bob")
		if name := frames[1].Data.User.Name; name != "Robert" {
			t.Errorf("the activity shows the name %q", name)
		}
	})
}

func TestWhatSomebodyDoesRightAfterAFollowIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ reader, author user.ID }{{ada, bob}, {bob, ada}} { // their lanes, in both orders
		t.Run(names[c.reader], func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				t := w.t
				session, s := w.attach(c.reader, "")
				defer session.Detach()
				s.expect(t, "ready "+names[c.reader])
				w.does(c.author, user.ActivityRating, "before")
				time.Sleep(time.Millisecond) //nolint:forbidigo // the bubble's own time
				w.commit(c.author, user.PrivacySet{Privacy: user.Privacy{Ratings: true}, At: time.Now()})
				w.commit(c.author, user.Followed{Target: c.reader, At: time.Now()})
				synctest.Wait()
				s.frames(t)
				w.quiet = true // so that all is delivered in one round
				w.commit(c.reader, user.Followed{Target: c.author, At: time.Now().UTC()})
				w.does(c.author, user.ActivityRating, "after")
				w.quiet = false
				w.does(c.author, user.ActivityRating, "later")
				told := told(s.frames(t))
				for _, want := range []string{"following.added", "after", "later"} {
					if !strings.Contains(told, want) {
						t.Errorf("told %q, without %q", told, want)
					}
				}
				if strings.Contains(told, "before") {
					t.Errorf("told %q", told)
				}
			})
		})
	}
}

func TestTheLastFollowerWhoUnfollowsInTheSameRound(t *testing.T) {
	t.Parallel()
	inSmallWorld(t, 1, func(w *world) { // nothing recent holds anybody in the index
		t := w.t
		const eve = ada + persistence.LaneCount // in the lane of ada
		w.cards[eve] = &user.Card{ID: eve, UID: user.UID{15: byte(eve)}, Username: "eve", Privacy: user.DefaultPrivacy()}
		w.follows[eve] = make(map[user.ID]time.Time)
		session, s := w.attach(ada, "")
		defer session.Detach()
		w.follow(ada, eve)
		s.expect(t, "ready ada, following.added eve, counters ada")
		w.quiet = true // so that all is delivered in one round
		w.commit(ada, user.Unfollowed{Target: eve, At: time.Now()})
		w.does(eve, user.ActivityRating, "r1")
		w.quiet = false
		w.commit(eve, user.ProfileUpdated{Name: "Eve", At: time.Now()})
		s.expect(t, "following.removed eve, counters ada")
	})
}

func TestASessionThatEndsWhileItBeginsAnswersTheUpgrade(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		n := 0
		w.onRead = func() {
			if n++; n == 1 { // the card of ada, who is in the index already
				w.commit(ada, user.Deleted{At: time.Now()})
				synctest.Wait()
			}
		}
		s := &socket{room: -1}
		if _, err := w.hub.Attach(t.Context(), ada, "", s, []byte("answer")); !errors.Is(err, live.ErrGone) {
			t.Errorf("attached: %v", err)
		}
		if code := s.closed(); code != live.CloseSessionEnded || string(s.rest) != "answer" {
			t.Errorf("closed with %d behind %q", code, s.rest)
		}
	})
}

func TestThePrefaceComesFirst(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		t := w.t
		s := &socket{room: -1}
		session, err := w.hub.Attach(t.Context(), ada, "", s, []byte("answer"))
		if err != nil {
			t.Fatal(err)
		}
		defer session.Detach()
		synctest.Wait()
		if !strings.HasPrefix(string(s.taken), "answer\x81") {
			t.Errorf("written: %.20q", s.taken)
		}
	})
}
