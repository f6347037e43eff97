package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// One connection carries many exchanges, and each answer belongs to its request.
func TestConnKeepsAlive(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s %s %s %s", r.RemoteAddr, r.Method, r.URL.Path, r.Header.Get("Authorization"), body)
	}))
	t.Cleanup(server.Close)
	c, err := dial(t.Context(), server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	local := c.net.LocalAddr().String()
	for _, x := range []struct {
		request []byte
		want    string
	}{
		{appendRequest(nil, http.MethodGet, "/users/", "a", "token", nil), "GET /users/a Bearer token "},
		{appendRequest(nil, http.MethodPost, "/auth/login", "", "", []byte(`{"x":1}`)), `POST /auth/login  {"x":1}`},
		{appendRequest(nil, http.MethodPut, "/users/", "b", "other", []byte{}), "PUT /users/b Bearer other "},
	} {
		status, body, err := c.do(x.request)
		if err != nil {
			t.Fatal(err)
		}
		if want := local + " " + x.want; status != http.StatusAccepted || string(body) != want {
			t.Errorf("status %d, body %q, want %q", status, body, want)
		}
	}
}

func TestConnRefusesWhatHasNoLength(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil { // net/http sends this in chunks
			t.Log(err) // the client has hung up
		}
	}))
	t.Cleanup(server.Close)
	c, err := dial(t.Context(), server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	if _, _, err := c.do(appendRequest(nil, http.MethodGet, "/", "", "", nil)); !errors.Is(err, errNotHTTP) {
		t.Errorf("error %v, want %v", err, errNotHTTP)
	}
}
