package demo_test

import (
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"kith/actors/user"
	"kith/demo"
)

func world(t *testing.T, seed uint64, users int) *demo.World {
	t.Helper()
	w, err := demo.New(seed, users)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTheSameSeedMakesTheSameWorld(t *testing.T) {
	t.Parallel()
	a, b, other := world(t, 7, 300), world(t, 7, 300), world(t, 8, 300)
	if !reflect.DeepEqual(a, b) {
		t.Error("two worlds of one seed differ")
	}
	if reflect.DeepEqual(a.People, other.People) {
		t.Error("the worlds of two seeds are the same")
	}
}

// Everything in a world is what the API takes, for small worlds and for large ones
// in which the names run short.
func TestAWorldIsValid(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, users := range []int{demo.MinUsers, 3, 20, 300, 5000} {
		w := world(t, uint64(users), users)
		names := make(map[string]bool)
		for i := range w.People {
			p := &w.People[i]
			if username, err := user.ParseUsername(p.Username); err != nil || username != p.Username || user.Reserved(username) || names[username] {
				t.Errorf("username %q of user %d of %d: %v", p.Username, i, users, err)
			}
			names[p.Username] = true
			if name, err := user.ParseName(p.Name); err != nil || name != p.Name {
				t.Errorf("name %q: %v", p.Name, err)
			}
			if _, err := user.ParseBio(p.Bio); err != nil {
				t.Errorf("bio %q: %v", p.Bio, err)
			}
			if _, err := user.ParseLanguage(p.Language); err != nil {
				t.Errorf("language %q: %v", p.Language, err)
			}
			if genres, err := user.ParseGenres(p.Genres); err != nil || len(genres) != len(p.Genres) {
				t.Errorf("genres %v: %v", p.Genres, err)
			}
			if slices.Contains(p.Follows, i) || !unique(p.Follows) || !unique(p.Crew) || !unique(p.Studios) || len(p.Follows) == 0 {
				t.Errorf("user %d of %d follows %v %v %v", i, users, p.Follows, p.Crew, p.Studios)
			}
			ids := make([]string, 0, len(p.Events))
			for n, e := range p.Events {
				at := now.Add(-e.Ago)
				in := user.ActivityInput{EventID: e.ID, Type: e.Type, MovieID: e.Movie, Review: e.Review, SourcePage: e.Page, OccurredAt: &at}
				if e.Rating > 0 {
					in.Rating = strconv.FormatFloat(float64(e.Rating)/10, 'f', -1, 64)
				}
				if _, err := user.ParseActivity(in, now); err != nil {
					t.Errorf("event %+v: %v", e, err)
				}
				if n > 0 && e.Ago > p.Events[n-1].Ago {
					t.Errorf("event %d of user %d is older than the one before", n, i)
				}
				ids = append(ids, e.ID)
			}
			if !unique(ids) {
				t.Errorf("event ids of user %d: %v", i, ids)
			}
		}
		if v := w.Viewer; v < 0 || v >= users || (users > demo.MinUsers && w.People[v].Hidden) {
			t.Errorf("viewer of %d is %d", users, v)
		}
	}
	for _, users := range []int{-1, 0, 1, demo.MaxUsers + 1} {
		if _, err := demo.New(1, users); err == nil {
			t.Errorf("a world of %d users", users)
		}
	}
}

func unique[T comparable](all []T) bool {
	seen := make(map[T]bool)
	for _, v := range all {
		if seen[v] {
			return false
		}
		seen[v] = true
	}
	return true
}

// A world looks like one: a few are followed by a large part of all, most by few,
// and films are rated rather than written about.
func TestAWorldHasStars(t *testing.T) {
	t.Parallel()
	const users = 300
	w := world(t, 1, users)
	followers := make([]int, users)
	for i := range followers {
		followers[i] = w.Followers(i)
	}
	slices.Sort(followers)
	median, top := followers[users/2], followers[users-1]
	if top < users/3 || median > top/8 || median < 3 {
		t.Errorf("the median has %d followers, the star %d", median, top)
	}
	tenth := 0
	for _, n := range followers[users*9/10:] {
		tenth += n
	}
	if share := float64(tenth) / float64(w.Follows()); share < 0.25 || share > 0.75 {
		t.Errorf("a tenth has %.0f%% of the followers", 100*share)
	}
	if w.Follows() < 10*users || w.Follows() > 40*users {
		t.Errorf("%d follows", w.Follows())
	}
	if w.Events() < 3000 || w.Events() > 15_000 {
		t.Errorf("%d events", w.Events())
	}
	if len(w.People[w.Viewer].Follows) < 50 {
		t.Errorf("the viewer follows %d", len(w.People[w.Viewer].Follows))
	}
	types := make(map[string]int)
	for i := range w.People {
		for _, e := range w.People[i].Events {
			types[e.Type]++
		}
	}
	if types["view"] < types["rating"] || types["rating"] < types["review"] || types["review"] < 100 || types["watchlist_add"] < types["watchlist_remove"] || types["watchlist_remove"] == 0 {
		t.Errorf("events by type: %v", types)
	}
}
