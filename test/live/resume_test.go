package live_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// A cursor brings what was missed, frame by frame as it would have come, then what
// comes.
func TestResume(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob, eve := w.register("ada"), w.register("bob"), w.register("eve")
	bob.follow(ada)
	w.steady()
	s, witness := bob.live(), bob.live()
	ada.rate("seen")
	s.activity("seen")
	witness.activity("seen")
	cursor := s.cursor()
	s.cut()

	// Everything of which both sorts of journals tell.
	ada.rate("one")
	eve.follow(bob)
	w.want(200)(ada.Update(t.Context(), map[string]string{"name": "Ada L."}))
	bob.follow(eve)
	ada.rateMany("two", 2)
	ada.do(http.MethodDelete, "/users/self/events/seen", nil)
	eve.unfollow(bob)
	eve.rate("by-eve")
	bob.unfollow(eve)
	w.want(200)(bob.Update(t.Context(), map[string]string{"name": "Bob B."}))
	kinds := []string{
		"activity", "follower.added", "profile.updated", "following.added", "activity", "activity", "activity.deleted",
		"follower.removed", "activity", "following.removed", "profile.updated",
	}
	live := make(map[string]frame)
	for range kinds {
		f := witness.await(func(f *frame) bool { return f.ID != "" })
		live[f.ID] = f
	}
	witness.quiet()

	inFrame := w.dial(dialing{})
	inFrame.say(fmt.Sprintf(`{"type":"auth","token":%q,"cursor":%q}`, bob.Token(), cursor))
	inBoth := w.dial(dialing{query: url.Values{"cursor": {"nonsense"}}})
	inBoth.say(fmt.Sprintf(`{"type":"auth","token":%q,"cursor":%q}`, bob.Token(), cursor))
	besides := w.dial(dialing{query: url.Values{"cursor": {cursor}}})
	besides.say(fmt.Sprintf(`{"type":"auth","token":%q}`, bob.Token()))
	inQuery, first := bob.resume(cursor)
	if first.Data["resumed"] != true {
		t.Errorf("ready is %s", first.raw)
	}
	for what, s := range map[string]*socket{"query": inQuery, "frame": inFrame, "both": inBoth, "query, and a frame": besides} {
		if s != inQuery {
			if ready := s.next(); ready.Type != "ready" || ready.Data["resumed"] != true {
				t.Fatalf("a cursor in the %s: %s", what, ready.raw)
			}
		}
		seen, last := 0, make(map[string]string)
		for seen < len(kinds)-1 { // not what eve did: she is followed no longer
			f := s.await(func(f *frame) bool { return f.ID != "" })
			if was, there := live[f.ID]; !there || was.Type != f.Type || !was.Time.Equal(f.Time) {
				t.Errorf("replayed is %s, live was %s", f.raw, was.raw)
			}
			if uid := f.ID[:32]; seqOf(t, f.ID) <= seqOf(t, last[uid]) {
				t.Errorf("%s comes behind %s", f.ID, last[uid])
			} else {
				last[uid] = f.ID
			}
			if f.event() == "by-eve" {
				t.Errorf("shown of who is followed no longer: %s", f.raw)
			}
			seen++
		}
		s.quiet()
	}
	ada.rate("later")
	for _, s := range []*socket{inQuery, inFrame, inBoth, besides, witness} {
		s.activity("later")
	}
	// The same cursor, as often as one likes.
	again, _ := bob.resume(cursor)
	again.await(func(f *frame) bool { return f.event() == "later" })
}

// seqOf returns the number in the id of a record, 0 of "".
func seqOf(t *testing.T, id string) (seq uint64) {
	t.Helper()
	if id == "" {
		return 0
	}
	if _, err := fmt.Sscanf(id[33:], "%d", &seq); err != nil {
		t.Fatalf("the id is %q", id)
	}
	return seq
}

