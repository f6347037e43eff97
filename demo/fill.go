package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// connections is how many people do something at once. The database groups
	// what they do.
	connections = 64
	// registering is how many register at once: a password takes a core for a
	// while, and the server lets few wait.
	registering = 8
	// registerSteps is how many other steps take as long as a registration.
	registerSteps = 40
	// waves is in how many parts events are recorded, so that what people did on
	// one day is recorded about when others did something on that day.
	waves = 10
	// maxBatch is how many events the server takes at once.
	maxBatch = 500
	// settleTime bounds the wait for counters.
	settleTime = 10 * time.Second
)

// Filling is what Fill needs.
type Filling struct {
	// Base is the URL of the server.
	Base string
	// Password of everybody.
	Password string
	// Progress is told how much more was done, Steps of the world in all; nil: it
	// is not. It is called by many goroutines at once.
	Progress func(n int)
	// Now is when the newest events happened.
	Now time.Time
}

// Steps is how much there is to do to fill a server with the world.
func (w *World) Steps() int {
	steps := (registerSteps+1)*len(w.People) + w.Follows() + w.Events()
	for i := range w.People {
		steps += len(w.People[i].Crew) + len(w.People[i].Studios)
	}
	return steps
}

// Fill puts the world into a server, as its people would. Whatever is there
// already stays, so that after a crash in the middle it may be run again.
func (w *World) Fill(ctx context.Context, f Filling) error {
	if f.Progress == nil {
		f.Progress = func(int) {}
	}
	c := newClient(f.Base, connections)
	defer c.close()
	tokens := make([]string, len(w.People))
	if err := each(ctx, registering, len(w.People), func(ctx context.Context, i int) (err error) {
		tokens[i], err = enter(ctx, c, &w.People[i], f.Password)
		f.Progress(registerSteps)
		return err
	}); err != nil {
		return err
	}
	if err := each(ctx, connections, len(w.People), func(ctx context.Context, i int) error {
		defer f.Progress(1)
		return introduce(ctx, c, tokens[i], &w.People[i])
	}); err != nil {
		return err
	}
	if err := each(ctx, connections, len(w.People), func(ctx context.Context, i int) error {
		return w.follow(ctx, c, tokens[i], i, f.Progress)
	}); err != nil {
		return err
	}
	for wave := range waves {
		older, newer := memory*time.Duration(waves-wave)/waves, memory*time.Duration(waves-wave-1)/waves
		if err := each(ctx, connections, len(w.People), func(ctx context.Context, i int) error {
			return record(ctx, c, tokens[i], w.People[i].between(older, newer), f)
		}); err != nil {
			return err
		}
	}
	return w.settle(ctx, c, tokens)
}

// Enter logs a person in, and returns the token and how long it is good for.
func (w *World) Enter(ctx context.Context, base, password string, person int) (token string, ttl time.Duration, err error) {
	c := newClient(base, 1)
	defer c.close()
	a, err := login(ctx, c, &w.People[person], password)
	if err != nil {
		return "", 0, err
	}
	return a.Token, time.Duration(a.Expires) * time.Second, nil
}

// enter registers a person, or logs them in who registered before.
func enter(ctx context.Context, c *client, p *Person, password string) (token string, err error) {
	a, err := c.send(ctx, http.MethodPost, "/auth/register", "", map[string]string{"username": p.Username, "name": p.Name, "password": password})
	switch {
	case err != nil:
		return "", err
	case a.Code == "username_taken":
		if a, err = login(ctx, c, p, password); err != nil {
			return "", err
		}
	case a.status != http.StatusCreated:
		return "", a.refused("register")
	}
	return a.Token, nil
}

func login(ctx context.Context, c *client, p *Person, password string) (*answer, error) {
	a, err := c.send(ctx, http.MethodPost, "/auth/login", "", map[string]string{"username": p.Username, "password": password})
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, a.refused("log in")
	}
	return a, nil
}

// introduce sets what people say about themselves, and what others may see.
func introduce(ctx context.Context, c *client, token string, p *Person) error {
	genres := p.Genres
	if genres == nil {
		genres = []int64{}
	}
	for _, change := range []struct {
		method, path string
		body         any
		needed       bool
	}{
		{http.MethodPatch, "/users/self/profile", map[string]string{"bio": p.Bio}, p.Bio != ""},
		{http.MethodPut, "/users/self", map[string]string{"role": "creator"}, p.Creator},
		{http.MethodPatch, "/users/self/preferences", map[string]any{"fav_genres": genres, "language": p.Language}, true},
		{
			http.MethodPatch, "/users/self/privacy",
			map[string]bool{"profile_public": !p.Hidden, "watch_history_public": p.Watching, "show_ratings_public": !p.Quiet},
			p.Hidden || p.Watching || p.Quiet,
		},
	} {
		if !change.needed {
			continue
		}
		a, err := c.send(ctx, change.method, change.path, token, change.body)
		if err != nil {
			return err
		}
		if a.status != http.StatusOK {
			return a.refused("introduce somebody")
		}
	}
	return nil
}

