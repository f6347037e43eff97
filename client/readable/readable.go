// Package readable writes frames of the live stream as lines that people read: when,
// who, what.
//
//   - readable.go: Printer and its lines.
//   - clean.go: what others wrote, made harmless for a terminal.
//
// A Printer is for one goroutine. It keeps nothing but the day that it is.
package readable

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"kith/client"
)

// Config is what a Printer needs.
type Config struct {
	// Out gets one write for each line.
	Out io.Writer
	// Colour says that Out is a terminal that shows colours.
	Colour bool
	// Now is the clock, whose location times are shown in; time.Now when nil.
	Now func() time.Time
}

// Printer writes frames.
type Printer struct{ cfg Config }

// New makes a printer.
func New(cfg Config) *Printer {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Printer{cfg}
}

// Print writes the line of a frame. Frames about the stream itself have none.
func (p *Printer) Print(f client.Frame) error {
	text, err := p.text(&f)
	if err != nil || text == "" {
		return err
	}
	if _, err := io.WriteString(p.cfg.Out, p.dim(p.when(f.Time))+"  "+text+"\n"); err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	return nil
}

// text is the line without its time.
func (p *Printer) text(f *client.Frame) (string, error) {
	switch f.Type {
	case client.TypeReady, client.TypeCursor, client.TypeExpiring, client.TypePong:
		return "", nil
	case client.TypeActivity:
		var d client.Activity
		if err := f.Decode(&d); err != nil {
			return "", err
		}
		return p.activity(&d), nil
	case client.TypeActivityDeleted:
		var d client.Deleted
		if err := f.Decode(&d); err != nil {
			return "", err
		}
		return "somebody took back what they did " + p.dim("(event "+clean(d.EventID)+")"), nil
	case client.TypeCounters:
		var d client.Counters
		if err := f.Decode(&d); err != nil {
			return "", err
		}
		return p.dim(fmt.Sprintf("@%s: %s, %d following", clean(d.Username), plural(d.Followers, "follower"), d.Following)), nil
	case client.TypeGap:
		var d client.Gap
		if err := f.Decode(&d); err != nil {
			return "", err
		}
		return p.bold("What happened since " + p.when(d.Since) + " is not shown: it is too much, or too long ago."), nil
	case client.TypeError:
		var d client.Fault
		if err := f.Decode(&d); err != nil {
			return "", err
		}
		return p.bold("error: "+clean(d.Message)) + p.dim(" ("+clean(d.Code)+")"), nil
	}
	return p.person(f)
}

// person is the line of a frame about somebody.
func (p *Printer) person(f *client.Frame) (string, error) {
	form, ok := map[string]string{
		client.TypeFollowerAdded:    "%s follows you",
		client.TypeFollowerRemoved:  "%s no longer follows you",
		client.TypeFollowingAdded:   "you follow %s",
		client.TypeFollowingRemoved: "you no longer follow %s",
		client.TypeProfileUpdated:   "%s changed their profile",
	}[f.Type]
	if !ok { // of a newer server
		return clean(f.Type) + " " + p.dim(clean(string(f.Data))), nil
	}
	var d client.Person
	if err := f.Decode(&d); err != nil {
		return "", err
	}
	return fmt.Sprintf(form, p.name(&d.User)), nil
}

// maxReview is how much of a review a line shows, in characters.
const maxReview = 240

func (p *Printer) activity(d *client.Activity) string {
	var b strings.Builder
	b.WriteString(p.name(&d.User))
	verb, ok := map[string]string{
		"view": "watched", "rating": "rated", "review": "reviewed",
		"watchlist_add": "wants to see", "watchlist_remove": "no longer wants to see",
	}[d.Event.Type]
	if !ok {
		verb = clean(d.Event.Type)
	}
	b.WriteString(" " + verb + " " + p.film(title(&d.Event)))
	if d.Event.Rating != nil {
		b.WriteString(" " + p.bold(strconv.FormatFloat(*d.Event.Rating, 'f', -1, 64)) + p.dim("/10"))
	}
	if d.Event.Review != "" {
		b.WriteString(": " + shortened(clean(d.Event.Review), maxReview))
	}
	return b.String()
}

// title is what the client that recorded an event says that the film is called:
// the server knows its id alone.
func title(e *client.Event) string {
	var details struct {
		Title string `json:"title"`
	}
	// Details may be anything.
	if json.Unmarshal(e.Details, &details) != nil || clean(details.Title) == "" {
		return "film " + strconv.FormatInt(e.MovieID, 10)
	}
	return shortened(clean(details.Title), 80)
}

func (p *Printer) name(u *client.User) string {
	return p.bold(clean(u.Name)) + p.dim(" @"+clean(u.Username))
}

// when is a time of day, with its date if that is another. A frame that has no time
// is of now.
func (p *Printer) when(t time.Time) string {
	now := p.cfg.Now()
	if t.IsZero() {
		t = now
	}
	t = t.In(now.Location())
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		return t.Format(time.DateTime)
	}
	return t.Format(time.TimeOnly)
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

func (p *Printer) bold(s string) string { return p.style("1", s) }
func (p *Printer) dim(s string) string  { return p.style("2", s) }
func (p *Printer) film(s string) string { return p.style("3;33", s) }

func (p *Printer) style(code, s string) string {
	if !p.cfg.Colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