// A cursor outlives the server, however it ends.
func TestResumeAcrossRestarts(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*world){"stopped": func(w *world) { w.Stop() }, "killed": func(w *world) { w.Kill() }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := lasting(t)
			w.t = t
			ada, bob := w.register("ada"), w.register("bob")
			bob.follow(ada)
			w.steady()
			s := bob.live()
			ada.rate("seen")
			seen := s.activity("seen")
			first := s.cursor()
			ada.rate("after-the-cursor")
			before := s.activity("after-the-cursor")
			end(w)
			s.cut()
			w.Launch()
			w.AwaitReady()
			ada.rate("away")
			s, ready := bob.resume(first)
			if ready.Data["resumed"] != true {
				t.Errorf("ready is %s", ready.raw)
			}
			if f := s.activity("after-the-cursor"); f.raw != before.raw {
				t.Errorf("replayed is\n%s, live was\n%s", f.raw, before.raw)
			}
			s.activity("away")
			second := s.cursor()
			end(w)
			w.Launch()
			w.AwaitReady()
			eve := w.register("eve")
			eve.follow(bob)
			s, _ = bob.resume(second)
			s.want("follower.added")
			ada.rate("live")
			s.activity("live")
			for _, r := range bob.feed() {
				if r["id"] == seen.ID {
					same(t, "the event in the feed", r["event"], seen.Data["event"])
				}
			}
		})
	}
}

// missed is more than the hub keeps of a lane over a restart: the database is asked.
const missed = 700

func TestResumeFromTheDatabase(t *testing.T) {
	t.Parallel()
	w := lasting(t)
	ada, bob, eve, joe := w.register("ada"), w.register("bob"), w.register("eve"), w.register("joe")
	bob.follow(ada)
	bob.follow(joe)
	ada.privacy(map[string]any{"watch_history_public": true})
	w.steady()
	s := bob.live()
	ada.rate("seen")
	s.activity("seen")
	cursor := s.cursor()
	s.cut()
	ada.rateMany("many", missed)
	ada.view("hidden-later")
	ada.rate("deleted-later")
	eve.follow(bob)
	joe.rate("by-joe")
	eve.rate("before-the-follow")
	bob.follow(eve)
	eve.rate("by-eve")
	ada.privacy(map[string]any{"watch_history_public": false})
	ada.do(http.MethodDelete, "/users/self/events/deleted-later", nil)
	w.want(200)(joe.Delete(t.Context(), "joe"))
	w.Settle()
	w.Restart()

	s, ready := bob.resume(cursor)
	if ready.Data["resumed"] != true {
		t.Errorf("ready is %s", ready.raw)
	}
	if got := w.Metric(`kith_live_sessions_total{missed="database"}`); got != 1 {
		t.Errorf("%v sessions began with what the database holds", got)
	}
	for i := range missed {
		s.activity(fmt.Sprintf("many-%d", i))
	}
	s.want("follower.added")
	s.want("following.added")
	s.activity("by-eve")
	if f := s.want("activity.deleted"); f.event() != "deleted-later" {
		t.Errorf("the deletion is %s", f.raw)
	}
	s.quiet()
	eve.rate("live")
	s.activity("live")
}

// mostMissed is how many records are replayed.
const mostMissed = 10_000

