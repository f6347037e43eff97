package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (j *job) source(p *population) (source, error) {
	switch j.Kind {
	case loadLookup:
		return lookups(p, j.Callers, j.target(p)), nil
	case loadFollow:
		pairs, err := p.pairs(j.Seed, j.Anybody, j.Reserved, j.Skip, j.Count)
		return follows(p, pairs), err
	case loadStar:
		return follows(p, p.starPairs(j.Seed, j.Star)), nil
	case loadRegister:
		return accounts("/auth/register", http.StatusCreated, j.Skip, j.Count), nil
	case loadLogin:
		return accounts("/auth/login", http.StatusOK, j.Skip, j.Count), nil
	case loadList:
		return lists(p, j), nil
	case loadSearch:
		return searches(p), nil
	case loadFollowers:
		return followersOf(p, j.target(p)), nil
	case loadEvent:
		return events(p, j), nil
	case loadEvents:
		return batches(p, j), nil
	}
	return nil, fmt.Errorf("there is no load of kind %q", j.Kind)
}

// writes reports whether a job changes what is stored.
func (j *job) writes() bool {
	switch j.Kind {
	case loadFollow, loadStar, loadEvent, loadEvents, loadRegister, loadLogin:
		return true
	}
	return false
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

// target draws whom to ask about: one of the active ones, or anybody.
func (j *job) target(p *population) func(*mathrand.Rand) int {
	if j.Anybody {
		return func(rng *mathrand.Rand) int { return rng.IntN(len(p.People)) }
	}
	return func(rng *mathrand.Rand) int { return p.active(rng.IntN(p.Active)) }
}

// caller draws one of the active ones.
func (p *population) caller(rng *mathrand.Rand) *person {
	return &p.People[p.active(rng.IntN(p.Active))]
}

// lookups asks, as one of the first active ones, for a random user. It expects
// that nobody has followed anybody since the population was made.
func lookups(p *population, callers int, draw func(*mathrand.Rand) int) source {
	return func(_ int, r *request) bool {
		caller, target := p.active(r.rng.IntN(callers)), draw(r.rng)
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

// lists asks for pages of the list of all users.
func lists(p *population, j *job) source {
	return func(i int, r *request) bool {
		path := "/users/list?limit=" + strconv.Itoa(listLimit) + "&offset=" + strconv.Itoa(j.Offset+listLimit*r.rng.IntN(j.Pages))
		if j.Anybody {
			path += "&seed=" + strconv.FormatUint(j.Seed, 10) + "-" + strconv.Itoa(i)
		}
		r.raw = appendRequest(r.raw[:0], http.MethodGet, path, "", p.caller(r.rng).Token, nil)
		r.status = http.StatusOK
		r.check = func(body []byte) error { return checkRows(body, listLimit, listLimit) }
		return true
	}
}

func checkRows(body []byte, least, most int) error {
	if n := bytes.Count(body, []byte(`"username":"`)); n < least || n > most || !bytes.HasPrefix(body, []byte(`{"status":"success"`)) {
		return fmt.Errorf("%w: %d rows", errAnswer, n)
	}
	return nil
}

// searches asks in turn how usernames and how words of names of the active ones
// begin, as far as people type.
func searches(p *population) source {
	return func(i int, r *request) bool {
		u := p.caller(r.rng)
		q := u.Username[:len(u.Username)-1]
		if i%2 == 0 {
			_, last, _ := strings.Cut(u.Name, " ")
			q = last[:3]
		}
		r.raw = appendRequest(r.raw[:0], http.MethodGet, "/users/search?limit=20&q=", q, p.caller(r.rng).Token, nil)
		r.status = http.StatusOK
		r.check = func(body []byte) error { return checkRows(body, 1, 20) }
		return true
	}
}

// followersOf asks for the newest followers of a user.
func followersOf(p *population, draw func(*mathrand.Rand) int) source {
	return func(_ int, r *request) bool {
		target := &p.People[draw(r.rng)]
		r.raw = appendRequest(r.raw[:0], http.MethodGet, "/users/"+target.Username, "/followers?limit=20", p.caller(r.rng).Token, nil)
		r.status = http.StatusOK
		r.check = func(body []byte) error { return checkRows(body, min(len(p.Offsets), 20), 20) }
		return true
	}
}

// timed is a job whose next event is sent at a time: its id begins with that.
func (j *job) timed(at time.Time) *job {
	then := *j
	then.Seed = uint64(at.UnixNano())
	return &then
}

// appendEvent appends a behaviour event with an id that no other has.
func appendEvent(b []byte, j *job, i int, rng *mathrand.Rand) []byte {
	return fmt.Appendf(b, `{"event_id":"%d-%d-%d","type":"rating","movie_id":%d,"rating":%d.5,"session_id":"s%d","context":{"source_page":"home","source_section":"trending"}}`,
		j.Seed, j.Skip, i, 1+rng.IntN(100_000), rng.IntN(10), rng.IntN(1000))
}

func events(p *population, j *job) source {
	return func(i int, r *request) bool {
		j := j
		if j.Timed {
			j = j.timed(cmp.Or(r.late, time.Now()))
		}
		r.raw = appendRequest(r.raw[:0], http.MethodPost, "/users/self/events", "", p.caller(r.rng).Token, appendEvent(nil, j, i, r.rng))
		r.status = http.StatusCreated
		r.check = func(body []byte) error {
			if !bytes.Contains(body, []byte(`"event":{`)) {
				return errAnswer
			}
			return nil
		}
		return true
	}
}

// batches records events eventsBatch at a time. An answer 200 does not say that
// all of them were: so every answer is read.
func batches(p *population, j *job) source {
	return func(i int, r *request) bool {
		body := []byte(`{"events":[`)
		for k := range eventsBatch {
			if k > 0 {
				body = append(body, ',')
			}
			body = appendEvent(body, j, i*eventsBatch+k, r.rng)
		}
		r.raw = appendRequest(r.raw[:0], http.MethodPost, "/users/self/events", "", p.caller(r.rng).Token, append(body, "]}"...))
		r.status, r.always = http.StatusOK, true
		r.check = func(body []byte) error {
			if n := bytes.Count(body, []byte(`"status":"created"`)); n != eventsBatch {
				return fmt.Errorf("%w: %d of %d events were recorded", errAnswer, n, eventsBatch)
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
