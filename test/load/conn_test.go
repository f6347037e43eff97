package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
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

// Long answers come in chunks, and the next answer begins after the last one.
func TestConnReadsChunks(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 1<<13) // net/http sends this in chunks
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, long); err != nil {
			t.Error(err)
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
	for range 3 {
		if status, body, err := c.do(appendRequest(nil, http.MethodGet, "/", "", "", nil)); status != http.StatusOK || string(body) != long || err != nil {
			t.Fatalf("status %d, %d bytes, error %v, want %d bytes", status, len(body), err, len(long))
		}
	}
}

func TestConnRefusesWhatIsNotHTTP(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\n\r\nno length",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
	} {
		near, far := net.Pipe()
		c := &conn{net: near, r: bufio.NewReader(near)}
		done := make(chan struct{})
		go func() {
			defer close(done)
			// What is left unread ends with the connection.
			_, _ = far.Read(make([]byte, 1024))
			_, _ = io.WriteString(far, answer)
		}()
		if _, _, err := c.do(appendRequest(nil, http.MethodGet, "/", "", "", nil)); !errors.Is(err, errNotHTTP) {
			t.Errorf("%q: error %v, want %v", answer, err, errNotHTTP)
		}
		if err := errors.Join(c.close(), far.Close()); err != nil {
			t.Error(err)
		}
		<-done
	}
}
