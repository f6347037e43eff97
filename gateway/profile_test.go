package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"kith/actors/user"
)

const defaultSettings = `"preferences":{"fav_genres":[],"adult_content":false,"notification_settings":{"email":true,"push":false},"language":"en"},` +
	`"privacy":{"profile_public":true,"watch_history_public":false,"show_ratings_public":true},`

func TestAProfileHasTheShapeOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.join(t, "alice"), w.join(t, "bob")
	w.join(t, "carol")
	w.follow(t, "alice", "bob")
	w.follow(t, "alice", "carol")
	w.do(t, "alice", user.UpdateProfile{Bio: new("two\nlines <&>"), Picture: new("https://example.com/a.jpg"), At: w.clock()})
	for i := range int64(3) {
		w.pass(time.Second)
		w.do(t, "alice", user.FollowCrew{Crew: 10 + i, At: w.clock()})
		w.do(t, "alice", user.FollowStudio{Studio: 20 + i, At: w.clock()})
	}
	want := func(settings string) string {
		return `{"status":"success","profile":{"_id":"00000000000000000000000000000001","username":"alice","display_name":"Name of alice",` +
			`"bio":"two\nlines <&>","avatar_url":"https://example.com/a.jpg","created_at":"2024-01-15T10:30:00Z",` + settings +
			`"followed":{"crew_members":[12,11,10],"studios":[22,21,20],"other_users":["00000000000000000000000000000003","00000000000000000000000000000002"]},` +
			`"followed_counts":{"crew_members":3,"studios":3,"other_users":2}}}`
	}
	for _, path := range []string{"/users/alice/profile", "/users/self/profile", "/users/ALICE/profile"} {
		if got := w.get(t, alice, path).is(t, 200); strings.TrimSpace(got.Body.String()) != want(defaultSettings) {
			t.Errorf("own: %s", got.Body)
		}
	}
	got := w.get(t, bob, "/users/alice/profile").is(t, 200)
	if strings.TrimSpace(got.Body.String()) != want("") {
		t.Errorf("another's: %s", got.Body)
	}
	tag := got.Header().Get("ETag")
	if again := w.call(t, call{method: http.MethodGet, path: "/users/alice/profile", token: bob, header: []string{"If-None-Match", tag}}); again.Code != 304 {
		t.Errorf("answered %d", again.Code)
	}
	// Somebody followed is gone before the edge is.
	w.do(t, "carol", user.Delete{At: w.clock()})
	got = w.get(t, bob, "/users/alice/profile").is(t, 200)
	if strings.Contains(got.Body.String(), "00000000000000000000000000000003") || got.Header().Get("ETag") == tag {
		t.Error(got.Body)
	}
	w.get(t, alice, "/users/nobody/profile").refused(t, 404, "user_not_found", "User not found")
	w.get(t, "", "/users/alice/profile").is(t, 401)
}

func TestAProfileShowsTheNewestThousand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for i := range int64(1005) {
		w.do(t, "alice", user.FollowCrew{Crew: i + 1, At: w.clock()})
		w.pass(time.Millisecond)
	}
	got := w.get(t, token, "/users/alice/profile").is(t, 200)
	var answer struct {
		Profile struct {
			Followed struct {
				Crew []int64 `json:"crew_members"`
			}
			Counts map[string]int64 `json:"followed_counts"`
		}
	}
	if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	if crew := answer.Profile.Followed.Crew; len(crew) != 1000 || crew[0] != 1005 || crew[999] != 6 || answer.Profile.Counts["crew_members"] != 1005 {
		t.Errorf("%d shown, counts %v", len(crew), answer.Profile.Counts)
	}
}

// patch sends a merge patch of one's own section.
func (w *world) patch(tb testing.TB, token, section, body string) reply {
	tb.Helper()
	return w.call(tb, call{method: http.MethodPatch, path: "/users/self/" + section, token: token, body: body})
}

