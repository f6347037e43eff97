package live_test

import (
	"net/http"
	"regexp"
	"testing"
	"time"
)

var recordID = regexp.MustCompile(`^[0-9a-f]{32}/[1-9][0-9]*$`)

// record wants a frame of a type that names a record of a user, with these fields
// of its data.
func (s *socket) record(kind, uid, data string) frame {
	s.t.Helper()
	f := s.want(kind)
	f.has(s.t, "data id time type", data)
	if !recordID.MatchString(f.ID) || f.ID[:32] != uid {
		s.t.Errorf("the id names nothing of %s: %s", uid, f.raw)
	}
	if age := time.Since(f.Time); age < -time.Minute || age > time.Minute || f.Time.Location() != time.UTC {
		s.t.Errorf("the time is %s: %s", f.Time, f.raw)
	}
	return f
}

// counters wants that a frame of counters comes at last that says so. It may
// replace others.
func (s *socket) counters(username string, followers, following float64) {
	s.t.Helper()
	f := s.await(func(f *frame) bool {
		return f.Type == "counters" && f.Data["username"] == username && f.Data["followers"] == followers && f.Data["following"] == following
	})
	f.has(s.t, "data type", "followers following username")
}

func TestReadyComesFirst(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada := w.register("ada")
	s := ada.live()
	s.quiet()
	_, f := ada.resume("")
	f.has(t, "data type", "cursor heartbeat_seconds resumed user")
	same(t, "the user of ready", f.Data["user"], map[string]any(ada.user("ada")))
	if cursor, _ := f.Data["cursor"].(string); f.Data["resumed"] != false || f.Data["heartbeat_seconds"] != 25.0 || cursor == "" {
		t.Errorf("ready is %s", f.raw)
	}
}

// Both sides of a follow are told, on every device, by the id that REST names.
func TestFramesOfAFollow(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob := w.register("ada"), w.register("bob")
	here, there, theirs := bob.live(), bob.live(), ada.live()
	bob.follow(ada)
	f := here.record("following.added", bob.uid, "user")
	if f.username() != "ada" {
		t.Errorf("it shows %s", f.raw)
	}
	here.counters("bob", 0, 1)
	same(t, "the same on another device", there.record("following.added", bob.uid, "user").raw, f.raw)

	added := theirs.record("follower.added", ada.uid, "user")
	theirs.counters("ada", 1, 0)
	notices := ada.notifications()
	if len(notices) != 1 {
		t.Fatalf("the notifications are %v", notices)
	}
	n := notices[0]
	if n["id"] != added.ID || n["type"] != "follower.added" || n["time"] != added.Time.Format(time.RFC3339Nano) {
		t.Errorf("the notification is %v, the frame %s", n, added.raw)
	}
	same(t, "the follower in the frame, apart from counters", plain(added.Data["user"]), plain(n["user"]))

	bob.unfollow(ada)
	if f := here.record("following.removed", bob.uid, "user"); f.username() != "ada" {
		t.Errorf("it shows %s", f.raw)
	}
	here.counters("bob", 0, 0)
	if f := theirs.record("follower.removed", ada.uid, "user"); f.username() != "bob" {
		t.Errorf("it shows %s", f.raw)
	}
	theirs.counters("ada", 0, 0)
	// Again, each changes nothing and is told to nobody.
	bob.unfollow(ada)
	here.quiet()
	theirs.quiet()
}

// plain returns a user object without its counters, which move for themselves.
func plain(user any) row {
	u, _ := user.(map[string]any)
	rest := make(row, len(u))
	for k, v := range u {
		if k != "followers" && k != "following" {
			rest[k] = v
		}
	}
	return rest
}

// A follower is told of all that an author shows, as in the feed; other devices of
// the author are not.
func TestFramesOfActivity(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob := w.register("ada"), w.register("bob")
	bob.follow(ada)
	ada.privacy(map[string]any{"watch_history_public": true})
	w.steady()
	s, own := bob.live(), ada.live()
	for _, event := range []map[string]any{
		{"event_id": "rating", "type": "rating", "movie_id": 603, "rating": 8.5},
		{"event_id": "review", "type": "review", "movie_id": 1 << 60, "review": "A \u202e“quote”\n\t<b> & \U0001F600", "rating": 0},
		{
			"event_id": "view", "type": "view", "movie_id": 1, "event_details": map[string]any{"title": "The Matrix", "n": []int{1}}, "session_id": "s",
			"context": map[string]string{"source_page": "home", "source_section": "top"}, "occurred_at": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339),
		},
		{"event_id": "add", "type": "watchlist_add", "movie_id": 2},
		{"event_id": "remove", "type": "watchlist_remove", "movie_id": 2},
	} {
		ada.do(http.MethodPost, "/users/self/events", event)
		f := s.record("activity", ada.uid, "event user")
		newest := bob.feed()[0]
		same(t, "the id", f.ID, newest["id"])
		same(t, "the event", f.Data["event"], newest["event"])
		same(t, "the user", plain(f.Data["user"]), plain(newest["user"]))
		if e, _ := f.Data["event"].(map[string]any); f.event() != event["event_id"] || e["recorded_at"] != f.Time.Format(time.RFC3339Nano) {
			t.Errorf("the frame is %s", f.raw)
		}
	}
	ada.rate("rating") // known already: nothing is recorded
	ada.do(http.MethodDelete, "/users/self/events/view", nil)
	f := s.record("activity.deleted", ada.uid, "event_id uid")
	if f.event() != "view" || f.Data["uid"] != ada.uid {
		t.Errorf("the deletion is %s", f.raw)
	}
	ada.rateMany("many", 3)
	for _, id := range []string{"many-0", "many-1", "many-2"} {
		s.activity(id)
	}
	s.quiet()
	own.quiet()
}

