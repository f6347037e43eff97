package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kith/actors/user"
)

// Every section, for every viewer, with every setting of the three flags: what a
// request shows is what user.Visible says, and nothing else.
func TestTheMatrixOfVisibility(t *testing.T) {
	t.Parallel()
	types := []user.ActivityType{user.ActivityView, user.ActivityRating, user.ActivityWatchlistAdd, user.ActivityWatchlistRemove, user.ActivityReview}
	viewers := map[string]user.Viewer{"owner": user.ViewerOwner, "friend": user.ViewerFollowed, "fan": user.ViewerStranger, "stranger": user.ViewerStranger}
	for flags := range 8 {
		p := user.Privacy{Profile: flags&1 != 0, WatchHistory: flags&2 != 0, Ratings: flags&4 != 0}
		for _, active := range []bool{false, true} { // whether the owner publishes a view
			t.Run(fmt.Sprintf("%+v active=%v", p, active), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				tokens := map[string]string{}
				for _, name := range []string{"owner", "friend", "fan", "stranger"} {
					tokens[name] = w.join(t, name)
				}
				w.follow(t, "owner", "friend")
				w.follow(t, "fan", "owner") // to follow is not to be followed
				for i, kind := range types {
					a := user.Activity{EventID: string(kind), Type: kind, MovieID: int64(i + 1), OccurredAt: w.clock()}
					if kind == user.ActivityRating {
						a.Rating, a.HasRating = 50, true
					}
					w.do(t, "owner", user.RecordActivity{Activity: a, At: w.clock()})
				}
				w.do(t, "owner", user.SetPrivacy{Profile: &p.Profile, WatchHistory: &p.WatchHistory, Ratings: &p.Ratings, At: w.clock()})
				w.views[1] = active
				for name, viewer := range viewers {
					checkSections(t, w, name, tokens[name], viewer, p)
					checkEvents(t, w, name, tokens[name], viewer, p, types)
				}
			})
		}
	}
}

func checkSections(t *testing.T, w *world, name, token string, viewer user.Viewer, p user.Privacy) {
	t.Helper()
	for path, section := range map[string]user.Section{
		"": user.SectionUser, "/profile": user.SectionProfile, "/followers": user.SectionLists, "/following": user.SectionLists,
		"/followed/crew-members": user.SectionLists, "/followed/studios": user.SectionLists, "/events": user.SectionProfile,
	} {
		got := w.get(t, token, "/users/owner"+path)
		if user.Visible(section, viewer, p) {
			got.is(t, 200)
		} else {
			got.refused(t, 403, "profile_private", "This profile is private")
		}
		settings := strings.Contains(got.Body.String(), `"preferences"`) || strings.Contains(got.Body.String(), `"privacy"`)
		if want := path == "/profile" && user.Visible(user.SectionSettings, viewer, p); settings != want {
			t.Errorf("%s sees settings at %q: %v", name, path, settings)
		}
	}
	// The user object is everywhere.
	for _, path := range []string{"/users/list", "/users/search?q=owner"} {
		if got := w.get(t, token, path).is(t, 200); !strings.Contains(got.Body.String(), `"username":"owner"`) {
			t.Errorf("%s does not see the user at %s", name, path)
		}
	}
}

func checkEvents(t *testing.T, w *world, name, token string, viewer user.Viewer, p user.Privacy, types []user.ActivityType) {
	t.Helper()
	if !user.Visible(user.SectionProfile, viewer, p) {
		for _, kind := range types {
			w.get(t, token, "/users/owner/events?type="+string(kind)).refused(t, 403, "profile_private", "This profile is private")
		}
		return
	}
	var want []string
	for _, kind := range slices.Backward(types) {
		shown := user.Visible(kind.Section(), viewer, p)
		if shown {
			want = append(want, string(kind))
		}
		if got := eventIDs(w.get(t, token, "/users/owner/events?type="+string(kind)).is(t, 200)); (len(got) == 1) != shown || len(got) > 1 {
			t.Errorf("%s asks for %s and sees %v", name, kind, got)
		}
	}
	if got := eventIDs(w.get(t, token, "/users/owner/events").is(t, 200)); !slices.Equal(got, want) {
		t.Errorf("%s sees %v, want %v", name, got, want)
	}
}
