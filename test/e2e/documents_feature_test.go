package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// feature is two people who use every function of the feature document.
type feature struct {
	*api

	t        *testing.T
	text     string
	ada, bob *kithtest.Client
}

const (
	featureAda, featureBob = "feature_ada_zq", "feature_bob_zq"
)

// Every function that the document lists is a route that does it, the profile has
// the documented structure, and every documented type of event is recorded.
func TestTheFeatureDocumentIsTrue(t *testing.T) {
	t.Parallel()
	a := start(t)
	f := &feature{api: a, t: t, text: document(t, "backend-users-feature.md"), ada: a.register(t, featureAda), bob: a.register(t, featureBob)}
	functions := regexp.MustCompile("(?m)^- `(\\w+\\(\\))`: (.*)$").FindAllStringSubmatch(f.text, -1)
	if len(functions) != 17 {
		t.Fatalf("the document has %d functions", len(functions))
	}
	list := newChecklist(f.functions())
	for _, function := range functions {
		list.check(t, function[1]+" "+function[2])
	}
	list.complete(t)
	f.structure()
	f.eventTypes()
	a.Settle()
}

// do sends a request and wants a status.
func (f *feature) do(c *kithtest.Client, status int, method, path string, body any) *kithtest.Answer {
	f.t.Helper()
	return want(f.t, status)(c.Do(f.t.Context(), kithtest.Request{Method: method, Path: path, Body: body}))
}

