package user_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kith/actors/user"
)

func aView() user.ActivityInput {
	return user.ActivityInput{EventID: "e1", Type: "view", MovieID: 1}
}

func aReview() user.ActivityInput {
	return user.ActivityInput{EventID: "e1", Type: "review", MovieID: 1, Review: "good"}
}

func aRating(number string) user.ActivityInput {
	return user.ActivityInput{EventID: "e1", Type: "rating", MovieID: 1, Rating: number}
}

func TestParseActivity(t *testing.T) {
	t.Parallel()
	cet := time.FixedZone("CET", 3600)
	now := time.Date(2024, 5, 1, 12, 0, 0, 1999, cet)
	utc := time.Date(2024, 5, 1, 11, 0, 0, 1000, time.UTC)

	got, err := user.ParseActivity(aView(), now)
	if diff := cmp.Diff(user.Activity{EventID: "e1", Type: user.ActivityView, MovieID: 1, OccurredAt: utc}, got); err != nil || diff != "" {
		t.Errorf("the least one: %v (-want +got):\n%s", err, diff)
	}

	in := user.ActivityInput{
		EventID: strings.Repeat("aZ09_-", 11)[:64], Type: "review", MovieID: 1<<63 - 1, Rating: "9.5", Review: strings.Repeat("é", 10_000),
		Details: []byte(`{"note":"a\"b\\n\u00e9","n":[1]}`), SessionID: strings.Repeat("é", 128),
		SourcePage: strings.Repeat("é", 256), SourceSection: strings.Repeat("é", 256), OccurredAt: new(now.Add(time.Minute)),
	}
	want := user.Activity{
		EventID: in.EventID, Type: user.ActivityReview, MovieID: in.MovieID, Rating: 95, HasRating: true, Review: in.Review, Details: in.Details,
		SessionID: in.SessionID, SourcePage: in.SourcePage, SourceSection: in.SourceSection, OccurredAt: utc.Add(time.Minute),
	}
	got, err = user.ParseActivity(in, now)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("the greatest one: %v (-want +got):\n%s", err, diff)
	}
}