// A changed profile is told to its owner and to who follows or watches.
func TestFramesOfAProfile(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob, eve := w.register("ada"), w.register("bob"), w.register("eve")
	bob.follow(ada)
	w.steady()
	own, followers, watchers, strangers := ada.live(), bob.live(), eve.live(), eve.live()
	watchers.say(`{"type":"watch","username":"Ada "}`) // as it is written elsewhere
	watchers.quiet()
	for _, change := range []func(){
		func() { w.want(200)(ada.Update(t.Context(), map[string]string{"name": "Ada L."})) },
		func() { ada.do(http.MethodPatch, "/users/self/profile", map[string]string{"display_name": "Ada M."}) },
		func() { w.want(200)(ada.Update(t.Context(), map[string]string{"role": "creator"})) },
	} {
		change()
		f := own.record("profile.updated", ada.uid, "user")
		same(t, "the user in the frame", plain(f.Data["user"]), plain(map[string]any(ada.user("ada"))))
		same(t, "the frame of a follower", followers.record("profile.updated", ada.uid, "user").raw, f.raw)
		same(t, "the frame of who watches", watchers.record("profile.updated", ada.uid, "user").raw, f.raw)
	}
	strangers.quiet()
}

// A watch shows what a follow would, and counters; it ends with its connection.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob, eve := w.register("ada"), w.register("bob"), w.register("eve")
	ada.privacy(map[string]any{"watch_history_public": true})
	w.steady()
	s := bob.live()
	s.say(`{"type":"watch","username":"ada"}`)
	s.say(`{"type":"watch","username":"ada"}`)
	s.quiet()
	cursor := s.cursor()
	ada.view("one")
	s.activity("one")
	eve.follow(ada)
	s.counters("ada", 1, 0)
	ada.do(http.MethodDelete, "/users/self/events/one", nil)
	if f := s.want("activity.deleted"); f.event() != "one" {
		t.Errorf("the deletion is %s", f.raw)
	}
	ada.rate("two")
	s.activity("two")

	s.say(`{"type":"unwatch","username":"ada"}`)
	s.quiet()
	follower := eve.live()
	ada.rate("three")
	follower.activity("three")
	s.quiet()

	again, ready := bob.resume(cursor)
	if ready.Data["resumed"] != true {
		t.Errorf("ready is %s", ready.raw)
	}
	again.quiet() // a watch is not replayed

	// A watch of who is followed stays when the follow goes.
	s.say(`{"type":"watch","username":"ada"}`)
	s.quiet()
	bob.follow(ada)
	s.want("following.added")
	bob.unfollow(ada)
	s.want("following.removed")
	ada.rate("four")
	s.activity("four")
}

func TestAHundredWatches(t *testing.T) {
	t.Parallel()
	const most = 100
	w := start(t)
	bob := w.register("bob")
	others := make([]*account, most+1)
	for i := range others {
		others[i] = w.register("other_" + string(rune('a'+i/26)) + string(rune('a'+i%26)))
	}
	s := bob.live()
	watch := func(a *account) { s.say(`{"type":"watch","username":"` + a.username + `"}`) }
	for _, a := range others[:most] {
		watch(a)
	}
	s.quiet()
	watch(others[most])
	s.refused("too_many_watches")
	watch(others[0]) // is so already
	s.quiet()
	others[most].rate("unseen")
	others[0].rate("seen")
	s.activity("seen")
	s.say(`{"type":"unwatch","username":"` + others[0].username + `"}`)
	watch(others[most])
	s.quiet()
	others[most].rate("later")
	s.activity("later")
}

// While frames flow a cursor comes every second; it is worth what was sent.
func TestCursorsComeByThemselves(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob := w.register("ada"), w.register("bob")
	bob.follow(ada)
	w.steady()
	s := bob.live()
	var texts []string
	for round := range 3 {
		from := time.Now()
		ada.rate("event" + string(rune('a'+round)))
		s.activity("event" + string(rune('a'+round)))
		f := s.want("cursor")
		f.has(t, "data type", "cursor")
		if took := time.Since(from); took > slowed(1500*time.Millisecond) {
			t.Errorf("the cursor came after %s", took)
		}
		text, _ := f.Data["cursor"].(string)
		texts = append(texts, text)
		again, ready := bob.resume(text)
		if ready.Data["resumed"] != true {
			t.Errorf("ready is %s", ready.raw)
		}
		again.quiet()
	}
	if texts[0] == texts[1] || texts[1] == texts[2] {
		t.Errorf("the cursors are %v", texts)
	}
	again, _ := bob.resume(texts[0])
	again.activity("eventb")
	again.activity("eventc")
	again.quiet()
}
