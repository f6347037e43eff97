package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway"
	"kith/persistence"
	"kith/wire"
)

// feed reads a whole feed and returns the ids of its rows.
func (w *world) feed(tb testing.TB, token string, limit int) (ids []string) {
	tb.Helper()
	path := "/users/self/feed?limit=" + strconv.Itoa(limit)
	for path != "" {
		got := w.get(tb, token, path).is(tb, 200)
		var page struct {
			Activities []struct {
				ID   string `json:"id"`
				User struct {
					UID string `json:"uid"`
				} `json:"user"`
			} `json:"activities"`
			Count int     `json:"count"`
			Next  *string `json:"next_cursor"`
		}
		if err := json.Unmarshal(got.Body.Bytes(), &page); err != nil {
			tb.Fatal(err)
		}
		if page.Activities == nil || page.Count != len(page.Activities) || page.Count > limit {
			tb.Fatalf("count %d of %d: %s", page.Count, limit, got.Body)
		}
		for _, a := range page.Activities {
			if !strings.HasPrefix(a.ID, a.User.UID+"/") {
				tb.Fatalf("activity %s of user %s", a.ID, a.User.UID)
			}
			ids = append(ids, a.ID)
		}
		path = ""
		if page.Next != nil {
			path = fmt.Sprintf("/users/self/feed?limit=%d&cursor=%s", limit, *page.Next)
		}
		if link := got.Header().Get("Link"); (link == "") != (path == "") || path != "" && !strings.Contains(link, *page.Next) {
			tb.Fatalf("link %q, next %q", link, path)
		}
	}
	return ids
}

func TestAFeedIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.join(t, "alice"), w.join(t, "bob")
	w.record(t, bob, `{"event_id":"before","type":"rating","movie_id":603,"rating":8.5}`).is(t, 201)
	w.follow(t, "alice", "bob")
	w.pass(time.Second)
	w.record(t, bob, `{"event_id":"hidden","type":"view","movie_id":603}`).is(t, 201)
	w.record(t, bob, `{"event_id":"after","type":"review","movie_id":603,"review":"fine"}`).is(t, 201)
	w.record(t, alice, `{"event_id":"own","type":"review","movie_id":603,"review":"fine"}`).is(t, 201)

	got := w.get(t, alice, "/users/self/feed").is(t, 200)
	card, err := json.Marshal(w.get(t, alice, "/users/bob").is(t, 200).body["user"])
	if err != nil {
		t.Fatal(err)
	}
	var want any
	uid := w.uid(t, "bob").String()
	text := `{"status":"success","activities":[
		{"id":"` + uid + `/5","user":` + string(card) + `,"event":{"event_id":"after","type":"review","movie_id":603,"review":"fine","occurred_at":"2024-01-15T10:30:02Z","recorded_at":"2024-01-15T10:30:02Z"}},
		{"id":"` + uid + `/2","user":` + string(card) + `,"event":{"event_id":"before","type":"rating","movie_id":603,"rating":8.5,"occurred_at":"2024-01-15T10:30:00Z","recorded_at":"2024-01-15T10:30:00Z"}}
	],"count":2,"next_cursor":null}`
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, any(got.body)); diff != "" {
		t.Error(diff)
	}
	if got := w.get(t, bob, "/users/self/feed").is(t, 200); strings.TrimSpace(got.Body.String()) != `{"status":"success","activities":[],"count":0,"next_cursor":null}` {
		t.Error(got.Body)
	}

	tag := got.Header().Get("ETag")
	again := w.call(t, call{method: http.MethodGet, path: "/users/self/feed", token: alice, header: []string{"If-None-Match", tag}})
	if tag == "" || again.Code != http.StatusNotModified || again.Body.Len() > 0 {
		t.Errorf("tag %q: %d %s", tag, again.Code, again.Body)
	}
	w.do(t, "bob", user.DeleteActivity{EventID: "after", At: w.clock()})
	again = w.call(t, call{method: http.MethodGet, path: "/users/self/feed", token: alice, header: []string{"If-None-Match", tag}})
	if again.Code != http.StatusOK || slices.Equal(w.feed(t, alice, 9), []string{uid + "/5", uid + "/2"}) {
		t.Errorf("after a deletion: %d %s", again.Code, again.Body)
	}
}

func TestAFeedIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.join(t, "alice"), w.join(t, "bob")
	w.follow(t, "alice", "bob")
	w.follow(t, "bob", "alice")
	for i := range 3 {
		for _, token := range []string{alice, bob} {
			w.record(t, token, fmt.Sprintf(`{"event_id":"e%d","type":"rating","movie_id":603,"rating":1}`, i)).is(t, 201)
		}
	}
	w.get(t, "", "/users/self/feed").refused(t, 401, "unauthorized", "Missing or invalid authentication token")
	for _, limit := range []string{"0", "101", "", "x", "1&limit=2"} {
		w.get(t, alice, "/users/self/feed?limit="+limit).refused(t, 400, "invalid_limit", "Limit must be from 1 to 100")
	}
	cursor, _ := w.get(t, alice, "/users/self/feed?limit=1").is(t, 200).body["next_cursor"].(string)
	w.get(t, alice, "/users/self/feed?cursor="+cursor).is(t, 200)
	w.get(t, bob, "/users/self/feed?cursor="+cursor).refused(t, 400, "invalid_cursor", "Invalid cursor")
	for _, list := range []string{"events", "followers", "notifications"} {
		w.get(t, alice, "/users/self/"+list+"?cursor="+cursor).refused(t, 400, "invalid_cursor", "Invalid cursor")
	}
	events, _ := w.get(t, alice, "/users/self/events?limit=1").is(t, 200).body["next_cursor"].(string)
	for _, c := range []string{events, "", cursor[1:], cursor + "A"} {
		w.get(t, alice, "/users/self/feed?cursor="+c).refused(t, 400, "invalid_cursor", "Invalid cursor")
	}
	// There is one's own, and nobody else's.
	for _, name := range []string{"bob", "alice", "nobody"} {
		w.get(t, alice, "/users/"+name+"/feed").refused(t, 404, "not_found", "Not found")
		w.get(t, alice, "/users/"+name+"/notifications").refused(t, 404, "not_found", "Not found")
	}
	w.call(t, call{method: http.MethodPost, path: "/users/self/feed", token: alice}).refused(t, 405, "method_not_allowed", "Method not allowed")

	w.failStores = errors.New("away")
	w.get(t, alice, "/users/self/feed").refused(t, 500, "internal_error", "Internal server error")
	w.failStores = nil
	w.do(t, "alice", user.Delete{At: w.clock()})
	w.get(t, alice, "/users/self/feed").refused(t, 404, "user_not_found", "User not found")
	w.get(t, alice, "/users/self/notifications").refused(t, 404, "user_not_found", "User not found")
}

func TestARecordThatCannotBeReadIsLeftOutOfFeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.join(t, "alice"), w.join(t, "bob")
	w.follow(t, "alice", "bob")
	for _, id := range []string{"one", "two", "three"} {
		w.record(t, bob, `{"event_id":"`+id+`","type":"rating","movie_id":603,"rating":1}`).is(t, 201)
	}
	w.spoil(w.id(t, "bob"), "two")
	if got := w.feed(t, alice, 2); len(got) != 2 {
		t.Errorf("the feed has %d rows", len(got))
	}
	if !strings.Contains(w.log.String(), "a record of a feed cannot be read") {
		t.Error("nobody is told")
	}
}