// profile is a part of the profile in an answer, as JSON.
func (r reply) profile(tb testing.TB, field string) string {
	tb.Helper()
	p, _ := r.body["profile"].(map[string]any)
	b, err := json.Marshal(p[field])
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func TestPatchesOfTheProfileAreMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.photos["ProfileProto/users/00000000000000000000000000000001.jpg"] = photo{bytes: []byte(pngBytes)}
	for i, step := range []struct{ body, name, bio, avatar string }{
		{`{}`, "Name of alice", "", ""},
		{`{"display_name":" A ","bio":"b\n","avatar_url":"https://x/y"}`, "A", `b\n`, "https://x/y"},
		{`{"bio":"c"}`, "A", "c", "https://x/y"},
		{`{"bio":null,"unknown":null}`, "A", "", "https://x/y"},
		{`{"avatar_url":null}`, "A", "", ""},
		{`{"avatar_url":"ProfileProto/users/00000000000000000000000000000001.jpg"}`, "A", "", "ProfileProto/users/00000000000000000000000000000001.jpg"},
		{`{"bio":"x","bio":null,"avatar_url":""}`, "A", "", ""}, // the last counts
		{`{"bio":null,"bio":"y"}`, "A", "y", ""},
	} {
		got := w.patch(t, token, "profile", step.body).is(t, 200)
		if got.profile(t, "display_name") != `"`+step.name+`"` || got.profile(t, "bio") != `"`+step.bio+`"` || got.profile(t, "avatar_url") != `"`+step.avatar+`"` ||
			got.profile(t, "privacy") == "null" {
			t.Errorf("step %d: %s", i, got.Body)
		}
	}
	for body, want := range map[string][2]string{
		`{"display_name":null}`:                      {"invalid_body", "Invalid request body: display_name must not be null"},
		`{"display_name":" "}`:                       {"invalid_display_name", "Name is required"},
		`{"display_name":1}`:                         {"invalid_body", "Invalid request body: display_name must be a string"},
		`{"display_name":"a\u0000"}`:                 {"invalid_body", "Invalid request body: display_name must not contain control characters"},
		`{"bio":"\ud800"}`:                           {"invalid_body", "Invalid request body: bio must not contain a lone surrogate"},
		`{"bio":"` + strings.Repeat("x", 501) + `"}`: {"invalid_bio", "Bio must be at most 500 characters"},
		`{"avatar_url":"x"}`:                         {"invalid_avatar_url", "Profile picture must be empty, an http or https URL, or the path of your own upload"},
		`{"avatar_url":{}}`:                          {"invalid_body", "Invalid request body: avatar_url must be a string"},
		`[]`:                                         {"invalid_body", "Invalid request body"},
		`{"display_name":"` + strings.Repeat("x", 30) + `","bio":"fine?"}`: {"invalid_display_name", "Name must be shorter than 30 characters"},
	} {
		if got := w.patch(t, token, "profile", body).is(t, 400); got.body["code"] != want[0] || got.whole() != want[1] {
			t.Errorf("%s: %s", body, got.Body)
		}
	}
	delete(w.photos, "ProfileProto/users/00000000000000000000000000000001.jpg")
	w.patch(t, token, "profile", `{"avatar_url":"ProfileProto/users/00000000000000000000000000000001.jpg"}`).is(t, 200) // it may come yet
}

func TestPatchesOfPreferencesAreMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for i, step := range []struct{ body, want string }{
		{`{}`, `{"adult_content":false,"fav_genres":[],"language":"en","notification_settings":{"email":true,"push":false}}`},
		{`{"fav_genres":[3,1,3,0],"adult_content":true}`, `{"adult_content":true,"fav_genres":[3,1,0],"language":"en","notification_settings":{"email":true,"push":false}}`},
		{`{"notification_settings":{"sms":true,"email":null}}`, `{"adult_content":true,"fav_genres":[3,1,0],"language":"en","notification_settings":{"push":false,"sms":true}}`},
		{`{"language":"pt-BR","notification_settings":{}}`, `{"adult_content":true,"fav_genres":[3,1,0],"language":"pt-BR","notification_settings":{"push":false,"sms":true}}`},
		{`{"adult_content":null,"fav_genres":null,"language":null}`, `{"adult_content":false,"fav_genres":[],"language":"en","notification_settings":{"push":false,"sms":true}}`},
		{`{"notification_settings":null,"fav_genres":[]}`, `{"adult_content":false,"fav_genres":[],"language":"en","notification_settings":{"email":true,"push":false}}`},
	} {
		if got := w.patch(t, token, "preferences", step.body).is(t, 200); got.profile(t, "preferences") != step.want {
			t.Errorf("step %d: %s", i, got.profile(t, "preferences"))
		}
	}
	var many, keys []string
	for i := range 101 {
		many = append(many, fmt.Sprint(i))
		keys = append(keys, fmt.Sprintf(`"k%d":true`, i))
	}
	for body, want := range map[string][2]string{
		`{"fav_genres":[-1]}`:                                              {"invalid_fav_genres", "Favourite genres must not be negative"},
		`{"fav_genres":[` + strings.Join(many, ",") + `]}`:                 {"invalid_fav_genres", "At most 100 favourite genres are allowed"},
		`{"fav_genres":["1"]}`:                                             {"invalid_body", "Invalid request body: fav_genres[0] must be an integer"},
		`{"fav_genres":[1.5]}`:                                             {"invalid_body", "Invalid request body: fav_genres[0] must be an integer"},
		`{"fav_genres":[null]}`:                                            {"invalid_body", "Invalid request body: fav_genres[0] must not be null"},
		`{"fav_genres":{}}`:                                                {"invalid_body", "Invalid request body: fav_genres must be a list"},
		`{"adult_content":"yes"}`:                                          {"invalid_body", "Invalid request body: adult_content must be true or false"},
		`{"notification_settings":{"a":1}}`:                                {"invalid_body", "Invalid request body: notification_settings must hold what each of its names must be"},
		`{"notification_settings":[]}`:                                     {"invalid_body", "Invalid request body: notification_settings must be an object"},
		`{"notification_settings":{"\ud800":true}}`:                        {"invalid_body", "Invalid request body: notification_settings must not contain a lone surrogate"},
		`{"notification_settings":{"":true}}`:                              {"invalid_notification_settings", "Notification setting must be 1 to 64 characters"},
		`{"notification_settings":{"a\nb":true}}`:                          {"invalid_notification_settings", "Notification setting must not contain control characters"},
		`{"notification_settings":{` + strings.Join(keys[:51], ",") + `}}`: {"invalid_notification_settings", "At most 50 notification settings are allowed"},
		`{"notification_settings":{` + strings.Join(keys[:49], ",") + `}}`: {"invalid_notification_settings", "At most 50 notification settings are allowed"}, // with the two
		`{"language":"klingon language"}`:                                  {"invalid_language", ""},
		`{"language":7}`:                                                   {"invalid_body", "Invalid request body: language must be a string"},
	} {
		got := w.patch(t, token, "preferences", body).is(t, 400)
		if got.body["code"] != want[0] || want[1] != "" && got.whole() != want[1] {
			t.Errorf("%s: %s", body, got.Body)
		}
	}
}

func TestPatchesOfPrivacyAreMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, bob := w.join(t, "alice"), w.join(t, "bob")
	for i, step := range []struct{ body, want string }{
		{`{}`, `{"profile_public":true,"show_ratings_public":true,"watch_history_public":false}`},
		{`{"profile_public":false,"show_ratings_public":false,"watch_history_public":true}`, `{"profile_public":false,"show_ratings_public":false,"watch_history_public":true}`},
		{`{"show_ratings_public":null}`, `{"profile_public":false,"show_ratings_public":true,"watch_history_public":true}`},
		{`{"watch_history_public":null}`, `{"profile_public":false,"show_ratings_public":true,"watch_history_public":false}`},
	} {
		if got := w.patch(t, token, "privacy", step.body).is(t, 200); got.profile(t, "privacy") != step.want {
			t.Errorf("step %d: %s", i, got.profile(t, "privacy"))
		}
	}
	w.get(t, bob, "/users/alice/profile").refused(t, 403, "profile_private", "This profile is private")
	w.patch(t, token, "privacy", `{"profile_public":null}`).is(t, 200)
	w.get(t, bob, "/users/alice/profile").is(t, 200)
	if got := w.patch(t, token, "privacy", `{"profile_public":"no"}`).refused(t, 400, "invalid_body", "Invalid request body"); got.whole() != "Invalid request body: profile_public must be true or false" {
		t.Error(got.Body)
	}
}

func TestPatchesNeedWhoeverSendsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for _, section := range []string{"profile", "preferences", "privacy"} {
		commands := w.commands
		w.patch(t, token, section, `{}`).is(t, 200)
		w.patch(t, "", section, `{}`).is(t, 401)
		if w.commands != commands {
			t.Errorf("%s: nothing changed, by a command", section)
		}
		w.call(t, call{method: http.MethodPut, path: "/users/self/" + section, token: token, body: `{}`}).refused(t, 405, "method_not_allowed", "Method not allowed")
	}
	w.failStores = errors.New("away")
	w.patch(t, token, "privacy", `{}`).is(t, 500)
	w.failStores = nil
	w.do(t, "alice", user.Delete{At: w.clock()})
	for _, section := range []string{"profile", "preferences", "privacy"} {
		w.patch(t, token, section, `{}`).refused(t, 404, "user_not_found", "User not found")
	}
}
