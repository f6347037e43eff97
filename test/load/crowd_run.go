package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"
)

// crowdJob is what the process of a crowd is told first.
type crowdJob struct {
	Addr    string
	People  string // path of the population
	Sockets int    // so many at most
}

// The orders of a crowd.
const (
	orderOpen     = "open"     // sockets, one of each of the first active users, and wait for their ready
	orderHangUp   = "hang up"  // all of them
	orderCount    = "count"    // nothing
	orderSaturate = "saturate" // the star records batches as fast as they are delivered
	orderRecord   = "record"   // many record single events
	orderResume   = "resume"   // reconnect with the cursors of the sockets that were opened
)

// order is what a crowd is to do. It answers with what has come of it.
type order struct {
	Do       string
	Sockets  int           // open: so many; resume: so many in all
	Duration time.Duration // saturate, record: so long, and until all has arrived

	Star    int     // saturate, record: who is followed by all who have a socket
	Authors int     // record: so many of the first active users instead, at random
	Every   int     // record: or one event of each so-many'th user
	Batch   int     // saturate: events of a request
	Seed    uint64  // saturate, record: no two orders have the same
	Conns   int     // record: connections of authors
	Rate    float64 // record: events a second; 0: one in flight on each connection

	Missed int // resume: frames of each
	AtOnce int // resume
}

// streamed is what came of an order. Frames are not counted twice: between two
// orders nothing but heartbeats and cursors is on its way.
type streamed struct {
	Events   int   // recorded
	Frames   int   // of activity that have arrived
	Missing  int   // of those that should have, because their socket was closed
	All      int   // frames of any kind since the crowd began, close frames left out
	Bytes    int64 // the same, as read
	Sessions int   // resume: that got what they missed
	Elapsed  time.Duration
	Closes   map[int]int // sockets that the server closed, by code, since the crowd began
	Sent     histogram   // record: from sending the request until the frame had arrived
	Recorded histogram   // record: the same, from the time of the record, before it commits
	Sample   []byte      // a frame of activity
}

// closes returns how many sockets the server closed.
func (s *streamed) closes() (n int) {
	for _, k := range s.Closes {
		n += k
	}
	return n
}

// serveCrowd is the process of a crowd: it reads a job and says that it is ready;
// then it does what it is ordered, until there are no more orders.
func serveCrowd(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := json.NewDecoder(bufio.NewReader(in))
	var j crowdJob
	if err := lines.Decode(&j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	c, err := newCrowd(&j)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, readyLine); err != nil {
		return fmt.Errorf("say ready: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var (
		loop   sync.WaitGroup
		failed error
	)
	loop.Go(func() { failed = c.run(ctx) })
	err = c.serve(ctx, lines, out)
	cancel()
	loop.Wait()
	return errors.Join(err, failed)
}

func (c *crowd) serve(ctx context.Context, orders *json.Decoder, out io.Writer) error {
	answers := json.NewEncoder(out)
	for {
		var o order
		err := orders.Decode(&o)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read an order: %w", err)
		}
		c.reset(o.Do == orderRecord && o.Every == 0)
		start := time.Now()
		events, missing, err := c.obey(ctx, &o)
		if err != nil {
			return fmt.Errorf("%s: %w", o.Do, err)
		}
		s := c.result()
		s.Events, s.Missing, s.Elapsed = events, missing, time.Since(start)
		if err := answers.Encode(&s); err != nil {
			return fmt.Errorf("say what came of it: %w", err)
		}
	}
}

// reset begins to count anew what belongs to one order.
func (c *crowd) reset(timed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timed, c.want = timed, 0
	c.got = streamed{All: c.got.All, Bytes: c.got.Bytes, Closes: c.got.Closes}
	for _, s := range c.sockets {
		s.activity = 0
	}
}

// result returns what has been counted.
func (c *crowd) result() streamed {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.got
	s.Closes = maps.Clone(s.Closes)
	// The loop records no times between two orders: there is no activity.
	return s
}

func (c *crowd) obey(ctx context.Context, o *order) (events, missing int, err error) {
	switch o.Do {
	case orderOpen:
		return 0, 0, c.open(ctx, o.Sockets)
	case orderHangUp:
		c.mu.Lock()
		defer c.mu.Unlock()
		return 0, 0, c.hangUp()
	case orderCount:
		return 0, 0, nil
	case orderSaturate:
		return c.saturate(ctx, o)
	case orderRecord:
		return c.record(ctx, o)
	case orderResume:
		return 0, 0, c.resume(ctx, o)
	}
	return 0, 0, errors.New("there is no such order")
}

// open opens sockets of the first active users.
func (c *crowd) open(ctx context.Context, n int) error {
	if n > c.people.Active {
		return fmt.Errorf("%d users are too few for %d sockets", c.people.Active, n)
	}
	for k := range n {
		if err := c.await(ctx, func() bool { return c.opening < openAtOnce }); err != nil {
			return err
		}
		if err := c.connect(c.people.active(k), "", -1); err != nil {
			return err
		}
	}
	if err := c.await(ctx, func() bool { return c.opening == 0 }); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.got.closes(); n > 0 {
		return fmt.Errorf("%d sockets were closed at once: %v", n, c.got.Closes)
	}
	return nil
}

// resume reconnects with the cursors that the sockets had when they were opened,
// over and over. They are hung up first.
func (c *crowd) resume(ctx context.Context, o *order) error {
	c.mu.Lock()
	if len(c.cursors) == 0 {
		for _, s := range c.sockets {
			c.cursors = append(c.cursors, cursorOf{s.user, s.cursor})
		}
	}
	err := c.hangUp()
	c.mu.Unlock()
	if err != nil {
		return err
	}
	for k := range o.Sockets {
		if err := c.await(ctx, func() bool { return c.opening < o.AtOnce }); err != nil {
			return err
		}
		at := c.cursors[k%len(c.cursors)]
		if err := c.connect(at.user, at.cursor, o.Missed); err != nil {
			return err
		}
	}
	return c.await(ctx, func() bool { return c.opening == 0 })
}
