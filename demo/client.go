package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxTries bounds how often a request is sent that the server asks to send
	// again: a server that has nothing else to do takes it sooner.
	maxTries = 60
	// maxWait bounds what the server may ask to wait.
	maxWait = time.Minute
	// maxAnswer bounds an answer.
	maxAnswer = 4 << 20
	// answerTime bounds how long an answer takes.
	answerTime = time.Minute
)

// client speaks to a server.
type client struct {
	base string
	http *http.Client
}

// newClient makes a client that keeps so many connections.
func newClient(base string, connections int) *client {
	return &client{base, &http.Client{
		Timeout:   answerTime,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// answer is a status and the fields of a body that Fill reads.
type answer struct {
	status  int
	Message string `json:"message"`
	Code    string `json:"code"`
	Token   string `json:"token"`
	Expires int64  `json:"expires_in"`
	User    struct {
		Followers int `json:"followers"`
	} `json:"user"`
	Results []struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	} `json:"results"`
}

// refused is an answer that was not wanted. It holds no username.
func (a *answer) refused(what string) error {
	return fmt.Errorf("demo: %s: the server answered %d %s", what, a.status, a.Message)
}

// send sends a request whose repetition is safe, until the server has time for it.
func (c *client) send(ctx context.Context, method, path, token string, body any) (*answer, error) {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("demo: encode a body: %w", err)
		}
	}
	for try := 1; ; try++ {
		a, wait, err := c.once(ctx, method, path, token, encoded)
		if err != nil || wait == 0 || try == maxTries {
			return a, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("demo: %w", ctx.Err())
		}
	}
}

// once sends a request. wait is how long the server asks to wait before it is sent
// again, 0 when it need not be.
func (c *client) once(ctx context.Context, method, path, token string, body []byte) (_ *answer, wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, fmt.Errorf("demo: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, 0, fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	b, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, 0, fmt.Errorf("demo: read an answer: %w", err)
	}
	a := &answer{status: response.StatusCode}
	if err := json.Unmarshal(b, a); err != nil {
		return nil, 0, fmt.Errorf("demo: an answer of status %d: %w", a.status, err)
	}
	if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			seconds = 1
		}
		wait = min(maxWait, time.Duration(seconds)*time.Second)
	}
	return a, wait, nil
}
