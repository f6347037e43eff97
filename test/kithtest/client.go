package kithtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Client speaks to a server as one caller. A Client may be used concurrently; it
// finds the server again after a restart.
type Client struct {
	server *Server
	token  string
}

// As returns a client that authorises with a token.
func (c *Client) As(token string) *Client { return &Client{c.server, token} }

// Token returns what the client authorises with, "" for nothing.
func (c *Client) Token() string { return c.token }

// Request is one request. Body is sent as it is when it is a string or bytes,
// else as JSON; nil sends none.
type Request struct {
	Method, Path string
	Body         any
	Header       http.Header // replaces what the client sets
	Ops          bool        // to the private listener
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Envelope
}

// Envelope holds every field that some answer of the server has.
type Envelope struct {
	Result    string   `json:"-"` // the status field when it is a string
	Message   string   `json:"message"`
	Code      string   `json:"code"`
	RequestID string   `json:"request_id"`
	Field     string   `json:"field"`
	Reasons   []string `json:"reasons"`

	User         *User  `json:"user"`
	Following    *bool  `json:"following"`
	Token        string `json:"token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int64  `json:"expires_in"`

	Users      []User  `json:"users"`
	Count      int     `json:"count"`
	NextCursor *string `json:"next_cursor"`

	Available *bool  `json:"available"`
	Username  string `json:"username"`

	Relationships []Relationship `json:"relationships"`
}

// User is the user object.
type User struct {
	ID        int64  `json:"id"`
	UID       string `json:"uid"`
	Username  string `json:"username"`
	Name      string `json:"name"`
	Role      string `json:"role"`
	Picture   string `json:"profile_picture"`
	Followers int    `json:"followers"`
	Following int    `json:"following"`
	Streams   int    `json:"total_streams"`
	Videos    int    `json:"total_videos"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

// Relationship is one row of GET /users/relationships.
type Relationship struct {
	Username   string `json:"username"`
	Following  bool   `json:"following"`
	FollowedBy bool   `json:"followed_by"`
}

// Do sends a request. An error means that no whole answer came back: whether the
// request was carried out is not known.
func (c *Client) Do(ctx context.Context, in Request) (*Answer, error) {
	var body io.Reader
	switch b := in.Body.(type) {
	case nil:
	case string:
		body = bytes.NewReader([]byte(b))
	case []byte:
		body = bytes.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("kithtest: encode a body: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	base := c.server.URL()
	if in.Ops {
		base = c.server.OpsURL()
	}
	r, err := http.NewRequestWithContext(ctx, in.Method, base+in.Path, body)
	if err != nil {
		return nil, fmt.Errorf("kithtest: %s %s: %w", in.Method, in.Path, err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, values := range in.Header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	response, err := c.server.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("kithtest: %w", err)
	}
	a := &Answer{Status: response.StatusCode, Header: response.Header}
	a.Body, err = io.ReadAll(response.Body)
	if closed := response.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("kithtest: %s %s: read the answer: %w", in.Method, in.Path, err)
	}
	// What is no JSON has no fields, which is for the test to judge.
	if json.Unmarshal(a.Body, &a.Envelope) == nil {
		var status struct {
			Status any `json:"status"`
		}
		if json.Unmarshal(a.Body, &status) == nil {
			a.Result, _ = status.Status.(string)
		}
	}
	return a, nil
}

// String shows an answer in the failure of a test.
func (a *Answer) String() string {
	if a == nil {
		return "no answer"
	}
	return fmt.Sprintf("%d %s", a.Status, bytes.TrimSpace(a.Body))
}

// Get sends a GET.
func (c *Client) Get(ctx context.Context, path string) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodGet, Path: path})
}

// Registration is the body of a registration.
type Registration struct {
	Username string `json:"username"`
	Name     string `json:"name"`
	Password string `json:"password"`
	Email    string `json:"email,omitempty"`
}

// Register sends POST /auth/register.
func (c *Client) Register(ctx context.Context, in Registration) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodPost, Path: "/auth/register", Body: in})
}

// Login sends POST /auth/login.
func (c *Client) Login(ctx context.Context, username, password string) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodPost, Path: "/auth/login", Body: map[string]string{"username": username, "password": password}})
}

// User sends GET /users/{username}.
func (c *Client) User(ctx context.Context, username string) (*Answer, error) {
	return c.Get(ctx, "/users/"+url.PathEscape(username))
}

// Update sends PUT /users/self.
func (c *Client) Update(ctx context.Context, body any) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodPut, Path: "/users/self", Body: body})
}

// Delete sends DELETE /users/{username}.
func (c *Client) Delete(ctx context.Context, username string) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodDelete, Path: "/users/" + url.PathEscape(username)})
}

// Follow sends PUT /users/self/following/{username}.
func (c *Client) Follow(ctx context.Context, username string) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodPut, Path: "/users/self/following/" + url.PathEscape(username)})
}

// Unfollow sends DELETE /users/self/following/{username}.
func (c *Client) Unfollow(ctx context.Context, username string) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodDelete, Path: "/users/self/following/" + url.PathEscape(username)})
}

// Followers returns all pages of GET /users/{username}/followers.
func (c *Client) Followers(ctx context.Context, username string) ([]User, error) {
	return c.all(ctx, "/users/"+url.PathEscape(username)+"/followers")
}

// Following returns all pages of GET /users/{username}/following.
func (c *Client) Following(ctx context.Context, username string) ([]User, error) {
	return c.all(ctx, "/users/"+url.PathEscape(username)+"/following")
}

// all reads a list to its end. A page that is not 200 is an error.
func (c *Client) all(ctx context.Context, path string) ([]User, error) {
	var users []User
	for query := "?limit=100"; ; {
		a, err := c.Get(ctx, path+query)
		switch {
		case err != nil:
			return nil, err
		case a.Status != http.StatusOK:
			return nil, fmt.Errorf("kithtest: GET %s%s: %s", path, query, a)
		case a.Count != len(a.Users):
			return nil, fmt.Errorf("kithtest: GET %s%s: count is %d of %d", path, query, a.Count, len(a.Users))
		}
		users = append(users, a.Users...)
		if a.NextCursor == nil {
			return users, nil
		}
		query = "?limit=100&cursor=" + url.QueryEscape(*a.NextCursor)
	}
}
