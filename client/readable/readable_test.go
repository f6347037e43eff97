package readable_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"kith/client"
	"kith/client/readable"
)

func lines(t *testing.T, colour bool, frames ...string) string {
	t.Helper()
	var b strings.Builder
	p := readable.New(readable.Config{Out: &b, Colour: colour, Now: func() time.Time {
		return time.Date(2030, 1, 2, 5, 0, 0, 0, time.FixedZone("", 3600))
	}})
	for _, f := range frames {
		if err := p.Print(frame(t, f)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	return b.String()
}

func frame(t *testing.T, text string) client.Frame {
	t.Helper()
	var f client.Frame
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return f
}

const (
	ada = `"user":{"uid":"u","username":"ada","name":"Ada Lovelace"}`
	at  = `"id":"u/1","time":"2030-01-02T03:04:05.678Z"`
)

func TestEveryFrameHasItsLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ frame, want string }{
		{`{"type":"ready","data":{}}`, ""},
		{`{"type":"cursor","data":{"cursor":"c"}}`, ""},
		{`{"type":"pong"}`, ""},
		{`{"type":"auth.expiring","data":{"seconds":60}}`, ""},
		{`{"type":"follower.added",` + at + `,"data":{` + ada + `}}`, "04:04:05  Ada Lovelace @ada follows you\n"},
		{`{"type":"follower.removed",` + at + `,"data":{` + ada + `}}`, "04:04:05  Ada Lovelace @ada no longer follows you\n"},
		{`{"type":"following.added",` + at + `,"data":{` + ada + `}}`, "04:04:05  you follow Ada Lovelace @ada\n"},
		{`{"type":"following.removed",` + at + `,"data":{` + ada + `}}`, "04:04:05  you no longer follow Ada Lovelace @ada\n"},
		{`{"type":"profile.updated",` + at + `,"data":{` + ada + `}}`, "04:04:05  Ada Lovelace @ada changed their profile\n"},
		{`{"type":"counters","data":{"username":"ada","followers":1,"following":0}}`, "05:00:00  @ada: 1 follower, 0 following\n"},
		{`{"type":"activity",` + at + `,"data":{` + ada + `,"event":{"type":"view","movie_id":603}}}`, "04:04:05  Ada Lovelace @ada watched film 603\n"},
		{`{"type":"activity",` + at + `,"data":{` + ada + `,"event":{"type":"rating","movie_id":603,"rating":8.5,"event_details":{"title":"The Matrix"}}}}`, "04:04:05  Ada Lovelace @ada rated The Matrix 8.5/10\n"},
		{`{"type":"activity",` + at + `,"data":{` + ada + `,"event":{"type":"review","movie_id":603,"review":"One.\nTwo.","event_details":{"title":7}}}}`, "04:04:05  Ada Lovelace @ada reviewed film 603: One. Two.\n"},
		{`{"type":"activity",` + at + `,"data":{` + ada + `,"event":{"type":"watchlist_add","movie_id":603}}}`, "04:04:05  Ada Lovelace @ada wants to see film 603\n"},
		{`{"type":"activity",` + at + `,"data":{` + ada + `,"event":{"type":"dream","movie_id":603}}}`, "04:04:05  Ada Lovelace @ada dream film 603\n"},
		{`{"type":"activity.deleted",` + at + `,"data":{"uid":"u","event_id":"e-1"}}`, "04:04:05  somebody took back what they did (event e-1)\n"},
		{`{"type":"gap","data":{"since":"2029-12-31T23:30:00Z"}}`, "05:00:00  What happened since 2030-01-01 00:30:00 is not shown: it is too much, or too long ago.\n"},
		{`{"type":"error","data":{"code":"bad_cursor","message":"No"}}`, "05:00:00  error: No (bad_cursor)\n"},
		{`{"type":"tomorrow","data":{"a":1}}`, "05:00:00  tomorrow {\"a\":1}\n"},
	} {
		if got := lines(t, false, test.frame); got != test.want {
			t.Errorf("%s\n got %q\nwant %q", test.frame, got, test.want)
		}
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	t.Parallel()
	f := `{"type":"activity",` + at + `,"data":{` + ada + `,"event":{"type":"rating","movie_id":603,"rating":8}}}`
	want := "\x1b[2m04:04:05\x1b[0m  \x1b[1mAda Lovelace\x1b[0m\x1b[2m @ada\x1b[0m rated \x1b[3;33mfilm 603\x1b[0m \x1b[1m8\x1b[0m\x1b[2m/10\x1b[0m\n"
	if got := lines(t, true, f); got != want {
		t.Errorf("%q", got)
	}
}

func TestLongReviewsAreCut(t *testing.T) {
	t.Parallel()
	for review, want := range map[string]string{
		strings.Repeat("word ", 80):  strings.Repeat("word ", 47) + "word…",
		strings.Repeat("é", 300):     strings.Repeat("é", 240) + "…",
		strings.Repeat("word ", 240): strings.Repeat("word ", 47) + "word…",
	} {
		got := lines(t, false, `{"type":"activity",`+at+`,"data":{`+ada+`,"event":{"type":"review","movie_id":1,"review":"`+review+`"}}}`)
		if !strings.HasSuffix(got, ": "+want+"\n") {
			t.Errorf("%q", got)
		}
	}
}

func TestAFrameThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"activity", "activity.deleted", "counters", "gap", "error", "follower.added"} {
		p := readable.New(readable.Config{Out: &strings.Builder{}})
		if err := p.Print(frame(t, `{"type":"`+kind+`","data":[]}`)); err == nil {
			t.Errorf("%s: no error", kind)
		}
	}
	if err := readable.New(readable.Config{Out: broken{}}).Print(frame(t, `{"type":"tomorrow"}`)); !errors.Is(err, errBroken) {
		t.Errorf("a line that cannot be written: %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

// Whatever people write, a frame is one line that commands no terminal.
func FuzzALineIsHarmless(f *testing.F) {
	for _, text := range []string{"Ada", "\x1b]0;title\x07", "\u009b31m", "a\r\nb\tc\u2028d", "\u202egnp.exe", "\xff\xfe", "👩‍🚀"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		got := lines(t, false, `{"type":"activity",`+at+`,"data":{"user":{"name":`+string(quoted)+`,"username":`+string(quoted)+
			`},"event":{"type":"review","movie_id":1,"review":`+string(quoted)+`,"event_details":{"title":`+string(quoted)+`}}}}`)
		line, ok := strings.CutSuffix(got, "\n")
		if !ok || strings.ContainsFunc(line, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) && r != '\u200e' && r != '\u200f'
		}) {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}
