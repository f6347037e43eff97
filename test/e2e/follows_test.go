package e2e_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"kith/test/kithtest"
)

// eventually polls for what effects bring about: in 5 s at most.
func eventually(t *testing.T, done func() bool) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return kithtest.Poll(ctx, 2*time.Millisecond, done)
}

func TestFollow(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada, bob := a.register(t, "follow_ada_zq"), a.register(t, "follow_bob_zq")

	answer := want(t, http.StatusCreated)(ada.Follow(t.Context(), "follow_bob_zq"))
	if answer.Following == nil || !*answer.Following || answer.User == nil || answer.User.Username != "follow_bob_zq" {
		t.Errorf("follow: %s", answer)
	}
	// Her own side is right at once, his soon.
	if u := want(t, http.StatusOK)(ada.User(t.Context(), "self")).User; u.Following != 1 {
		t.Errorf("following is %d right after the answer", u.Following)
	}
	counters(t, ada, "follow_bob_zq", 1, 0)
	if answer := want(t, http.StatusOK)(ada.Follow(t.Context(), "FOLLOW_bob_zq")); answer.Following == nil || !*answer.Following {
		t.Errorf("follow again: %s", answer)
	}
	updated := want(t, http.StatusOK)(bob.User(t.Context(), "self")).User
	if updated.UpdatedAt != updated.CreatedAt {
		t.Errorf("updated_at moved with a counter: %+v", updated)
	}

	refused(t, http.StatusUnprocessableEntity, "self_follow", "You cannot follow yourself")(ada.Follow(t.Context(), "follow_ada_zq"))
	refused(t, http.StatusUnprocessableEntity, "self_follow", "You cannot follow yourself")(ada.Follow(t.Context(), "self"))
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(ada.Follow(t.Context(), "follow_nobody_zq"))
	refused(t, http.StatusBadRequest, "username_required", "Username is required")(ada.Follow(t.Context(), " "))
	refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().Follow(t.Context(), "follow_bob_zq"))

	for range 2 { // also when not followed
		answer := want(t, http.StatusOK)(ada.Unfollow(t.Context(), "follow_bob_zq"))
		if answer.Following == nil || *answer.Following {
			t.Errorf("unfollow: %s", answer)
		}
	}
	counters(t, ada, "follow_bob_zq", 0, 0)
	counters(t, ada, "follow_ada_zq", 0, 0)
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(ada.Unfollow(t.Context(), "follow_nobody_zq"))
	refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().Unfollow(t.Context(), "follow_bob_zq"))
}

func TestFollowLists(t *testing.T) {
	t.Parallel()
	a := start(t)
	star := a.register(t, "list_star_zq")
	names := []string{"list_1_zq", "list_2_zq", "list_3_zq"}
	for _, name := range names {
		c := a.register(t, name)
		want(t, http.StatusCreated)(c.Follow(t.Context(), "list_star_zq"))
		want(t, http.StatusCreated)(star.Follow(t.Context(), name))
	}
	counters(t, star, "list_star_zq", 3, 3)
	for _, name := range names { // so that no card changes any more
		counters(t, star, name, 1, 1)
	}
	slices.Reverse(names) // newest first

	for _, list := range []string{"followers", "following"} {
		t.Run(list, func(t *testing.T) {
			path := "/users/list_star_zq/" + list
			whole := want(t, http.StatusOK)(star.Get(t.Context(), path))
			if got := usernames(whole.Users); !slices.Equal(got, names) || whole.Count != 3 || whole.NextCursor != nil || whole.Header.Get("Link") != "" {
				t.Errorf("list: %s", whole)
			}
			if !strings.Contains(string(whole.Body), `"next_cursor":null`) {
				t.Errorf("no next_cursor at the end: %s", whole)
			}
			want(t, http.StatusNotModified)(star.Do(t.Context(), kithtest.Request{
				Method: http.MethodGet, Path: path, Header: http.Header{"If-None-Match": {whole.Header.Get("ETag")}},
			}))
			want(t, http.StatusOK)(star.Get(t.Context(), "/users/self/"+list))

			var got []string
			next := path + "?limit=2"
			first := ""
			for range 2 {
				page := want(t, http.StatusOK)(star.Get(t.Context(), next))
				got = append(got, usernames(page.Users)...)
				if page.NextCursor == nil {
					break
				}
				link, rel, _ := strings.Cut(page.Header.Get("Link"), ";")
				if strings.TrimSpace(rel) != `rel="next"` {
					t.Fatalf("Link is %q", page.Header.Get("Link"))
				}
				first = *page.NextCursor
				next = strings.Trim(link, "<>")
				if u, err := url.Parse(next); err != nil || u.Query().Get("cursor") != first || u.Query().Get("limit") != "2" {
					t.Fatalf("Link is %q", page.Header.Get("Link"))
				}
			}
			if !slices.Equal(got, names) {
				t.Errorf("pages hold %v, want %v", got, names)
			}

			for _, limit := range []string{"0", "-1", "101", "x", "", "1.5", "01", "%201"} {
				refused(t, http.StatusBadRequest, "invalid_limit", "Limit must be from 1 to 100")(star.Get(t.Context(), path+"?limit="+limit))
			}
			other := map[string]string{"followers": "following", "following": "followers"}[list]
			for _, bad := range []string{
				path + "?cursor=", path + "?cursor=x", path + "?cursor=" + first[:len(first)-1], path + "?cursor=" + first + "A",
				"/users/list_star_zq/" + other + "?cursor=" + first, // of another list
				"/users/list_1_zq/" + list + "?cursor=" + first,     // of another owner
			} {
				refused(t, http.StatusBadRequest, "invalid_cursor", "Invalid cursor")(star.Get(t.Context(), bad))
			}
			refused(t, http.StatusNotFound, "user_not_found", "User not found")(star.Get(t.Context(), "/users/list_nobody_zq/"+list))
			refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().Get(t.Context(), path))
		})
	}
}

func usernames(users []kithtest.User) []string {
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = u.Username
	}
	return names
}