// Whatever the graph, the settings and the histories: a feed is what Visible says
// of each event of those who are followed, newest first, and no page repeats or
// misses any.
func TestAFeedIsWhatMayBeSeen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		names := []string{"alice", "bob", "carol", "dave"}
		tokens := map[string]string{}
		for _, name := range names {
			tokens[name] = w.join(t, name)
		}
		events := 0
		gone := map[string]bool{}
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			who := rapid.SampledFrom(names).Draw(rt, "who")
			other := rapid.SampledFrom(names).Draw(rt, "other")
			step := rapid.IntRange(0, 99).Draw(rt, "step")
			if gone[who] || gone[other] {
				continue
			}
			var c user.Command
			switch {
			case step < 30 && who != other:
				c = user.Follow{Target: w.id(t, other), At: w.clock()}
			case step < 36 && who != other:
				c = user.Unfollow{Target: w.id(t, other), At: w.clock()}
			case step < 80:
				events++
				kind := rapid.SampledFrom([]user.ActivityType{user.ActivityView, user.ActivityRating, user.ActivityReview, user.ActivityWatchlistAdd}).Draw(rt, "type")
				c = user.RecordActivity{Activity: user.Activity{EventID: fmt.Sprint(events), Type: kind, MovieID: 1, OccurredAt: w.clock()}, At: w.clock()}
			case step < 86 && events > 0:
				c = user.DeleteActivity{EventID: strconv.Itoa(rapid.IntRange(1, events).Draw(rt, "event")), At: w.clock()}
			case step < 98:
				p := privacies(rt)
				c = user.SetPrivacy{Profile: &p.Profile, WatchHistory: &p.WatchHistory, Ratings: &p.Ratings, At: w.clock()}
			case step == 98:
				gone[who] = true
				c = user.Delete{At: w.clock()}
			default:
				continue
			}
			if _, err := (grains{w}).Do(t.Context(), w.id(t, who), c); err != nil && !errors.Is(err, user.ErrEventNotFound) {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "settled") {
				w.settle()
			}
			w.pass(time.Duration(rapid.IntRange(0, 1).Draw(rt, "seconds")) * time.Second)
		}
		w.maxScan = rapid.IntRange(0, 5).Draw(rt, "scanned")
		for _, name := range names {
			if gone[name] {
				continue
			}
			want := w.visible(t, name)
			for _, limit := range []int{1, 3, 100} {
				if got := w.feed(t, tokens[name], limit); !slices.Equal(got, want) {
					rt.Fatalf("%s sees %v in pages of %d, want %v", name, got, limit, want)
				}
			}
		}
	})
}

func privacies(rt *rapid.T) user.Privacy {
	return user.Privacy{Profile: rapid.Bool().Draw(rt, "profile"), WatchHistory: rapid.Bool().Draw(rt, "watch history"), Ratings: rapid.Bool().Draw(rt, "ratings")}
}

// visible is the feed of somebody as user.Visible has it.
func (w *world) visible(t *testing.T, name string) []string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	type row struct {
		at  persistence.FeedPlace
		uid user.UID
	}
	var rows []row
	for _, reader := range w.states {
		if reader.Username != name || !reader.Registered() {
			continue
		}
		for _, author := range w.states {
			if !author.Registered() || !reader.Following.Contains(author.ID) {
				continue
			}
			viewer := user.ViewerStranger
			if author.Following.Contains(reader.ID) {
				viewer = user.ViewerFollowed
			}
			for _, r := range w.journals[author.ID] {
				if r.Kind != persistence.KindActivityRecorded {
					continue
				}
				e, err := usergrain.DecodeRecord(&r)
				if err != nil {
					t.Fatal(err)
				}
				recorded, ok := e.(user.ActivityRecorded)
				if ok && user.Visible(user.SectionProfile, viewer, author.Privacy) && user.Visible(recorded.Activity.Type.Section(), viewer, author.Privacy) {
					rows = append(rows, row{persistence.PlaceOf(&r), author.UID})
				}
			}
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return newer(a.at, b.at) })
	var ids []string
	for _, r := range rows {
		ids = append(ids, wire.RecordID(r.uid, r.at.Seq))
	}
	return ids
}

func FuzzFeedCursor(f *testing.F) {
	valid := gateway.SealFeed([]byte(secret), 9, persistence.FeedPlace{At: time.UnixMicro(5).UTC(), User: 3, Seq: 7})
	f.Add(valid)
	f.Add(gateway.SealSeq([]byte(secret), "feed", 9, 7))
	f.Fuzz(func(t *testing.T, cursor string) {
		got, err := gateway.OpenFeed([]byte(secret), 9, cursor)
		if err == nil && cursor != "" && gateway.SealFeed([]byte(secret), 9, got) != cursor {
			t.Errorf("%q opens, and was never sealed", cursor)
		}
		if err != nil && cursor == valid {
			t.Error(err)
		}
	})
}
