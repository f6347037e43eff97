package live_test

import (
	"net/http"
	"testing"
	"time"
)

// within is how soon a change holds for open sockets.
func within() time.Duration { return slowed(time.Second) }

// A socket that must not be told of an author is compared with one that is: the hub
// hands each record to all sockets at once, so that when the one has it, it is on
// its way to the other, before the answer to a ping.

func TestUnfollowHoldsForOpenSockets(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob, eve := w.register("ada"), w.register("bob"), w.register("eve")
	bob.follow(ada)
	eve.follow(ada)
	w.steady()
	s, other, witness := bob.live(), bob.live(), eve.live()
	ada.rate("before")
	for _, s := range []*socket{s, other, witness} {
		s.activity("before")
	}
	from := time.Now()
	bob.unfollow(ada)
	s.want("following.removed") // from here on it holds
	if took := time.Since(from); took > within() {
		t.Errorf("it took %s", took)
	}
	ada.rate("after")
	ada.do(http.MethodDelete, "/users/self/events/before", nil)
	w.want(200)(ada.Update(t.Context(), map[string]string{"name": "Another"}))
	witness.activity("after")
	witness.want("activity.deleted")
	witness.want("profile.updated")
	s.quiet()
	other.want("following.removed")
	other.quiet()
	bob.follow(ada)
	s.want("following.added")
	ada.rate("again")
	s.activity("again")
}

// What was done after a follow was answered is told, whichever lanes the two are
// in.
func TestFollowHoldsForOpenSockets(t *testing.T) {
	t.Parallel()
	w := start(t)
	bob := w.register("bob")
	s := bob.live()
	for _, name := range []string{"ada", "eve", "joe", "kim", "lea", "mia", "noa", "pia"} {
		author := w.register(name)
		bob.follow(author)
		author.rate("first")
		s.want("following.added")
		if f := s.activity("first"); f.username() != name {
			t.Errorf("told is %s", f.raw)
		}
	}
}

