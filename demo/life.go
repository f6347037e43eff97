package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	// eager is the chance that who does something is somebody whom the viewer
	// follows: the rest is not seen by the one to look at the world as.
	eager = 0.75
	// maxMore is how many follows there are beside those of the world. Full: the
	// oldest of them ends.
	maxMore = 40
	// maxLater is how much is begun and not finished. Full: nothing more is begun.
	maxLater = 20
	// maxDone is how many events of late are remembered, of which one may be taken
	// back. Full: the oldest is forgotten.
	maxDone = 50
)

// Living is what Live needs. All fields but Trouble and Did must be set.
type Living struct {
	// Base is the URL of the server.
	Base string
	// Password of everybody.
	Password string
	// Pace is how long it takes on average until somebody does something.
	Pace time.Duration
	// Rand says who does what when. Unlike a world, a life is not to be repeated:
	// its events would be known to the server.
	Rand *rand.Rand
	// Trouble is told of what went wrong, after which life goes on.
	Trouble func(error)
	// Did is told whenever somebody did something.
	Did func()
}

// life is a world that goes on.
type life struct {
	Living
	*World
	client *client
	lists  *lists
	films  ranked
	crowd  ranked
	tokens map[int]string // by person; "" for who cannot be logged in
	pairs  map[pair]bool  // who follows whom
	more   []pair         // of these, those that life made, oldest first
	later  []deed         // what was begun
	done   []done         // oldest first
	events int
}

// pair says that one follows the other.
type pair struct{ from, to int }

// deed is what somebody does with a film, soon.
type deed struct {
	person int
	film   film
}

// done is what somebody did.
type done struct {
	person int
	event  string
}

// Live makes the people of a filled world go on watching, rating and following
// each other until ctx ends. It may be called again, also on a world that has gone
// on before.
func (w *World) Live(ctx context.Context, how Living) error {
	l, err := readLists()
	if err != nil {
		return err
	}
	if how.Trouble == nil {
		how.Trouble = func(error) {}
	}
	if how.Did == nil {
		how.Did = func() {}
	}
	c := newClient(how.Base, 1)
	defer c.close()
	v := &life{
		Living: how, World: w, client: c, lists: l,
		films: newRanked(len(l.films), filmsSteep), crowd: newRanked(len(w.People), peopleSteep),
		tokens: make(map[int]string), pairs: make(map[pair]bool, w.Follows()),
	}
	for i := range w.People {
		for _, followed := range w.People[i].Follows {
			v.pairs[pair{i, followed}] = true
		}
	}
	timer := time.NewTimer(v.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := v.act(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			how.Trouble(err)
		}
		timer.Reset(v.pause())
	}
}

// pause is how long until the next action: people do not keep time.
func (v *life) pause() time.Duration {
	return time.Duration(float64(v.Pace) * min(3, max(0.2, v.Rand.ExpFloat64())))
}

// act makes somebody do something.
func (v *life) act(ctx context.Context) error {
	r := v.Rand
	switch {
	case len(v.later) > 0 && chance(r, 0.35):
		at := r.IntN(len(v.later))
		d := v.later[at]
		v.later = slices.Delete(v.later, at, at+1)
		return v.judge(ctx, d)
	case chance(r, 0.15):
		return v.meet(ctx)
	case len(v.done) > 0 && chance(r, 0.02):
		at := r.IntN(len(v.done))
		d := v.done[at]
		v.done = slices.Delete(v.done, at, at+1)
		return v.do(ctx, d.person, http.MethodDelete, "/users/self/events/"+d.event, nil)
	}
	return v.watch(ctx)
}

// somebody draws who acts.
func (v *life) somebody() int {
	if seen := v.People[v.Viewer].Follows; len(seen) > 0 && chance(v.Rand, eager) {
		return pick(v.Rand, seen)
	}
	return v.other()
}

// other draws anybody but the viewer, whom somebody at the page or at a terminal
// is.
func (v *life) other() int {
	for {
		if i := v.crowd.draw(v.Rand); i != v.Viewer {
			return i
		}
	}
}

