package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// sampleEvery is how many answers go by for one whose body is checked. Every
// status is.
const sampleEvery = 64

// generate is the generator's process: it reads a job, connects, says that it is
// ready, and on the word goes.
func generate(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	var j job
	if err := json.Unmarshal(line, &j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	people, err := loadPopulation(j.People)
	if err != nil {
		return err
	}
	draw, err := j.source(people)
	if err != nil {
		return err
	}
	conns := make([]*conn, 0, j.Connections)
	defer func() {
		for _, c := range conns {
			err = errors.Join(err, c.close())
		}
	}()
	for range j.Connections {
		c, err := dial(ctx, j.Addr)
		if err != nil {
			return err
		}
		conns = append(conns, c)
	}
	if _, err := io.WriteString(out, readyLine); err != nil {
		return fmt.Errorf("say ready: %w", err)
	}
	if word, err := lines.ReadString('\n'); err != nil || word != goLine {
		return fmt.Errorf("wait for the word: %q: %w", word, err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if j.Rate > 0 && j.Duration == 0 {
		go func() {
			_, _ = lines.ReadString('\n') // the word, or that nobody is there any more
			stop()
		}()
	}
	o, err := j.drive(ctx, conns, draw)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(&o); err != nil {
		return fmt.Errorf("say what was done: %w", err)
	}
	return nil
}

// drive keeps one request in flight on each connection, or, at a rate, sends those
// that are due. What is due while all connections wait counts from then on.
func (j *job) drive(ctx context.Context, conns []*conn, draw source) (outcome, error) {
	var (
		total  outcome
		mu     sync.Mutex // guards total and failed
		failed error
		next   atomic.Int64
		wg     sync.WaitGroup
	)
	if j.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, j.Duration)
		defer cancel()
	}
	start := time.Now()
	for k, c := range conns {
		wg.Go(func() {
			var (
				own histogram
				rng = mathrand.New(mathrand.NewPCG(j.Seed, uint64(1000+k))) //nolint:gosec // must be the same every time
				r   = request{rng: rng, raw: make([]byte, 0, 1024)}
				err error
			)
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				r.late = j.await(ctx, start, i)
				if ctx.Err() != nil || !draw(i, &r) {
					break
				}
				sent := cmp.Or(r.late, time.Now())
				var (
					status int
					body   []byte
				)
				if status, body, err = c.do(r.raw); err != nil {
					break
				}
				if i >= j.Warm {
					own.record(time.Since(sent))
				}
				if status != r.status {
					err = fmt.Errorf("status %d where %d is right: %.300s", status, r.status, body)
					break
				}
				if r.always || own.total%sampleEvery == 1 {
					if err = r.check(body); err != nil {
						err = fmt.Errorf("%w: %.300s", err, body)
						break
					}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.Done += int(own.total) //nolint:gosec // as many as fit into a run
			total.Latency.merge(&own)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	total.Elapsed = time.Since(start)
	return total, failed
}

// await returns when the i-th request is due, or ctx ends. It returns when that was,
// if it is over already, and else zero: how late the generator wakes up says nothing
// about the server.
func (j *job) await(ctx context.Context, start time.Time, i int) (late time.Time) {
	if j.Rate == 0 {
		return late
	}
	due := start.Add(time.Duration(float64(i) / j.Rate * float64(time.Second)))
	wait := time.Until(due)
	if wait <= 0 {
		return due
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return late
}

// request is a request and what is right as an answer. It is used again for the
// next one of its connection.
type request struct {
	rng    *mathrand.Rand
	raw    []byte
	status int
	check  func(body []byte) error // of every answer with always, else of some
	always bool
	late   time.Time // when it was due, if no connection was free then
}

// source writes the i-th request of a job into r; false when nothing is left. It
// is called concurrently, with an r for each caller.
type source func(i int, r *request) bool
