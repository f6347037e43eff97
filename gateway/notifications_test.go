package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kith/actors/user"
)

// notices returns the followers in a page of notifications, their ids, and how
// many are unread.
func notices(tb testing.TB, r reply) (names, ids []string, unread float64) {
	tb.Helper()
	r.is(tb, 200)
	var page struct {
		Notifications []struct {
			ID, Type, Time string
			User           struct{ Username string }
		}
		Count  int
		Unread *float64
	}
	if err := json.Unmarshal(r.Body.Bytes(), &page); err != nil {
		tb.Fatal(err)
	}
	if page.Notifications == nil || page.Unread == nil || page.Count != len(page.Notifications) {
		tb.Fatalf("page %s", r.Body)
	}
	for _, n := range page.Notifications {
		if n.Type != "follower.added" || n.Time == "" {
			tb.Fatalf("notification %+v", n)
		}
		names, ids = append(names, n.User.Username), append(ids, n.ID)
	}
	return names, ids, *page.Unread
}

func (w *world) markSeen(tb testing.TB, token, id string) reply {
	tb.Helper()
	return w.call(tb, call{method: http.MethodPut, path: "/users/self/notifications/seen", token: token, body: `{"id":"` + id + `"}`})
}

func TestFollowersAreNotified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.join(t, "alice")
	uid := w.uid(t, "alice").String()
	if got := w.get(t, alice, "/users/self/notifications").is(t, 200); strings.TrimSpace(got.Body.String()) != `{"status":"success","notifications":[],"unread":0,"count":0,"next_cursor":null}` {
		t.Error(got.Body)
	}
	bob := w.join(t, "bob")
	w.follow(t, "bob", "alice")
	card, err := json.Marshal(w.get(t, bob, "/users/bob").body["user"])
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal([]byte(`{"status":"success","notifications":[{"id":"`+uid+`/2","type":"follower.added","time":"2024-01-15T10:30:01Z","user":`+string(card)+`}],"unread":1,"count":1,"next_cursor":null}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, any(w.get(t, alice, "/users/self/notifications").is(t, 200).body)); diff != "" {
		t.Error(diff)
	}

	for _, name := range []string{"carol", "dave", "erin"} {
		w.join(t, name)
		w.follow(t, name, "alice")
	}
	var names, ids []string
	path := "/users/self/notifications?limit=3"
	for path != "" {
		got := w.get(t, alice, path)
		n, i, unread := notices(t, got)
		if unread != 4 {
			t.Errorf("%v unread", unread)
		}
		names, ids = append(names, n...), append(ids, i...)
		path = ""
		if next, more := got.body["next_cursor"].(string); more {
			path = "/users/self/notifications?limit=3&cursor=" + next
		}
	}
	if !slices.Equal(names, []string{"erin", "dave", "carol", "bob"}) || !slices.Equal(ids, []string{uid + "/5", uid + "/4", uid + "/3", uid + "/2"}) {
		t.Errorf("%v %v", names, ids)
	}

	for _, step := range []struct {
		id   string
		left float64
	}{{ids[2], 2}, {ids[3], 2}, {ids[2], 2}, {ids[0], 0}} { // never back
		if got := w.markSeen(t, alice, step.id).is(t, 200); got.body["unread"] != step.left {
			t.Errorf("after %s: %s", step.id, got.Body)
		}
	}
	// An unfollow takes its notification back; following again notifies again.
	w.do(t, "dave", user.Unfollow{Target: w.id(t, "alice"), At: w.clock()})
	w.settle()
	w.do(t, "bob", user.Delete{At: w.clock()})
	if names, _, unread := notices(t, w.get(t, alice, "/users/self/notifications")); !slices.Equal(names, []string{"erin", "carol"}) || unread != 0 {
		t.Errorf("%v, %v unread", names, unread)
	}
	w.markSeen(t, alice, ids[1]).is(t, 200) // what was taken back is still a place
	w.follow(t, "dave", "alice")
	if names, ids, unread := notices(t, w.get(t, alice, "/users/self/notifications")); !slices.Equal(names, []string{"dave", "erin", "carol"}) || ids[0] != uid+"/7" || unread != 1 {
		t.Errorf("%v %v, %v unread", names, ids, unread)
	}
}

func TestWhatIsNoNotificationIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.join(t, "alice"), w.join(t, "bob")
	w.follow(t, "bob", "alice")
	uid := w.uid(t, "alice").String()
	const message = "Id must be that of one of your notifications"
	for _, id := range []string{"", "2", uid, uid + "/", uid + "/0", uid + "/02", uid + "/-2", uid + "/99999999999999999999", "G" + uid[1:] + "/2", uid + "/2/2", uid + "%2F2"} {
		w.markSeen(t, alice, id).refused(t, 400, "invalid_id", message)
	}
	for _, body := range []string{`{}`, `{"id":null}`} {
		w.call(t, call{method: http.MethodPut, path: "/users/self/notifications/seen", token: alice, body: body}).refused(t, 400, "invalid_id", message)
	}
	for _, body := range []string{`{"id":2}`, `[]`, `{"id":"\ud800"}`} {
		w.call(t, call{method: http.MethodPut, path: "/users/self/notifications/seen", token: alice, body: body}).refused(t, 400, "invalid_body", "Invalid request body")
	}
	for _, id := range []string{uid + "/1", uid + "/3", fmt.Sprint(uid, "/", int64(1)<<62), w.uid(t, "bob").String() + "/2"} {
		w.markSeen(t, alice, id).refused(t, 404, "notification_not_found", "Notification not found")
	}
	w.markSeen(t, "", uid+"/2").refused(t, 401, "unauthorized", "Missing or invalid authentication token")
	w.markSeen(t, bob, uid+"/2").refused(t, 404, "notification_not_found", "Notification not found")
	w.failStores = errors.New("away")
	w.markSeen(t, alice, uid+"/2").refused(t, 500, "internal_error", "Internal server error")
	w.get(t, alice, "/users/self/notifications").refused(t, 500, "internal_error", "Internal server error")
	w.failStores = nil
	w.markSeen(t, alice, uid+"/2").is(t, 200)
	w.do(t, "alice", user.Delete{At: w.clock()})
	w.markSeen(t, alice, uid+"/2").refused(t, 404, "user_not_found", "User not found")
}
