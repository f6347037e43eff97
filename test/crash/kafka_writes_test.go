package crash_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"kith/test/kithtest"
)

// record records a behaviour event, or one again that it may have recorded. A
// missing answer is asked for again half of the time.
func (c *client) record(a *account) {
	o, t := c.storm.oracle, c.storm.t
	id := c.event(a)
	if id == "" || c.rng.IntN(10) > 0 {
		c.said++
		id = fmt.Sprintf("e_%d_%d", c.id, c.said)
		a.events[id] = &fact[eventState]{[]eventState{never}}
	}
	state := a.events[id]
	for {
		change := begin(o, state, recorded)
		answer, result := c.send("record "+id, func(ctx context.Context) (*kithtest.Answer, error) {
			return c.http.As(a.token).Do(ctx, kithtest.Request{Method: http.MethodPost, Path: "/users/self/events", Body: map[string]any{
				"event_id": id, "type": "review", "movie_id": 1 + c.rng.IntN(100), "rating": 7.5, "review": "Fine.",
			}})
		}, http.StatusCreated, http.StatusOK, http.StatusConflict)
		before := fact[eventState]{change.before}
		switch {
		case result == done:
			if answer.Status == http.StatusOK && !before.could(recorded) || answer.Status == http.StatusCreated && !before.could(never) {
				t.Errorf("record %s, before one of %v: %s", id, change.before, answer)
			}
			change.done()
			c.storm.acknowledged()
			return
		case result == refused && answer.Status == http.StatusConflict:
			if !before.could(erased) {
				t.Errorf("record %s, before one of %v: %s", id, change.before, answer)
			}
			change.refused()
			begin(o, state, erased).done()
			return
		case result == refused:
			change.refused()
			return
		case c.rng.IntN(2) == 0:
			return
		}
	}
}

// erase deletes an event that may be there.
func (c *client) erase(a *account) {
	o := c.storm.oracle
	id := c.event(a)
	if id == "" {
		return
	}
	change := begin(o, a.events[id], erased)
	answer, result := c.send("delete "+id, func(ctx context.Context) (*kithtest.Answer, error) {
		return c.http.As(a.token).Do(ctx, kithtest.Request{Method: http.MethodDelete, Path: "/users/self/events/" + url.PathEscape(id)})
	}, http.StatusOK, http.StatusNotFound)
	before := fact[eventState]{change.before}
	switch result {
	case done:
		if !before.could(recorded) {
			c.storm.t.Errorf("delete %s, before one of %v: %s", id, change.before, answer)
		}
		change.done()
		c.storm.acknowledged()
	case refused:
		if answer.Status == http.StatusNotFound && before.surely(recorded) {
			c.storm.t.Errorf("delete %s, which is there: %s", id, answer)
		}
		change.refused()
	case unknown:
	}
}

// event chooses one of the events that an account ever asked for, "" when there
// are none.
func (c *client) event(a *account) string {
	if len(a.events) == 0 {
		return ""
	}
	ids := slices.Sorted(maps.Keys(a.events)) // or a seed would not choose the same again
	return ids[c.rng.IntN(len(ids))]
}

// taste follows a crew member or a studio, or no longer.
func (c *client) taste(a *account) {
	method, path := http.MethodPut, "/users/self/followed/crew-members/"
	if c.rng.IntN(3) == 0 {
		method = http.MethodDelete
	}
	if c.rng.IntN(2) == 0 {
		path = "/users/self/followed/studios/"
	}
	path += fmt.Sprint(1 + c.rng.IntN(3))
	c.try(kithtest.Request{Method: method, Path: path}, a, http.StatusOK, http.StatusCreated)
}

// configure changes privacy or preferences.
func (c *client) configure(a *account) {
	if c.rng.IntN(2) == 0 {
		c.try(kithtest.Request{Method: http.MethodPatch, Path: "/users/self/privacy", Body: map[string]bool{"show_ratings_public": c.rng.IntN(2) == 0}}, a, http.StatusOK)
		return
	}
	c.try(kithtest.Request{Method: http.MethodPatch, Path: "/users/self/preferences", Body: map[string]bool{"adult_content": c.rng.IntN(2) == 0}}, a, http.StatusOK)
}

// try does something of which only the topics tell, and the journal.
func (c *client) try(r kithtest.Request, a *account, wanted ...int) {
	_, result := c.send(r.Method+" "+r.Path, func(ctx context.Context) (*kithtest.Answer, error) { return c.http.As(a.token).Do(ctx, r) }, wanted...)
	if result == done {
		c.storm.acknowledged()
	}
}

// logout ends a session and logs in again, which is expensive.
func (c *client) logout(a *account) {
	c.storm.registering <- struct{}{}
	defer func() { <-c.storm.registering }()
	token := a.token
	a.token = "" // the storm may end in between
	c.send("log out", func(ctx context.Context) (*kithtest.Answer, error) {
		return c.http.As(token).Do(ctx, kithtest.Request{Method: http.MethodPost, Path: "/auth/logout"})
	}, http.StatusOK)
	answer, result := c.login(a)
	if result != done {
		c.storm.t.Errorf("log in as %s: %s", a.username, answer)
		c.own = slices.DeleteFunc(c.own, func(b *account) bool { return a == b })
		return
	}
	a.token = answer.Token
}

// checkEvents compares the events that an account sees with what is known.
func (s *storm) checkEvents(a *account) {
	shown := make(map[string]bool)
	for query := "?limit=100"; ; {
		answer, err := s.server.Client().As(a.token).Get(s.t.Context(), "/users/self/events"+query)
		var page struct {
			Events []struct {
				EventID string `json:"event_id"`
			}
		}
		if err == nil && answer.Status == http.StatusOK {
			err = json.Unmarshal(answer.Body, &page)
		}
		if err != nil || answer.Status != http.StatusOK {
			s.t.Fatalf("events of %s: %v %s", a.username, err, answer)
		}
		for _, e := range page.Events {
			if a.events[e.EventID] == nil || shown[e.EventID] {
				s.t.Errorf("%s has %s twice, or never recorded it", a.username, e.EventID)
			}
			shown[e.EventID] = true
		}
		if answer.NextCursor == nil {
			break
		}
		query = "?limit=100&cursor=" + url.QueryEscape(*answer.NextCursor)
	}
	for id, state := range a.events {
		if shown[id] && !can(s.oracle, state, recorded) || !shown[id] && must(s.oracle, state, recorded) {
			s.t.Errorf("%s has %s: %t, must be one of %v", a.username, id, shown[id], state.may)
		}
	}
}