func TestParseActivityTypes(t *testing.T) {
	t.Parallel()
	const (
		noRating = "Rating is allowed only for a rating or a review"
		noReview = "Review is allowed only for a review"
	)
	for _, name := range []string{"view", "watchlist_add", "watchlist_remove"} {
		in := user.ActivityInput{EventID: "e", Type: name, MovieID: 1}
		if _, err := user.ParseActivity(in, t0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		in.Rating = "5"
		_, err := user.ParseActivity(in, t0)
		refusedAs(t, name+" with a rating", err, "rating", noRating)
		in.Rating, in.Review = "", "text"
		_, err = user.ParseActivity(in, t0)
		refusedAs(t, name+" with a review", err, "review", noReview)
	}
	_, err := user.ParseActivity(aRating(""), t0)
	refusedAs(t, "a rating without one", err, "rating", "Rating is required")
	in := aRating("5")
	in.Review = "text"
	_, err = user.ParseActivity(in, t0)
	refusedAs(t, "a rating with a review", err, "review", noReview)
	in = aReview()
	if a, err := user.ParseActivity(in, t0); err != nil || a.HasRating {
		t.Errorf("a review without a rating: %+v, %v", a, err)
	}
}

func TestParseActivityRatings(t *testing.T) {
	t.Parallel()
	for number, tenths := range map[string]int32{
		"0": 0, "-0": 0, "0.0": 0, "0.1": 1, "0.7": 7, "7": 70, "7.5": 75, "7.50": 75, "9.9": 99, "10": 100, "10.0": 100, "1e1": 100, "75e-1": 75, "5E0": 50,
	} {
		a, err := user.ParseActivity(aRating(number), t0)
		if err != nil || a.Rating != tenths || !a.HasRating {
			t.Errorf("%s = %d tenths, %v; want %d", number, a.Rating, err, tenths)
		}
	}
	for tenths := range int32(101) {
		number := string('0'+tenths/100) + string('0'+tenths/10%10) + "." + string('0'+tenths%10)
		if a, err := user.ParseActivity(aRating(number), t0); err != nil || a.Rating != tenths {
			t.Errorf("%s = %d tenths, %v; want %d", number, a.Rating, err, tenths)
		}
	}
	for _, number := range []string{"-1", "-0.1", "10.1", "11", "7.55", "7.05", "0.01", "1e-2", "1e400", "NaN", "Inf", "0x1p1", "1_0", "five", " 5", "-", "."} {
		_, err := user.ParseActivity(aRating(number), t0)
		refusedAs(t, number, err, "rating", "Rating must be from 0 to 10 with at most one decimal")
	}
}

func TestParseActivityRefuses(t *testing.T) {
	t.Parallel()
	const (
		idRule   = "Event id must be 1 to 64 letters, digits, underscores or hyphens"
		typeRule = "Type must be view, rating, watchlist_add, watchlist_remove or review"
		details  = "Event details must not contain control characters"
	)
	for _, c := range []struct {
		change         func(*user.ActivityInput)
		field, message string
	}{
		{func(in *user.ActivityInput) { in.EventID = "" }, "event_id", idRule},
		{func(in *user.ActivityInput) { in.EventID = strings.Repeat("a", 65) }, "event_id", idRule},
		{func(in *user.ActivityInput) { in.EventID = "a.b" }, "event_id", idRule},
		{func(in *user.ActivityInput) { in.EventID = "é" }, "event_id", idRule},
		{func(in *user.ActivityInput) { in.Type = "" }, "type", typeRule},
		{func(in *user.ActivityInput) { in.Type = "View" }, "type", typeRule},
		{func(in *user.ActivityInput) { in.MovieID = 0 }, "movie_id", "Movie id must be a positive 64-bit integer"},
		{func(in *user.ActivityInput) { in.MovieID = -1 }, "movie_id", "Movie id must be a positive 64-bit integer"},
		{func(in *user.ActivityInput) { in.Review = "" }, "review", "Review is required"},
		{func(in *user.ActivityInput) { in.Review = strings.Repeat("a", 10_001) }, "review", "Review must be at most 10000 characters"},
		{func(in *user.ActivityInput) { in.Review = "a\x00" }, "review", "Review must not contain control characters"},
		{func(in *user.ActivityInput) { in.Review = "a\xff" }, "review", "Review must be valid UTF-8"},
		{func(in *user.ActivityInput) { in.Details = []byte(`[]`) }, "event_details", "Event details must be an object"},
		{func(in *user.ActivityInput) { in.Details = []byte(`"{}"`) }, "event_details", "Event details must be an object"},
		{func(in *user.ActivityInput) { in.Details = []byte(`{"a":"` + strings.Repeat("x", 4089) + `"}`) }, "event_details", "Event details must be at most 4096 bytes"},
		{func(in *user.ActivityInput) { in.Details = []byte("{\"a\":\"\xff\"}") }, "event_details", "Event details must be valid UTF-8"},
		{func(in *user.ActivityInput) { in.Details = []byte(`{"a":"b\n"}`) }, "event_details", details},
		{func(in *user.ActivityInput) { in.Details = []byte(`{"a\u0000":1}`) }, "event_details", details},
		{func(in *user.ActivityInput) { in.Details = []byte(`{"a":"\\\u007F"}`) }, "event_details", details},
		{func(in *user.ActivityInput) { in.Details = []byte("{\"a\":\"\u0085\"}") }, "event_details", details},
		{func(in *user.ActivityInput) { in.SessionID = strings.Repeat("a", 129) }, "session_id", "Session id must be at most 128 characters"},
		{func(in *user.ActivityInput) { in.SessionID = "\t" }, "session_id", "Session id must not contain control characters"},
		{func(in *user.ActivityInput) { in.SourcePage = strings.Repeat("a", 257) }, "context.source_page", "Source page must be at most 256 characters"},
		{func(in *user.ActivityInput) { in.SourceSection = strings.Repeat("a", 257) }, "context.source_section", "Source section must be at most 256 characters"},
		{func(in *user.ActivityInput) { in.OccurredAt = new(t0.Add(time.Minute + 1)) }, "occurred_at", "Time must be at most 1 minute ahead"},
		{func(in *user.ActivityInput) { in.OccurredAt = new(t0.AddDate(0, 0, -30).Add(-1)) }, "occurred_at", "Time must be at most 30 days back"},
		{func(in *user.ActivityInput) { in.OccurredAt = new(time.Time) }, "occurred_at", "Time must be at most 30 days back"},
	} {
		in := aReview()
		c.change(&in)
		_, err := user.ParseActivity(in, t0)
		refusedAs(t, c.message, err, c.field, c.message)
	}
}

func TestParseActivityAllowsAtTheBounds(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*user.ActivityInput){
		"30 days back":                func(in *user.ActivityInput) { in.OccurredAt = new(t0.AddDate(0, 0, -30)) },
		"1 minute ahead":              func(in *user.ActivityInput) { in.OccurredAt = new(t0.Add(time.Minute)) },
		"4 KiB of details":            func(in *user.ActivityInput) { in.Details = []byte(`{"a":"` + strings.Repeat("x", 4088) + `"}`) },
		"lines between details":       func(in *user.ActivityInput) { in.Details = []byte("{\n\t\"a\": 1\r\n}") },
		"a quote after a backslash":   func(in *user.ActivityInput) { in.Details = []byte(`{"a":"\\"` + "\n}") },
		"lines and tabs in a review":  func(in *user.ActivityInput) { in.Review = "a\n\tb" },
		"a review of a single letter": func(in *user.ActivityInput) { in.Review = "é" },
	} {
		in := aReview()
		change(&in)
		if _, err := user.ParseActivity(in, t0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
