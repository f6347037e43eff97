package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	// inFlight is how many batches are on their way to the sockets when the next is
	// recorded: enough that the server never waits, and less than a socket's queue
	// holds.
	inFlight = 2
	// pacePeriod is how precise the rate of events is.
	pacePeriod = 2 * time.Millisecond
)

// saturate has the star record batches as fast as every socket gets them. It
// returns how many events that were, and how many frames closed sockets lack.
func (c *crowd) saturate(ctx context.Context, o *order) (events, missing int, err error) {
	to, err := dial(ctx, c.addr)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	rng := mathrand.New(mathrand.NewPCG(o.Seed, 3)) //nolint:gosec // must be the same every time
	for start := time.Now(); time.Since(start) < o.Duration; {
		if err := c.recordEvents(to, o.Star, o.Batch, events, rng); err != nil {
			return 0, 0, err
		}
		events += o.Batch
		if err := c.reach(ctx, events-(inFlight-1)*o.Batch); err != nil {
			return 0, 0, err
		}
	}
	if err := c.reach(ctx, events); err != nil {
		return 0, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	missing = events*len(c.sockets) - c.got.Frames
	return events, missing, nil
}

// reach waits until each open socket has got so many frames.
func (c *crowd) reach(ctx context.Context, frames int) error {
	if frames <= 0 {
		return nil
	}
	c.mu.Lock()
	c.want, c.reached = frames, 0
	for _, s := range c.sockets {
		if s.closed || s.activity >= frames {
			c.reached++
		}
	}
	c.mu.Unlock()
	return c.await(ctx, func() bool { return c.reached == len(c.sockets) })
}

// recordEvents has a user record events in one request. Their ids begin with the
// time at which it is sent.
func (c *crowd) recordEvents(to *conn, author, n, number int, rng *mathrand.Rand) error {
	now := (&job{Skip: author}).timed(time.Now())
	status, created := http.StatusCreated, `"event":{`
	var body []byte
	if n == 1 {
		body = appendEvent(nil, now, number, rng)
	} else {
		status, created = http.StatusOK, `"status":"created"`
		body = append(body, `{"events":[`...)
		for k := range n {
			if k > 0 {
				body = append(body, ',')
			}
			body = appendEvent(body, now, number+k, rng)
		}
		body = append(body, "]}"...)
	}
	got, answer, err := to.do(appendRequest(nil, http.MethodPost, "/users/self/events", "", c.people.People[author].Token, body))
	if err != nil {
		return err
	}
	if got != status || bytes.Count(answer, []byte(created)) != n {
		return fmt.Errorf("%w: status %d for %d events: %.300s", errAnswer, got, n, answer)
	}
	return nil
}

// record has many users record single events, and waits until everybody who is
// there and follows them has been told.
func (c *crowd) record(ctx context.Context, o *order) (events, missing int, err error) {
	listeners := c.listeners(o)
	r := &recording{crowd: c, order: o, recorded: make([]int, len(c.people.People)), tickets: make(chan int, 1+int(o.Rate*patience.Seconds()))}
	if err := r.run(ctx); err != nil {
		return 0, 0, err
	}
	frames := 0
	for author, n := range r.recorded {
		events += n
		frames += n * listeners(author)
	}
	err = c.await(ctx, func() bool { return c.got.Frames >= frames || c.got.closes() > 0 })
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.got.Frames > frames {
		err = fmt.Errorf("%d frames arrived of %d", c.got.Frames, frames)
	}
	return events, frames - c.got.Frames, err
}

// listeners returns how many sockets there are whose users follow an author.
func (c *crowd) listeners(o *order) func(author int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, n := len(c.sockets), len(c.people.People)
	if o.Authors == 0 && o.Every == 0 {
		return func(int) int { return all }
	}
	here := make([]int, n)
	for _, s := range c.sockets {
		here[s.user]++
	}
	return func(author int) (sum int) {
		for _, offset := range c.people.Offsets {
			sum += here[(author-offset+n)%n]
		}
		return sum
	}
}

// recording is authors at work.
type recording struct {
	*crowd
	*order

	tickets  chan int // numbers of events that are due
	mu       sync.Mutex
	recorded []int // events of each user
}

// patience is how long events that are due may wait for a connection: at first all
// authors are cold.
const patience = 3 * time.Second

var errBehind = errors.New("the server does not record as many events a second as it should")

// run records for the time of the order.
func (r *recording) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		authors sync.WaitGroup
		once    sync.Once
		failed  error
	)
	fail := func(err error) {
		if err != nil {
			once.Do(func() { failed = err })
			stop()
		}
	}
	for k := range r.Conns {
		authors.Go(func() { fail(r.write(ctx, uint64(k))) }) //nolint:gosec // not negative
	}
	authors.Go(func() {
		defer close(r.tickets)
		fail(r.issue(ctx))
	})
	authors.Wait()
	return failed
}

// write records what is due on one connection.
func (r *recording) write(ctx context.Context, k uint64) (err error) {
	to, err := dial(ctx, r.addr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	rng := mathrand.New(mathrand.NewPCG(r.Seed, 100+k)) //nolint:gosec // must be the same every time
	for i := range r.tickets {
		author := r.Star
		switch {
		case r.Every > 0:
			author = i * r.Every
		case r.Authors > 0:
			author = r.people.active(rng.IntN(r.Authors))
		}
		if err := r.recordEvents(to, author, 1, i, rng); err != nil {
			return err
		}
		r.mu.Lock()
		r.recorded[author]++
		r.mu.Unlock()
	}
	return nil
}

// issue says which events are due: one of each author, or as many as are recorded
// meanwhile, or so many a second, and then it is an error if they are not.
func (r *recording) issue(ctx context.Context) error {
	if r.Every > 0 {
		return r.each(ctx, len(r.people.People)/r.Every)
	}
	ctx, cancel := context.WithTimeout(ctx, r.Duration)
	defer cancel()
	if r.Rate == 0 {
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return nil
			case r.tickets <- i:
			}
		}
	}
	tick := time.NewTicker(pacePeriod)
	defer tick.Stop()
	start := time.Now()
	for i := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for ; i < int(time.Since(start).Seconds()*r.Rate); i++ {
			select {
			case r.tickets <- i:
			default:
				return errBehind
			}
		}
	}
}

func (r *recording) each(ctx context.Context, n int) error {
	for i := range n {
		select {
		case <-ctx.Done():
			return nil // somebody has failed
		case r.tickets <- i:
		}
	}
	return nil
}