// watch makes somebody watch a film, of which they may say something later, or put
// it aside. Who shows neither is left alone.
func (v *life) watch(ctx context.Context) error {
	r := v.Rand
	d := deed{v.somebody(), v.lists.films[v.films.draw(r)]}
	p := &v.People[d.person]
	switch {
	case p.Quiet && !p.Watching:
		return nil
	case !p.Watching:
		return v.judge(ctx, d)
	case chance(r, 0.25):
		return v.record(ctx, d, Event{Type: "watchlist_add", Page: pageSearch})
	case !p.Quiet && len(v.later) < maxLater && chance(r, 0.7):
		v.later = append(v.later, d)
	}
	return v.record(ctx, d, Event{Type: "view", Page: pageHome})
}

// judge makes somebody rate a film, or write about it.
func (v *life) judge(ctx context.Context, d deed) error {
	r := v.Rand
	rating := min(100, max(5, 5*int((76+14*r.NormFloat64())/5)))
	if chance(r, 0.35) {
		return v.record(ctx, d, Event{Type: "review", Rating: rating, Review: review(r, v.lists, d.film, rating), Page: pageMovie})
	}
	return v.record(ctx, d, Event{Type: "rating", Rating: rating, Page: pageMovie})
}

// record records an event that happens now, as the server's clock has it.
func (v *life) record(ctx context.Context, d deed, e Event) error {
	v.events++
	body := newEventBody(&e)
	// The id makes it safe to send the event twice.
	body.ID = "live-" + strconv.FormatUint(v.Rand.Uint64(), 36) + "-" + strconv.Itoa(v.events)
	body.Movie, body.Details = d.film.id, map[string]string{"title": d.film.title}
	if err := v.do(ctx, d.person, http.MethodPost, "/users/self/events", body); err != nil {
		return err
	}
	if v.done = append(v.done, done{d.person, body.ID}); len(v.done) > maxDone {
		v.done = slices.Delete(v.done, 0, 1)
	}
	return nil
}

// meet makes somebody follow somebody, often the viewer, or ends a follow that life
// has made.
func (v *life) meet(ctx context.Context) error {
	r := v.Rand
	if len(v.more) > 0 && (len(v.more) == maxMore || chance(r, 0.3)) {
		p := v.more[0]
		v.more = slices.Delete(v.more, 0, 1)
		delete(v.pairs, p)
		return v.do(ctx, p.from, http.MethodDelete, v.following(p), nil)
	}
	p := pair{v.somebody(), v.Viewer}
	if chance(r, 0.6) {
		p.to = v.other()
	}
	if p.from == p.to || v.pairs[p] {
		return nil // they know each other already
	}
	v.pairs[p] = true
	v.more = append(v.more, p)
	return v.do(ctx, p.from, http.MethodPut, v.following(p), nil)
}

func (v *life) following(p pair) string {
	return "/users/self/following/" + url.PathEscape(v.People[p.to].Username)
}

// do sends a person's request. Who was deleted by whoever plays with the world does
// nothing more, and what they were to do with such a person is left.
func (v *life) do(ctx context.Context, person int, method, path string, body any) error {
	for attempt := 0; ; attempt++ {
		token, err := v.token(ctx, person)
		if err != nil || token == "" {
			return err
		}
		a, err := v.client.send(ctx, method, path, token, body)
		switch {
		case err != nil:
			return err
		case a.status < http.StatusMultipleChoices:
			v.Did()
			return nil
		case a.status == http.StatusUnauthorized && attempt == 0:
			delete(v.tokens, person) // it is old
		case a.status == http.StatusUnauthorized, a.status == http.StatusNotFound:
			return nil
		default:
			return a.refused("live")
		}
	}
}

// token logs a person in, the first time and when the last one is old. "" is for
// whom it fails for good.
func (v *life) token(ctx context.Context, person int) (string, error) {
	if token, known := v.tokens[person]; known {
		return token, nil
	}
	a, err := v.client.send(ctx, http.MethodPost, "/auth/login", "", map[string]string{"username": v.People[person].Username, "password": v.Password})
	switch {
	case err != nil:
		return "", err
	case a.status == http.StatusOK:
		v.tokens[person] = a.Token
	case a.status == http.StatusUnauthorized:
		v.tokens[person] = ""
	default:
		return "", fmt.Errorf("demo: log in: the server answered %d %s", a.status, a.Message)
	}
	return v.tokens[person], nil
}
