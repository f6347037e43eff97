package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
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
	o, err := j.drive(ctx, conns, draw)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(&o); err != nil {
		return fmt.Errorf("say what was done: %w", err)
	}
	return nil
}

// drive keeps one request in flight on each connection.
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
				if !draw(int(next.Add(1))-1, &r) {
					break
				}
				sent := time.Now()
				var (
					status int
					body   []byte
				)
				if status, body, err = c.do(r.raw); err != nil {
					break
				}
				own.record(time.Since(sent))
				if status != r.status {
					err = fmt.Errorf("status %d where %d is right: %.300s", status, r.status, body)
					break
				}
				if own.total%sampleEvery == 1 {
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

// request is a request and what is right as an answer. It is used again for the
// next one of its connection.
type request struct {
	rng    *mathrand.Rand
	raw    []byte
	status int
	check  func(body []byte) error
}

// source writes the i-th request of a job into r; false when nothing is left. It
// is called concurrently, with an r for each caller.
type source func(i int, r *request) bool

func (j *job) source(p *population) (source, error) {
	switch j.Kind {
	case loadLookup:
		return lookups(p, j.Callers), nil
	case loadFollow:
		pairs, err := p.pairs(j.Seed, j.Reserved, j.Skip, j.Count)
		return follows(p, pairs), err
	case loadStar:
		return follows(p, p.starPairs(j.Seed, j.Star)), nil
	case loadRegister:
		return accounts("/auth/register", http.StatusCreated, j.Skip, j.Count), nil
	case loadLogin:
		return accounts("/auth/login", http.StatusOK, j.Skip, j.Count), nil
	}
	return nil, fmt.Errorf("there is no load of kind %q", j.Kind)
}

// userAnswer is what of an answer with a user is checked.
type userAnswer struct {
	Status string `json:"status"`
	User   struct {
		UID      string `json:"uid"`
		Username string `json:"username"`
	} `json:"user"`
	Following bool `json:"following"`
}

var errAnswer = errors.New("the answer is wrong")

func checkUser(body []byte, of *person, following bool) error {
	var a userAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	if a.Status != "success" || a.User.UID != of.UID.String() || a.User.Username != of.Username || a.Following != following {
		return errAnswer
	}
	return nil
}

// lookups asks, as one of the first callers, for a random user. It expects that
// nobody has followed anybody since the population was made.
func lookups(p *population, callers int) source {
	return func(_ int, r *request) bool {
		caller, target := r.rng.IntN(callers), r.rng.IntN(len(p.People))
		r.raw = appendRequest(r.raw[:0], http.MethodGet, "/users/", p.People[target].Username, p.People[caller].Token, nil)
		r.status = http.StatusOK
		r.check = func(body []byte) error { return checkUser(body, &p.People[target], p.follows(caller, target)) }
		return true
	}
}

func follows(p *population, pairs []pair) source {
	return func(i int, r *request) bool {
		if i >= len(pairs) {
			return false
		}
		from, to := &p.People[pairs[i].From], &p.People[pairs[i].To]
		r.raw = appendRequest(r.raw[:0], http.MethodPut, "/users/self/following/", to.Username, from.Token, []byte{})
		r.status = http.StatusCreated
		r.check = func(body []byte) error { return checkUser(body, to, true) }
		return true
	}
}

// accounts sends the names and passwords of users that are numbered from skip on.
func accounts(path string, status, skip, count int) source {
	return func(i int, r *request) bool {
		if i >= count {
			return false
		}
		name := "new_" + strconv.Itoa(skip+i)
		body := fmt.Appendf(nil, `{"username":%q,"name":"New User","password":"correct horse %d"}`, name, skip+i)
		r.raw = appendRequest(r.raw[:0], http.MethodPost, path, "", "", body)
		r.status = status
		r.check = func(body []byte) error {
			if !bytes.Contains(body, []byte(`"username":"`+name+`"`)) || !bytes.Contains(body, []byte(`"token":"`)) {
				return errAnswer
			}
			return nil
		}
		return true
	}
}

// appendRequest appends a request. A nil body is none, an empty one has a length.
func appendRequest(b []byte, method, path, last, token string, body []byte) []byte {
	b = append(append(append(append(append(b, method...), ' '), path...), last...), " HTTP/1.1\r\nHost: kith\r\n"...)
	if token != "" {
		b = append(append(append(b, "Authorization: Bearer "...), token...), "\r\n"...)
	}
	if body != nil {
		b = strconv.AppendInt(append(b, "Content-Type: application/json\r\nContent-Length: "...), int64(len(body)), 10)
		b = append(b, "\r\n"...)
	}
	return append(append(b, "\r\n"...), body...)
}
