package search_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// gate stands between a server and an engine. Everything passes until it is told
// otherwise.
type gate struct {
	*httptest.Server

	rule atomic.Pointer[rule]
}

// rule answers a request instead of the engine, or reports that it does not.
type rule func(w http.ResponseWriter, r *http.Request, body []byte) (answered bool)

func newGate(t *testing.T, at string) *gate {
	t.Helper()
	to, err := url.Parse(at)
	if err != nil {
		t.Fatal("the URL of the engine cannot be read")
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	pass := &httputil.ReverseProxy{
		Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		// Who asked has gone.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	g := &gate{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // who asked has gone
		}
		if rule := g.rule.Load(); rule != nil && (*rule)(w, r, body) {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		g.Close()
		transport.CloseIdleConnections()
	})
	return g
}

// follow has requests answered by a rule, from now on.
func (g *gate) follow(r rule) { g.rule.Store(&r) }

// open lets everything pass.
func (g *gate) open() { g.rule.Store(nil) }

// calls reports whether a request is for an endpoint, such as "_bulk".
func calls(r *http.Request, endpoint string) bool { return strings.HasSuffix(r.URL.Path, "/"+endpoint) }

// refusing answers an endpoint with a status.
func refusing(endpoint string, status int) rule {
	return func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if !calls(r, endpoint) {
			return false
		}
		http.Error(w, `{"error":{"type":"circuit_breaking_exception"}}`, status)
		return true
	}
}

// silence takes requests and answers none. After end others pass, and those that it
// has are let go, as a process does that is killed.
func (g *gate) silence() (end func()) {
	ended := make(chan struct{})
	g.follow(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		select {
		case <-ended:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return true
		}
	})
	return func() {
		g.open()
		close(ended)
	}
}

// hold keeps what a build stores in a new index, and lets all else pass. held closes
// when there is something; release lets it go on, and may be called again.
func (g *gate) hold(alias string) (held <-chan struct{}, release func()) {
	has, released := make(chan struct{}), make(chan struct{})
	first, last := sync.OnceFunc(func() { close(has) }), sync.OnceFunc(func() { close(released) })
	g.follow(func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		if !calls(r, "_bulk") || bytes.Contains(body, []byte(`"_index":"`+alias+`"`)) || !bytes.Contains(body, []byte(`"_index":"`+alias+`-`)) {
			return false
		}
		first()
		select {
		case <-released:
			return false
		case <-r.Context().Done():
			return true
		}
	})
	return has, func() {
		g.open()
		last()
	}
}
