package demo

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	day = 24 * time.Hour
	// memory is how far back events reach: the API takes 30 days, and filling takes
	// a while.
	memory = 29 * day
	// filmsSteep is less steep than people are: tastes differ.
	filmsSteep = 0.55
)

// The pages that events are from.
const (
	pageHome, pageSearch, pageMovie, pageWatchlist = "home", "search", "movie", "watchlist"
)

// remember gives everybody a history of films, each of which is found, maybe kept
// for later, seen, maybe rated, maybe written about.
func (w *World) remember(l *lists, r *rand.Rand) {
	films := newRanked(len(l.films), filmsSteep)
	quality := make([]float64, len(l.films)) // in tenths
	for i := range quality {
		quality[i] = min(92, 66+9*r.NormFloat64()+14*float64(len(l.films)-i)/float64(len(l.films)))
	}
	for i := range w.People {
		p := &w.People[i]
		median := 8.0
		if i < w.Stars {
			median = 25
		}
		for _, k := range films.some(r, heavy(r, median, 0.8, len(l.films)*2/3), nobody) {
			p.Events = append(p.Events, story(r, l, l.films[k], quality[k])...)
		}
		slices.SortStableFunc(p.Events, func(a, b Event) int { return cmp.Compare(b.Ago, a.Ago) })
		for n := range p.Events {
			p.Events[n].ID = "demo-" + strconv.Itoa(n+1)
		}
	}
}

// story is what somebody does with one film, as far as it has happened yet.
func story(r *rand.Rand, l *lists, f film, quality float64) []Event {
	var events []Event
	ago := time.Duration(r.Float64() * float64(memory))
	do := func(e Event) {
		if ago > 0 {
			e.Movie, e.Title, e.Ago = f.id, f.title, ago.Truncate(time.Second)
			events = append(events, e)
		}
	}
	pass := func(most time.Duration) { ago -= time.Minute + time.Duration(r.Float64()*float64(most)) }

	page := pick(r, []string{pageHome, pageHome, pageSearch, pageMovie})
	if chance(r, 0.35) {
		do(Event{Type: "watchlist_add", Page: page})
		page = pageWatchlist
		if pass(12 * day); chance(r, 0.25) {
			if chance(r, 0.3) {
				do(Event{Type: "watchlist_remove", Page: page}) // not tonight, nor ever
			}
			return events
		}
	}
	do(Event{Type: "view", Page: page})
	if page == pageWatchlist {
		pass(time.Minute)
		do(Event{Type: "watchlist_remove", Page: page})
	}
	rating := min(100, max(5, 5*int((quality+13*r.NormFloat64())/5)))
	if pass(3 * time.Hour); chance(r, 0.6) {
		do(Event{Type: "rating", Rating: rating, Page: pageMovie})
	}
	if pass(day); chance(r, 0.2) {
		do(Event{Type: "review", Rating: rating, Review: review(r, l, f, rating), Page: pageMovie})
	}
	return events
}

// review is one to three sentences that agree with a rating.
func review(r *rand.Rand, l *lists, f film, rating int) string {
	opinion := "mixed"
	switch {
	case rating >= 75:
		opinion = "good"
	case rating < 50:
		opinion = "poor"
	}
	from := l.reviews[opinion]
	var said []string
	for _, k := range r.Perm(len(from))[:1+r.IntN(3)] {
		said = append(said, from[k])
	}
	// A sentence may begin with either.
	capital := strings.ToUpper(f.maker[:1]) + f.maker[1:]
	text := strings.Join(said, " ")
	text = strings.NewReplacer("{title}", f.title, ". {maker}", ". "+capital, "{maker}", f.maker).Replace(text)
	return strings.ToUpper(text[:1]) + text[1:]
}
