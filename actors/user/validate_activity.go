package user

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of a behaviour event, in code points unless stated.
const (
	maxEventID   = 64
	maxReview    = 10_000
	maxDetails   = 4 << 10 // bytes
	maxSessionID = 128
	maxSource    = 256
	maxRating    = 100 // tenths

	maxAhead = time.Minute
	maxBack  = 30 * 24 * time.Hour
)

// ActivityInput is a behaviour event as a client sent it. Empty means absent.
type ActivityInput struct {
	EventID       string // the caller makes one when the client did not
	Type          string
	MovieID       int64
	Rating        string // the JSON number as it was written
	Review        string
	Details       []byte // a JSON value that a decoder has accepted, without white space around it
	SessionID     string
	SourcePage    string
	SourceSection string
	OccurredAt    *time.Time // nil means now
}

// ParseActivity returns the behaviour event that in means at time now. The error
// is an *InvalidError with the first rule that failed.
func ParseActivity(in ActivityInput, now time.Time) (Activity, error) {
	a := Activity{
		EventID: in.EventID, Type: ActivityType(in.Type), MovieID: in.MovieID, Review: in.Review,
		SessionID: in.SessionID, SourcePage: in.SourcePage, SourceSection: in.SourceSection, OccurredAt: now,
	}
	if _, err := ParseEventID(in.EventID); err != nil {
		return Activity{}, err
	}
	switch a.Type {
	case ActivityView, ActivityRating, ActivityWatchlistAdd, ActivityWatchlistRemove, ActivityReview:
	default:
		return Activity{}, invalid("type", "Type must be view, rating, watchlist_add, watchlist_remove or review")
	}
	if in.MovieID <= 0 {
		return Activity{}, invalid("movie_id", "Movie id must be a positive 64-bit integer")
	}
	if err := a.rate(in.Rating); err != nil {
		return Activity{}, err
	}
	if err := a.checkReview(); err != nil {
		return Activity{}, err
	}
	if len(in.Details) > 0 {
		if err := checkDetails(in.Details); err != nil {
			return Activity{}, err
		}
		a.Details = in.Details
	}
	for _, text := range []struct {
		field, name, value string
		most               int
	}{
		{"session_id", "Session id", in.SessionID, maxSessionID},
		{"context.source_page", "Source page", in.SourcePage, maxSource},
		{"context.source_section", "Source section", in.SourceSection, maxSource},
	} {
		if err := checkText(text.field, text.name, text.value, false); err != nil {
			return Activity{}, err
		}
		if utf8.RuneCountInString(text.value) > text.most {
			return Activity{}, invalid(text.field, text.name+" must be at most "+strconv.Itoa(text.most)+" characters")
		}
	}
	if in.OccurredAt != nil {
		a.OccurredAt = *in.OccurredAt
	}
	switch {
	case a.OccurredAt.After(now.Add(maxAhead)):
		return Activity{}, invalid("occurred_at", "Time must be at most 1 minute ahead")
	case a.OccurredAt.Before(now.Add(-maxBack)):
		return Activity{}, invalid("occurred_at", "Time must be at most 30 days back")
	}
	a.OccurredAt = a.OccurredAt.UTC().Truncate(time.Microsecond)
	return a, nil
}

// ParseEventID checks a client's event id: 1 to 64 of [A-Za-z0-9_-].
func ParseEventID(s string) (string, error) {
	ok := len(s) >= 1 && len(s) <= maxEventID
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit(c) || c == '_' || c == '-'
	}
	if !ok {
		return "", invalid("event_id", "Event id must be 1 to 64 letters, digits, underscores or hyphens")
	}
	return s, nil
}

// rate sets the rating, which only ratings must and reviews may have.
func (a *Activity) rate(number string) error {
	const field = "rating"
	switch {
	case number == "" && a.Type == ActivityRating:
		return invalid(field, "Rating is required")
	case number == "":
		return nil
	case a.Type != ActivityRating && a.Type != ActivityReview:
		return invalid(field, "Rating is allowed only for a rating or a review")
	}
	tenths, ok := parseTenths(number)
	if !ok {
		return invalid(field, "Rating must be from 0 to 10 with at most one decimal")
	}
	a.Rating, a.HasRating = tenths, true
	return nil
}

// parseTenths reads a JSON number from 0 to 10 with at most one decimal.
func parseTenths(number string) (tenths int32, ok bool) {
	// ParseFloat also knows hexadecimal, infinity and underscores; JSON does not.
	if strings.Trim(number, "0123456789+-.eE") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v < 0 || v > maxRating/10 {
		return 0, false
	}
	// Dividing rounds to the nearest float, and so does reading: they agree on
	// tenths and on nothing else.
	t := math.Round(v * 10)
	return int32(t), t/10 == v
}

func (a *Activity) checkReview() error {
	const field = "review"
	switch {
	case a.Type != ActivityReview && a.Review != "":
		return invalid(field, "Review is allowed only for a review")
	case a.Type != ActivityReview:
		return nil
	case a.Review == "":
		return invalid(field, "Review is required")
	}
	if err := checkText(field, "Review", a.Review, true); err != nil {
		return err
	}
	if utf8.RuneCountInString(a.Review) > maxReview {
		return invalid(field, "Review must be at most 10000 characters")
	}
	return nil
}

// checkDetails checks what a JSON decoder does not: that the value is an object,
// its size, and that no string in it holds control characters, however they are
// written.
func checkDetails(b []byte) error {
	const field = "event_details"
	switch {
	case b[0] != '{' || b[len(b)-1] != '}':
		return invalid(field, "Event details must be an object")
	case len(b) > maxDetails:
		return invalid(field, "Event details must be at most 4096 bytes")
	case !utf8.Valid(b):
		return invalid(field, "Event details must be valid UTF-8")
	}
	s := string(b)
	for quoted := false; s != ""; {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '"':
			quoted = !quoted
		case quoted && r == '\\':
			r, n = escaped(s)
		}
		if quoted && unicode.IsControl(r) {
			return invalid(field, "Event details must not contain control characters")
		}
		s = s[n:]
	}
	return nil
}

// escaped returns the character that the JSON escape at the start of s means and
// the length of the escape.
func escaped(s string) (r rune, n int) {
	if len(s) < 2 {
		return '\\', len(s)
	}
	switch s[1] {
	case 'b', 'f', 'n', 'r', 't':
		return '\n', 2
	case 'u':
		if len(s) < 6 {
			return utf8.RuneError, len(s)
		}
		code, err := strconv.ParseUint(s[2:6], 16, 16)
		if err != nil {
			return utf8.RuneError, 2
		}
		return rune(code), 6
	}
	// A quote or a backslash that does not end the string. Anything else was
	// refused by the decoder.
	return '\\', 2
}
