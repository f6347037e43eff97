package user_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"kith/actors/user"
)

// fuzzText runs a parser on any string: it gives a value that keeps the rules
// and is its own parse, or an InvalidError that can be shown.
func fuzzText[T ~string](f *testing.F, parse func(string) (T, error), keeps func(T) bool, seeds ...string) {
	f.Helper()
	for _, seed := range append(seeds, "", " ", "\x00", "\xff", "\ud7ff", "\U0001f600", strings.Repeat("é", 300)) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parse(s)
		if err != nil {
			showable(t, err)
			return
		}
		if !utf8.ValidString(string(v)) || !keeps(v) {
			t.Fatalf("%q was let through as %q", s, v)
		}
		if again, err := parse(string(v)); err != nil || again != v {
			t.Fatalf("%q parses to %q, %v", v, again, err)
		}
	})
}

func showable(t *testing.T, err error) {
	t.Helper()
	var invalid *user.InvalidError
	if !errors.As(err, &invalid) || invalid.Field == "" || invalid.Message == "" || strings.HasSuffix(invalid.Message, ".") {
		t.Fatalf("%v is nothing to show to a client", err)
	}
}

func runes(s string, least, most int) bool {
	n := utf8.RuneCountInString(s)
	return n >= least && n <= most
}

func noControls(s string) bool { return !regexp.MustCompile(`\p{Cc}`).MatchString(s) }

func FuzzParseUsername(f *testing.F) {
	fuzzText(f, user.ParseUsername, regexp.MustCompile(`^[a-z0-9_]{3,30}$`).MatchString, "John_Doe", " a ", "user-name", "\u212aith", "İstanbul")
}

func FuzzParseName(f *testing.F) {
	fuzzText(f, user.ParseName, func(s string) bool { return runes(s, 1, 29) && noControls(s) && strings.TrimSpace(s) == s }, "Ada", "A\nB")
}

func FuzzParseEmail(f *testing.F) {
	plain := regexp.MustCompile(`^([^\s<>,@]+@[^\s<>,@]+)?$`)
	fuzzText(f, user.ParseEmail, plain.MatchString, "ada@example.com", "Ada <ada@example.com>", `"a"@b`, "a@[1.2.3.4]", "a@b(c)", "ä@ö")
}

func FuzzParsePassword(f *testing.F) {
	fuzzText(f, user.ParsePassword, func(s string) bool { return runes(s, 8, 128) && noControls(s) }, "12345678", "1234567\n")
}

func FuzzParseRole(f *testing.F) {
	fuzzText(f, user.ParseRole, func(r user.Role) bool { return r == user.RoleUser || r == user.RoleCreator }, "user", "creator", "admin")
}

func FuzzParseBio(f *testing.F) {
	fuzzText(f, user.ParseBio, func(s string) bool {
		return runes(s, 0, 500) && noControls(strings.NewReplacer("\n", "", "\t", "").Replace(s))
	}, "a\nb", "a\rb")
}

func FuzzParsePicture(f *testing.F) {
	keeps := regexp.MustCompile(`^(|ProfileProto/users/01000000000000000000000000000007\.jpg|(?i)https?://[^\s\p{Cc}]+)$`)
	fuzzText(f, func(s string) (string, error) { return user.ParsePicture(s, adaUID) }, keeps.MatchString,
		user.PicturePath(adaUID), user.PicturePath(user.UID{}), "https://example.com/a.jpg", "http://[::1]:80/", "javascript:alert(1)", "https://a b/")
}

func FuzzParseLanguage(f *testing.F) {
	fuzzText(f, user.ParseLanguage, regexp.MustCompile(`^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$`).MatchString, "en", "zh-Hant-TW", "x-a", "en-a-bb-x-c", "i-ami", "en-GB-oed")
}

func FuzzParseEventID(f *testing.F) {
	fuzzText(f, user.ParseEventID, regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString, "e1", "0190a1-_Z", "a.b")
}