// Who missed too much is told so, and goes on from now, also when what was missed
// would be in memory.
func TestGap(t *testing.T) {
	t.Parallel()
	w := lasting(t)
	ada, bob := w.register("ada"), w.register("bob")
	bob.follow(ada)
	w.steady()
	s := bob.live()
	from := time.Now()
	cursor := s.cursor()
	s.cut()
	ada.rateMany("many", mostMissed)
	s, ready := bob.resume(cursor)
	if ready.Data["resumed"] != true {
		t.Errorf("ready is %s", ready.raw)
	}
	for i := range mostMissed { // all of them
		s.activity(fmt.Sprintf("many-%d", i))
	}
	s.quiet()
	ada.rate("too-many")
	s.activity("too-many")
	for range 2 { // and over a restart
		s, ready := bob.resume(cursor)
		f := s.want("gap")
		f.has(t, "data type", "since")
		since, err := time.Parse(time.RFC3339Nano, fmt.Sprint(f.Data["since"]))
		if err != nil || since.Before(from.Add(-time.Second)) || since.After(from.Add(slowed(5*time.Second))) || ready.Data["resumed"] != false {
			t.Errorf("the gap is %s behind %s", f.raw, ready.raw)
		}
		s.quiet()
		ada.rate("after-the-gap" + fmt.Sprint(len(w.Log())))
		s.want("activity")
		w.Restart()
	}
}

// A cursor that is not ours is refused, and the stream begins now.
func TestBadCursors(t *testing.T) {
	t.Parallel()
	w, elsewhere := start(t), start(t)
	ada, bob := w.register("ada"), w.register("bob")
	bob.follow(ada)
	ada.rateMany("many", 21)
	page := bob.do(http.MethodGet, "/users/self/feed?limit=1", nil)
	if page.NextCursor == nil {
		t.Fatalf("the feed has one page: %s", page)
	}
	w.steady()
	good := bob.live().cursor()
	for name, cursor := range map[string]string{
		"nonsense": "nonsense", "of a list": *page.NextCursor, "changed": good[:len(good)/2] + "A" + good[len(good)/2+1:],
		"of another server": elsewhere.register("ada").live().cursor(), "shortened": good[:len(good)-1], "lengthened": good + "A", "far too long": good + good + good + good + good,
	} {
		if cursor == good {
			continue // the change was none
		}
		s, ready := bob.resume(cursor)
		if ready.Data["resumed"] != false {
			t.Errorf("%s: ready is %s", name, ready.raw)
		}
		s.refused("bad_cursor")
		s.quiet()
		ada.rate("event" + fmt.Sprint(len(name)) + name[:1])
		s.want("activity")
	}
	s := w.dial(dialing{})
	s.say(fmt.Sprintf(`{"type":"auth","token":%q,"cursor":"nonsense"}`, bob.Token()))
	s.want("ready")
	s.refused("bad_cursor")
	s.quiet()
}

// What is gone, or hidden, does not come back in a replay.
func TestWhatIsGoneIsNotReplayed(t *testing.T) {
	t.Parallel()
	w := lasting(t)
	ada, bob, eve, joe := w.register("ada"), w.register("bob"), w.register("eve"), w.register("joe")
	for _, author := range []*account{ada, eve, joe} {
		bob.follow(author)
	}
	w.steady()
	s := bob.live()
	cursor := s.cursor()
	ada.rate("deleted")
	ada.do(http.MethodPost, "/users/self/events", map[string]any{"event_id": "reviewed", "type": "review", "movie_id": 1, "review": "A secret"})
	eve.rate("hidden")
	joe.rate("gone")
	joe.follow(bob)
	ada.rate("kept")
	s.await(func(f *frame) bool { return f.event() == "kept" })
	w.Settle()
	ada.do(http.MethodDelete, "/users/self/events/deleted", nil)
	ada.do(http.MethodDelete, "/users/self/events/reviewed", nil)
	eve.privacy(map[string]any{"show_ratings_public": false})
	w.want(200)(joe.Delete(t.Context(), "joe"))
	w.Settle()
	for round := range 2 { // from memory, and over a restart
		s, ready := bob.resume(cursor)
		if ready.Data["resumed"] != true {
			t.Errorf("ready is %s", ready.raw)
		}
		s.activity("kept")
		for _, id := range []string{"deleted", "reviewed"} {
			if f := s.want("activity.deleted"); f.event() != id {
				t.Errorf("the deletion is %s", f.raw)
			}
		}
		s.quiet()
		if round == 0 {
			w.Restart()
		}
	}
}