// at returns what stands at a path of an answer, as JSON.
func (f *feature) at(a *kithtest.Answer, path ...string) string {
	f.t.Helper()
	var value any
	if err := json.Unmarshal(a.Body, &value); err != nil {
		f.t.Fatal(err)
	}
	for _, name := range path {
		object, ok := value.(map[string]any)
		if value = object[name]; !ok {
			f.t.Fatalf("no %s in %s", name, a)
		}
	}
	b, err := json.Marshal(value)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

// holds wants that something stands at a path of an answer.
func (f *feature) holds(a *kithtest.Answer, is string, path ...string) {
	f.t.Helper()
	if got := f.at(a, path...); got != is {
		f.t.Errorf("%s is %s, not %s: %s", strings.Join(path, "."), got, is, a)
	}
}

// functions do what each function is said to do, in the order of the document.
func (f *feature) functions() map[string]func() {
	const self = "/users/self"
	get := func(c *kithtest.Client, path string) *kithtest.Answer {
		return f.do(c, http.StatusOK, http.MethodGet, path, nil)
	}
	things := func(path, field string) {
		f.holds(f.do(f.ada, http.StatusCreated, http.MethodPut, self+path+"/287", nil), "true", "followed")
		f.holds(f.do(f.ada, http.StatusOK, http.MethodPut, self+path+"/287", nil), "true", "followed")
		f.holds(get(f.ada, self+"/profile"), "[287]", "profile", "followed", field)
	}
	gone := func(path, field string) {
		for range 2 {
			f.holds(f.do(f.ada, http.StatusOK, http.MethodDelete, self+path+"/287", nil), "false", "followed")
		}
		f.holds(get(f.ada, self+"/profile"), "[]", "profile", "followed", field)
	}
	listed := func(path, field string) {
		f.do(f.ada, http.StatusCreated, http.MethodPut, self+path+"/1", nil)
		f.do(f.ada, http.StatusCreated, http.MethodPut, self+path+"/2", nil)
		answer := get(f.bob, "/users/"+featureAda+path)
		if !regexp.MustCompile(`^\[{"followed_at":"[^"]+","id":2},{"followed_at":"[^"]+","id":1}\]$`).MatchString(f.at(answer, field)) || answer.Count != 2 {
			f.t.Errorf("newest first: %s", answer)
		}
	}
	const crew, studios = "/followed/crew-members", "/followed/studios"
	follow := func() {
		f.do(f.ada, http.StatusCreated, http.MethodPut, self+"/following/"+featureBob, nil)
		counters(f.t, f.ada, featureBob, 1, 0)
	}
	return map[string]func(){
		"getUserProfile() ": func() {
			answer := get(f.ada, "/users/"+featureAda+"/profile")
			f.at(answer, "profile", "preferences", "language")
			f.at(answer, "profile", "privacy", "profile_public")
		},
		"updateUserProfile() ": func() {
			answer := f.do(f.ada, http.StatusOK, http.MethodPatch, self+"/profile", map[string]string{"display_name": "Ada Zq", "bio": "A bio", "avatar_url": "https://example.com/a.jpg"})
			f.holds(answer, `"Ada Zq"`, "profile", "display_name")
			f.holds(answer, `"A bio"`, "profile", "bio")
			f.holds(answer, `"https://example.com/a.jpg"`, "profile", "avatar_url")
		},
		"updateUserPreferences() ": func() {
			answer := f.do(f.ada, http.StatusOK, http.MethodPatch, self+"/preferences", map[string]any{
				"fav_genres": []int{18, 35}, "language": "fr", "adult_content": true, "notification_settings": map[string]bool{"push": true},
			})
			f.holds(answer, `{"adult_content":true,"fav_genres":[18,35],"language":"fr","notification_settings":{"email":true,"push":true}}`, "profile", "preferences")
		},
		"updateUserPrivacy() ": func() {
			answer := f.do(f.ada, http.StatusOK, http.MethodPatch, self+"/privacy", map[string]bool{"watch_history_public": true})
			f.holds(answer, `{"profile_public":true,"show_ratings_public":true,"watch_history_public":true}`, "profile", "privacy")
		},
		"followCrewMember() ":   func() { things(crew, "crew_members") },
		"unfollowCrewMember() ": func() { gone(crew, "crew_members") },
		"followStudio() ":       func() { things(studios, "studios") },
		"unfollowStudio() ":     func() { gone(studios, "studios") },
		"followUser() ":         follow,
		"unfollowUser() ": func() {
			f.do(f.ada, http.StatusOK, http.MethodDelete, self+"/following/"+featureBob, nil)
			counters(f.t, f.ada, featureBob, 0, 0)
		},
		"getFollowedCrewMembers() ": func() { listed(crew, "crew_members") },
		"getFollowedStudios() ":     func() { listed(studios, "studios") },
		"getFollowers() ": func() {
			follow()
			if users, err := f.bob.Followers(f.t.Context(), featureBob); err != nil || !slices.Equal(usernames(users), []string{featureAda}) {
				f.t.Errorf("followers: %v %v", users, err)
			}
		},
		"getFollowing() ": func() {
			if users, err := f.bob.Following(f.t.Context(), featureAda); err != nil || !slices.Equal(usernames(users), []string{featureBob}) {
				f.t.Errorf("following: %v %v", users, err)
			}
		},
		"recordEvent() ": func() {
			for i, event := range []map[string]any{
				{"type": "view"}, {"type": "rating", "rating": 7.5}, {"type": "watchlist_add"},
			} {
				event["event_id"], event["movie_id"] = fmt.Sprintf("evt-%d", i), 129
				f.holds(f.do(f.bob, http.StatusCreated, http.MethodPost, self+"/events", event), fmt.Sprintf(`"evt-%d"`, i), "event", "event_id")
			}
		},
		"getUserEvents() ": func() {
			var ids []string
			for path := self + "/events?limit=2"; path != ""; {
				answer := get(f.bob, path)
				for _, m := range regexp.MustCompile(`"event_id":"([^"]+)"`).FindAllStringSubmatch(string(answer.Body), -1) {
					ids = append(ids, m[1])
				}
				if path = ""; answer.NextCursor != nil {
					path = self + "/events?limit=2&cursor=" + *answer.NextCursor
				}
			}
			if !slices.Equal(ids, []string{"evt-2", "evt-1", "evt-0"}) {
				f.t.Errorf("events: %v", ids)
			}
		},
		"deleteUserEvent() ": func() {
			f.do(f.bob, http.StatusOK, http.MethodDelete, self+"/events/evt-0", nil)
			f.do(f.bob, http.StatusNotFound, http.MethodDelete, self+"/events/evt-0", nil)
			if answer := get(f.bob, self+"/events"); strings.Contains(string(answer.Body), "evt-0") || answer.Count != 2 {
				f.t.Errorf("events: %s", answer)
			}
		},
	}
}

// structure compares the profile with the documented structure, field by field.
// Ada follows a crew member, a studio and a user by now.
func (f *feature) structure() {
	t := f.t
	t.Helper()
	var profile map[string]any
	answer := f.do(f.ada, http.StatusOK, http.MethodGet, "/users/self/profile", nil)
	if err := json.Unmarshal([]byte(f.at(answer, "profile")), &profile); err != nil {
		t.Fatal(err)
	}
	objects := []map[string]any{profile} // the last is the one that is read
	fields := 0
	for line := range strings.Lines(part(t, f.text, "User {\n", "\n}\n")) {
		name, kind, ok := strings.Cut(strings.TrimSpace(line), ": ")
		current := objects[len(objects)-1]
		value, there := current[name]
		switch {
		case strings.TrimSpace(line) == "}":
			objects = objects[:len(objects)-1]
			continue
		case !ok || !there:
			t.Errorf("the profile has no %q", strings.TrimSpace(line))
			continue
		case kind == "{":
			object, ok := value.(map[string]any)
			if !ok {
				t.Fatalf("%s is no object: %v", name, value)
			}
			objects = append(objects, object)
			continue
		case !ofType(kind, value):
			t.Errorf("%s is %v, documented as %s", name, value, kind)
		}
		fields++
	}
	if fields != 16 {
		t.Errorf("%d fields are documented", fields)
	}
}

// ofType reports whether a value is of a documented type: of a list or a record
// all values, of which there must be some.
func ofType(kind string, value any) bool {
	all := func(kind string, n int, values func(yield func(any))) bool {
		ok := n > 0
		values(func(v any) { ok = ok && ofType(kind, v) })
		return ok
	}
	if of, list := strings.CutSuffix(kind, "[]"); list {
		values, ok := value.([]any)
		return ok && all(of, len(values), func(yield func(any)) {
			for _, v := range values {
				yield(v)
			}
		})
	}
	switch kind {
	case "string":
		_, ok := value.(string)
		return ok
	case "number":
		n, ok := value.(float64)
		return ok && n == float64(int64(n))
	case "boolean":
		_, ok := value.(bool)
		return ok
	case `Id<"users">`:
		id, ok := value.(string)
		return ok && uid.MatchString(id)
	case "Record<string, boolean>":
		record, ok := value.(map[string]any)
		return ok && all("boolean", len(record), func(yield func(any)) {
			for _, v := range record {
				yield(v)
			}
		})
	}
	return false
}

// eventTypes records one event of each documented type.
func (f *feature) eventTypes() {
	t := f.t
	t.Helper()
	types := regexp.MustCompile("(?m)^- `(\\w+)`: ").FindAllStringSubmatch(part(t, f.text, "## Event Types", "## Related Features"), -1)
	if len(types) != 5 {
		t.Errorf("event types are %v", types)
	}
	for _, m := range types {
		event := map[string]any{"type": m[1], "movie_id": 550}
		switch m[1] {
		case "rating":
			event["rating"] = 9
		case "review":
			event["review"] = "PERSONAL review"
		}
		f.do(f.ada, http.StatusCreated, http.MethodPost, "/users/self/events", event)
		answer := f.do(f.ada, http.StatusOK, http.MethodGet, "/users/self/events?type="+m[1], nil)
		if answer.Count != 1 || !strings.Contains(string(answer.Body), `"type":"`+m[1]+`"`) {
			t.Errorf("events of type %s: %s", m[1], answer)
		}
	}
}