func FuzzParseUID(f *testing.F) {
	f.Add("01000000000000000000000000000007")
	f.Add("0100000000000000000000000000000G")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if uid, err := user.ParseUID(s); err == nil && uid.String() != s {
			t.Fatalf("%q is read as %s", s, uid)
		}
	})
}

func FuzzParseIDs(f *testing.F) {
	for _, seed := range []string{"1", "0", "-1", "+1", "01", "9223372036854775807", "9223372036854775808", ""} {
		f.Add(seed)
	}
	digits := regexp.MustCompile(`^[1-9][0-9]{0,18}$`)
	f.Fuzz(func(t *testing.T, s string) {
		crew, err := user.ParseCrewID(s)
		studio, err2 := user.ParseStudioID(s)
		if crew != studio || (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %d, %v and %d, %v", s, crew, err, studio, err2)
		}
		if err != nil {
			showable(t, err)
			return
		}
		if crew <= 0 || !digits.MatchString(s) {
			t.Fatalf("%q was let through as %d", s, crew)
		}
	})
}

func FuzzParsePreferences(f *testing.F) {
	f.Add(int64(1), int64(1), "email", true)
	f.Add(int64(-1), int64(0), "", false)
	f.Add(int64(0), int64(9), "a\xff", false)
	f.Fuzz(func(t *testing.T, a, b int64, key string, wanted bool) {
		genres, err := user.ParseGenres([]int64{a, b, a})
		switch {
		case err != nil:
			showable(t, err)
		case a < 0 || b < 0 || len(genres) > 2 || genres[0] != a || (a != b) != (len(genres) == 2):
			t.Fatalf("%d, %d, %d became %v", a, b, a, genres)
		}
		if err := user.CheckNotifications(map[string]*bool{key: &wanted}); err != nil {
			showable(t, err)
		} else if !utf8.ValidString(key) || !runes(key, 1, 64) || !noControls(key) {
			t.Fatalf("the key %q was let through", key)
		}
	})
}

func FuzzParseActivity(f *testing.F) {
	f.Add("e1", "view", int64(1), "", "", "", "", "", "", int64(0))
	f.Add("e1", "rating", int64(1), "7.5", "", `{"a":"\n"}`, "s", "p", "x", int64(60))
	f.Add("e1", "review", int64(1), "1e1", "good", `{"a":"\\u0000\`, "s", "p", "x", int64(-30*86400))
	f.Add("e1", "review", int64(1), "NaN", "a\nb", `{"\u00`, "", "", "", int64(61))
	f.Fuzz(func(t *testing.T, id, kind string, movie int64, rating, review, details, session, page, section string, offset int64) {
		when := t0.Add(time.Duration(offset%(1<<32)) * time.Second)
		a, err := user.ParseActivity(user.ActivityInput{
			EventID: id, Type: kind, MovieID: movie, Rating: rating, Review: review, Details: []byte(details),
			SessionID: session, SourcePage: page, SourceSection: section, OccurredAt: &when,
		}, t0)
		if err != nil {
			showable(t, err)
			return
		}
		rated := a.Type == user.ActivityRating || a.Type == user.ActivityReview
		switch {
		case a.MovieID <= 0, a.Rating < 0, a.Rating > 100, a.Type == user.ActivityRating && !a.HasRating, a.HasRating && !rated,
			(a.Type == user.ActivityReview) != (a.Review != ""), len(a.Details) > 4096, len(a.Details) == 1,
			!runes(a.Review, 0, 10_000), !runes(a.SessionID, 0, 128), !runes(a.SourcePage, 0, 256), !runes(a.SourceSection, 0, 256),
			a.OccurredAt.After(t0.Add(time.Minute)), a.OccurredAt.Before(t0.AddDate(0, 0, -30)):
			t.Fatalf("let through: %+v", a)
		}
	})
}