// follow makes one person follow everybody and everything, in order.
func (w *World) follow(ctx context.Context, c *client, token string, person int, progress func(n int)) error {
	p := &w.People[person]
	paths := make([]string, 0, len(p.Follows)+len(p.Crew)+len(p.Studios))
	for _, i := range p.Follows {
		paths = append(paths, "/users/self/following/"+url.PathEscape(w.People[i].Username))
	}
	for _, id := range p.Crew {
		paths = append(paths, "/users/self/followed/crew-members/"+strconv.FormatInt(id, 10))
	}
	for _, id := range p.Studios {
		paths = append(paths, "/users/self/followed/studios/"+strconv.FormatInt(id, 10))
	}
	for _, path := range paths {
		a, err := c.send(ctx, http.MethodPut, path, token, nil)
		if err != nil {
			return err
		}
		if a.status != http.StatusCreated && a.status != http.StatusOK {
			return a.refused("follow")
		}
		progress(1)
	}
	return nil
}

// between returns the events from a time to another.
func (p *Person) between(older, newer time.Duration) []Event {
	var from, until int
	for i := range p.Events {
		if p.Events[i].Ago > older {
			from = i + 1
		}
		if p.Events[i].Ago > newer {
			until = i + 1
		}
	}
	return p.Events[from:until]
}

// eventBody is an event as the API takes it.
type eventBody struct {
	ID       string            `json:"event_id"`
	Type     string            `json:"type"`
	Movie    int64             `json:"movie_id"`
	Rating   *float64          `json:"rating,omitempty"`
	Review   string            `json:"review,omitempty"`
	Details  map[string]string `json:"event_details"`
	Context  map[string]string `json:"context"`
	Occurred *time.Time        `json:"occurred_at,omitempty"` // nil: now
}

func newEventBody(e *Event) eventBody {
	body := eventBody{
		ID: e.ID, Type: e.Type, Movie: e.Movie, Review: e.Review,
		Details: map[string]string{"title": e.Title}, Context: map[string]string{"source_page": e.Page},
	}
	if e.Rating > 0 {
		rating := float64(e.Rating) / 10
		body.Rating = &rating
	}
	return body
}

func record(ctx context.Context, c *client, token string, events []Event, f Filling) error {
	for len(events) > 0 {
		batch := events[:min(maxBatch, len(events))]
		events = events[len(batch):]
		bodies := make([]eventBody, len(batch))
		for i := range batch {
			at := f.Now.Add(-batch[i].Ago).UTC()
			bodies[i] = newEventBody(&batch[i])
			bodies[i].Occurred = &at
		}
		a, err := c.send(ctx, http.MethodPost, "/users/self/events", token, map[string]any{"events": bodies})
		if err != nil {
			return err
		}
		if a.status != http.StatusOK || len(a.Results) != len(batch) {
			return a.refused("record events")
		}
		for _, result := range a.Results {
			if result.Status != "created" && result.Status != "duplicate" {
				return fmt.Errorf("demo: record events: one is %s: %s", result.Status, result.Message)
			}
		}
		f.Progress(len(batch))
	}
	return nil
}

// settle waits until the followers of the best known are counted, which takes a
// moment more than following does. They may have changed since, so not for long.
func (w *World) settle(ctx context.Context, c *client, tokens []string) error {
	limited, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for want := w.Followers(0); ; {
		a, err := c.send(limited, http.MethodGet, "/users/"+url.PathEscape(w.People[0].Username), tokens[w.Viewer], nil)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("demo: %w", ctx.Err())
		case limited.Err() != nil:
			return nil
		case err != nil:
			return err
		case a.User.Followers >= want:
			return nil
		}
		select {
		case <-ticker.C:
		case <-limited.Done():
		}
	}
}

// each calls f for 0 to n-1, so many at once, and returns the first error, which
// ends the others.
func each(ctx context.Context, atOnce, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range min(n, atOnce) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(ctx, i); err != nil {
					cancel(err) // of several, the first counts
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