func TestSectionsHoldForOpenSockets(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob := w.register("ada"), w.register("bob")
	bob.follow(ada)
	w.steady()
	s := bob.live()
	steps := []struct {
		privacy        map[string]any
		views, ratings bool
	}{
		{map[string]any{}, false, true},
		{map[string]any{"watch_history_public": true}, true, true},
		{map[string]any{"show_ratings_public": false}, true, false},
		{map[string]any{"watch_history_public": false}, false, false},
		{map[string]any{"show_ratings_public": true}, false, true},
		{map[string]any{"watch_history_public": true, "show_ratings_public": false}, true, false},
	}
	for i, step := range steps {
		ada.privacy(step.privacy)
		view, rating := "view"+string(rune('a'+i)), "rating"+string(rune('a'+i))
		ada.view(view) // behind the change in the same journal: it holds at once
		if step.views {
			s.activity(view)
		}
		ada.rate(rating)
		if step.ratings {
			s.activity(rating)
		}
		shown := 0
		for _, r := range bob.feed() { // as REST
			if e, _ := r["event"].(map[string]any); e["event_id"] == view || e["event_id"] == rating {
				shown++
			}
		}
		if want := count(step.views) + count(step.ratings); shown != want {
			t.Errorf("%v: the feed shows %d, not %d", step.privacy, shown, want)
		}
		w.want(200)(ada.Update(t.Context(), map[string]string{"name": "Name " + view})) // the user is shown to all
		s.want("profile.updated")
	}
	s.quiet()
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A private profile is open to those alone whom its owner follows, whatever was true
// when their sockets were opened.
func TestPrivateProfilesHoldForOpenSockets(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, friend, fan, watcher := w.register("ada"), w.register("friend"), w.register("fan"), w.register("watcher")
	friend.follow(ada)
	fan.follow(ada)
	ada.follow(friend)
	w.steady()
	open, shut, watch := friend.live(), fan.live(), watcher.live()
	watch.say(`{"type":"watch","username":"ada"}`)
	watch.quiet()
	all := []*socket{open, shut, watch}

	ada.rate("public")
	for _, s := range all {
		s.activity("public")
	}
	ada.privacy(map[string]any{"profile_public": false})
	ada.rate("private")
	open.activity("private")
	shut.quiet()
	watch.quiet()
	ada.do(http.MethodDelete, "/users/self/events/public", nil)
	open.want("activity.deleted")
	shut.quiet()
	watch.quiet()
	w.want(200)(ada.Update(t.Context(), map[string]string{"name": "Another"})) // the user object is shown to all
	for _, s := range all {
		s.want("profile.updated")
	}

	own := ada.live()
	ada.follow(fan)
	own.want("following.added")
	shut.want("follower.added")
	ada.rate("to-both")
	open.activity("to-both")
	shut.activity("to-both")
	watch.quiet()

	ada.unfollow(friend)
	own.want("following.removed")
	open.want("follower.removed")
	ada.rate("to-the-fan")
	shut.activity("to-the-fan")
	open.quiet()
	watch.quiet()

	// Sockets that are opened now begin with what holds now.
	w.steady()
	late, early := friend.live(), fan.live()
	ada.rate("late")
	for _, s := range []*socket{shut, early} {
		s.activity("late")
	}
	late.quiet()

	ada.privacy(map[string]any{"profile_public": true})
	ada.rate("public-again")
	for _, s := range []*socket{open, shut, watch, late, early} {
		s.activity("public-again")
	}
}

// Of a deleted author nothing comes any more, and who follows them is told nothing
// that shows them.
func TestDeletedAuthors(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob, eve := w.register("ada"), w.register("bob"), w.register("eve")
	bob.follow(ada)
	bob.follow(eve)
	ada.follow(bob)
	w.steady()
	s, own := bob.live(), ada.live()
	s.say(`{"type":"watch","username":"ada"}`)
	ada.rate("before")
	s.activity("before")
	from := time.Now()
	w.want(200)(ada.Delete(t.Context(), "ada"))
	own.closes(codeSessionEnded)
	if took := time.Since(from); took > within() {
		t.Errorf("the socket of the deleted closes after %s", took)
	}
	eve.rate("of-another")
	// And its follow is taken off, when the edges are gone.
	for told, severed := false, false; !told || !severed; {
		f := s.next()
		if f.username() == "ada" {
			t.Errorf("a deleted user is shown: %s", f.raw)
		}
		told = told || f.event() == "of-another"
		severed = severed || f.Type == "counters" && f.username() == "bob" && f.Data["followers"] == 0.0 && f.Data["following"] == 1.0
	}
	s.quiet()

	// Who takes the name is somebody else.
	again := w.register("ada")
	again.rate("of-who-took-the-name")
	eve.rate("another")
	s.activity("another")
	s.quiet()
	w.dial(dialing{token: again.Token()}).want("ready")
}

// A session that ends closes its sockets, and leaves those of others.
func TestEndedSessions(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob := w.register("ada"), w.register("bob")
	bob.follow(ada)
	phone := bob.login()
	w.steady()
	here, away := bob.live(), phone.live()
	first := w.dial(dialing{}) // of the first frame
	first.say(`{"type":"auth","token":"` + phone.Token() + `"}`)
	first.want("ready")
	moved := phone.live() // which has another session's token by now
	moved.say(`{"type":"auth","token":"` + bob.Token() + `"}`)
	moved.quiet()

	from := time.Now()
	phone.do(http.MethodPost, "/auth/logout", nil)
	away.closes(codeSessionEnded)
	first.closes(codeSessionEnded)
	if took := time.Since(from); took > within() {
		t.Errorf("a logout closes after %s", took)
	}
	ada.rate("one")
	here.activity("one")
	moved.activity("one")

	// All of them.
	tablet := bob.login().live()
	from = time.Now()
	bob.do(http.MethodPost, "/auth/logout", map[string]bool{"all": true})
	for _, s := range []*socket{here, moved, tablet} {
		s.closes(codeSessionEnded)
	}
	if took := time.Since(from); took > within() {
		t.Errorf("a logout of all closes after %s", took)
	}
	back := bob.login().live()
	ada.rate("two")
	back.activity("two")
}

// A refresh token that is used again long after it was replaced is in two hands:
// the session ends, with its sockets.
func TestStolenRefreshToken(t *testing.T) {
	t.Parallel()
	w := start(t)
	bob := w.register("bob")
	other := bob.login()
	s, kept := bob.live(), other.live()
	old := bob.refresh
	bob.token()
	// Within its grace the old one gives another pair, so the sockets stay until it
	// is refused.
	if !w.eventually(func() bool {
		a, err := bob.Do(t.Context(), requestRefresh(old))
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == http.StatusOK {
			s.awaitPong()
		}
		return a.Status == http.StatusUnauthorized
	}) {
		t.Fatal("the old token is never refused")
	}
	s.closesWithin(within(), codeSessionEnded)
	kept.quiet()
}
