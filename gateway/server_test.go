package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"kith/actors/usergrain"
	"kith/gateway"
)

// What the process gives the gateway fits.
var (
	_ gateway.Grains    = (*usergrain.Client)(nil)
	_ gateway.Relations = (*usergrain.Client)(nil)
)

func TestUnknownPathsAndMethodsAreEnvelopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodGet, "/nowhere", 404, ""},
		{http.MethodGet, "/", 404, ""},
		{http.MethodGet, "/users", 405, "POST"},
		{http.MethodPost, "/users/", 405, "GET, HEAD, DELETE"},
		{http.MethodGet, "/users/self/following/", 405, "PUT, DELETE"},
		{http.MethodOptions, "*", 404, ""},
		{http.MethodGet, "/users/alice/", 404, ""},
		{http.MethodGet, "/users/alice/followers/x/y", 404, ""},
		{"BREW", "/nowhere", 404, ""},
		{http.MethodPatch, "/users/alice", 405, "GET, HEAD, DELETE"},
		{http.MethodPost, "/users/self", 405, "GET, HEAD, PUT, DELETE"},
		{http.MethodGet, "/auth/login", 405, "POST"},
		{http.MethodHead, "/auth/login", 405, "POST"},
		{http.MethodOptions, "/users/self/following/bob", 405, "PUT, DELETE"},
		{"BREW", "/users/alice", 405, "GET, HEAD, DELETE"},
		{http.MethodPut, "/healthz", 405, "GET, HEAD"},
	} {
		got := w.call(t, call{method: c.method, path: c.path})
		switch c.status {
		case 404:
			got.refused(t, 404, "not_found", "Not found")
		case 405:
			got.refused(t, 405, "method_not_allowed", "Method not allowed")
		}
		if allow := got.Header().Get("Allow"); allow != c.allow {
			t.Errorf("%s %s: Allow is %q, want %q", c.method, c.path, allow, c.allow)
		}
	}
}

func TestErrorsAreProblemsWhenAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for _, c := range []call{
		{method: http.MethodGet, path: "/users/nobody", token: token},
		{method: http.MethodGet, path: "/nowhere"},
	} {
		c.header = []string{"Accept", "application/problem+json", "X-Request-Id", "abc"}
		got := w.call(t, c)
		want := map[string]any{"type": "about:blank", "title": "Not Found", "status": 404.0, "detail": "User not found", "code": "user_not_found", "request_id": "abc"}
		if c.token == "" {
			want["detail"], want["code"] = "Not found", "not_found"
		}
		if got.Code != 404 || got.Header().Get("Content-Type") != "application/problem+json" || !equalJSON(got.body, want) {
			t.Errorf("%d %s %s", got.Code, got.Header().Get("Content-Type"), got.Body)
		}
	}
	// Success stays what it is.
	got := w.call(t, call{method: http.MethodGet, path: "/users/alice", token: token, header: []string{"Accept", "application/problem+json"}})
	if got.is(t, 200).Header().Get("Content-Type") != "application/json" {
		t.Errorf("success is %s", got.Header().Get("Content-Type"))
	}
}

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func TestAcceptChoosesTheKindOfError(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "application/*": false,
		"application/problem+json":                               true,
		"application/json, application/problem+json":             true,
		"application/json;q=0.9, application/problem+json;q=0.5": false,
		"application/problem+json;q=0":                           false,
		"text/html, application/PROBLEM+json; q=0.1":             false,
		"text/html, application/problem+json; q=0.1":             true,
		"x;,y": false, ";;;,,,q=,application/problem+json": true, "application/problem+json;q=x": false,
	} {
		if got := gateway.PrefersProblem([]string{accept}); got != want {
			t.Errorf("Accept: %s: %v", accept, got)
		}
	}
	// Whatever is sent, something is answered: huma's own negotiation panics here.
	w := newWorld(t)
	w.call(t, call{method: http.MethodGet, path: "/healthz", header: []string{"Accept", "x;,y"}}).is(t, 200)
}

func TestPanicsAre500AndSayNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	w.panics = true
	w.call(t, call{method: http.MethodPut, path: "/users/self/following/bob", token: token}).refused(t, 500, "internal_error", "Internal server error")
	if !strings.Contains(w.log.String(), "planted") || !strings.Contains(w.log.String(), "handler panicked") {
		t.Errorf("the log does not say what happened: %s", w.log)
	}
	w.panics = false
	w.call(t, call{method: http.MethodPut, path: "/users/self/following/bob", token: token}).is(t, 201)
}

// An abort cuts the connection, as net/http has it, and is no fault of ours.
func TestAborts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config()
	cfg.Registerer = nil
	cfg.Ready = func(context.Context) gateway.Readiness { panic(http.ErrAbortHandler) }
	s, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := srv.Client().Do(r); err == nil {
		_ = resp.Body.Close()
		t.Errorf("answered %d", resp.StatusCode)
	}
	if strings.Contains(w.log.String(), "panicked") {
		t.Errorf("logged %s", w.log)
	}
}

// What huma refuses by itself is refused in our words.
func TestErrorsOfHumaAreOurs(t *testing.T) {
	t.Parallel()
	newWorld(t)
	for _, c := range []struct {
		status int
		detail error
		want   int
		code   string
	}{
		{422, &huma.ErrorDetail{Location: "query.limit", Message: "invalid integer", Value: "x"}, 400, "invalid_limit"},
		{422, errors.New("other"), 400, "invalid_request"},
		{413, nil, 413, "body_too_large"},
		{408, nil, 408, "request_timeout"},
		{415, nil, 415, "unsupported_media_type"},
		{500, errors.New("secret"), 500, "internal_error"},
	} {
		got := huma.NewError(c.status, "validation failed", c.detail)
		b, err := json.Marshal(got)
		if err != nil || got.GetStatus() != c.want || !strings.Contains(string(b), `"code":"`+c.code+`"`) || strings.Contains(string(b), "secret") {
			t.Errorf("%d: %d %s, %v", c.status, got.GetStatus(), b, err)
		}
	}
}

func TestInternalErrorsSayNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	w.failStores = errors.New("table users is on fire")
	w.cards.drop()
	for _, path := range []string{"/users/bob", "/users/self", "/users/alice/followers"} {
		got := w.get(t, token, path).refused(t, 500, "internal_error", "Internal server error")
		if strings.Contains(got.Body.String(), "fire") {
			t.Errorf("the answer tells: %s", got.Body)
		}
		if id, _ := got.body["request_id"].(string); !strings.Contains(w.log.String(), id) {
			t.Errorf("the log does not know request %s", id)
		}
	}
	w.call(t, call{method: http.MethodPost, path: "/auth/login", body: `{"username":"bob","password":"correct horse"}`}).refused(t, 500, "internal_error", "Internal server error")
}

func TestFailuresOfGrainsAre503WithRetryAfter(t *testing.T) {
	t.Parallel()
	for code, err := range map[string]error{
		"busy": usergrain.ErrBusy, "unavailable": usergrain.ErrUnavailable, "outcome_unknown": usergrain.ErrOutcomeUnknown,
	} {
		w := newWorld(t)
		token := w.join(t, "alice")
		w.join(t, "bob")
		w.failGrains = err
		for _, c := range []call{
			{method: http.MethodPut, path: "/users/self/following/bob", token: token},
			{method: http.MethodDelete, path: "/users/self/following/bob", token: token},
			{method: http.MethodPut, path: "/users/self", token: token, body: `{"name":"A"}`},
			{method: http.MethodDelete, path: "/users/alice", token: token},
			{method: http.MethodPost, path: "/auth/register", body: `{"username":"carol","name":"C","password":"12345678"}`},
		} {
			got := w.call(t, c).is(t, 503)
			if got.body["code"] != code || got.Header().Get("Retry-After") != "1" {
				t.Errorf("%s %s: %s, Retry-After %q", c.method, c.path, got.Body, got.Header().Get("Retry-After"))
			}
		}
		// What does not need a grain goes on.
		w.get(t, token, "/users/bob").is(t, 200)
	}
	w := newWorld(t)
	token := w.join(t, "alice")
	w.failGrains = usergrain.ErrBroken
	w.call(t, call{method: http.MethodDelete, path: "/users/alice", token: token}).refused(t, 500, "internal_error", "Internal server error")
}

func TestACacheThatIsAwayIsOnlySlower(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob")
	w.follow(t, "alice", "bob")
	w.failCards = errors.New("connection refused")
	if got := w.get(t, token, "/users/bob").is(t, 200); got.body["following"] != true {
		t.Error(got.Body)
	}
	if got := w.get(t, token, "/users/bob/followers").is(t, 200); got.body["count"] != 1.0 {
		t.Error(got.Body)
	}
	w.call(t, call{method: http.MethodPut, path: "/users/self", token: token, body: `{"name":"A"}`}).is(t, 200)
}

func TestHealthAndReadiness(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.get(t, "", "/healthz").is(t, 200); got.Body.String() != `{"status":"success"}`+"\n" {
		t.Error(got.Body)
	}
	w.ready = gateway.Readiness{Ready: true, Degraded: []string{"kafka"}}
	if got := w.get(t, "", "/readyz").is(t, 200); got.Body.String() != `{"status":"success","degraded":["kafka"]}`+"\n" {
		t.Error(got.Body)
	}
	w.ready = gateway.Readiness{Ready: true}
	if got := w.get(t, "", "/readyz").is(t, 200); got.Body.String() != `{"status":"success","degraded":[]}`+"\n" {
		t.Error(got.Body)
	}
	w.ready = gateway.Readiness{Reasons: []string{"database", `lanes "0"`}}
	got := w.get(t, "", "/readyz").refused(t, 503, "not_ready", "Not ready")
	if got.Header().Get("Retry-After") != "1" || !equalJSON(got.body["reasons"], []string{"database", `lanes "0"`}) {
		t.Error(got.Body)
	}
	w.get(t, "", "/healthz").is(t, 200)
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	srv := httptest.NewServer(w.handler)
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, srv.URL+"/users/alice", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || len(b) > 0 || resp.Header.Get("ETag") == "" || resp.ContentLength < 100 {
		t.Errorf("%d, %d bytes, %v", resp.StatusCode, len(b), resp.Header)
	}
	srv.Client().CloseIdleConnections()
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := map[string]bool{}
	for range 100 {
		id := w.get(t, "", "/healthz").Header().Get("X-Request-Id")
		if id == "" || seen[id] {
			t.Fatalf("request id %q", id)
		}
		seen[id] = true
	}
	for given, kept := range map[string]bool{
		"abc-DEF_1.2": true, "": false, "a b": false, "a\"b": false, "é": false, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false,
	} {
		got := w.call(t, call{method: http.MethodGet, path: "/nowhere", header: []string{"X-Request-Id", given}}).Header().Get("X-Request-Id")
		if (got == given) != kept {
			t.Errorf("given %q, kept %q", given, got)
		}
	}
}

func TestMetricsAndLogsKnowRoutesNotPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.join(t, "bob_the_secret")
	w.get(t, token, "/users/bob_the_secret").is(t, 200)
	w.get(t, token, "/users/nobody_here").is(t, 404)
	w.get(t, "", "/users/bob_the_secret").is(t, 401)
	w.get(t, "", "/random/bob_the_secret").is(t, 404)
	w.call(t, call{method: "BREW", path: "/users/alice"}).is(t, 405)
	w.call(t, call{method: http.MethodPost, path: "/auth/register", body: `{"username":"carol_hidden","name":"Carol Hidden","password":"hidden password","email":"hidden@example.com"}`}).is(t, 201)
	want := []string{
		"GET /users/{username} 200: 1", "GET /users/{username} 401: 1", "GET /users/{username} 404: 1", "GET unmatched 404: 1",
		"POST /auth/register 201: 1", "other unmatched 405: 1",
	}
	counted, inFlight := w.counted(t)
	if !slices.Equal(counted, want) {
		t.Errorf("counted %q, want %q", counted, want)
	}
	if inFlight != 0 {
		t.Errorf("%v in flight", inFlight)
	}
	logged := w.log.String()
	for _, secret := range []string{"bob", "nobody", "carol", "hidden", "Hidden", token} {
		if strings.Contains(logged, secret) {
			t.Errorf("the log names %s:\n%s", secret, logged)
		}
	}
	if !strings.Contains(logged, "/users/{username}") {
		t.Errorf("the log has no routes:\n%s", logged)
	}
	ops := httptest.NewRecorder()
	gateway.OpsHandler(w.registry).ServeHTTP(ops, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if ops.Code != 200 || !strings.Contains(ops.Body.String(), "kith_http_request_duration_seconds_bucket") {
		t.Errorf("/metrics: %d", ops.Code)
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline"} {
		ops := httptest.NewRecorder()
		gateway.OpsHandler(w.registry).ServeHTTP(ops, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if ops.Code != 200 {
			t.Errorf("%s: %d", path, ops.Code)
		}
	}
	w.get(t, "", "/metrics").is(t, 404) // not outside
	w.get(t, "", "/debug/pprof/").is(t, 404)
}

// counted returns the requests counted, in order, and the gauge of those in
// flight.
func (w *world) counted(tb testing.TB) (counted []string, inFlight float64) {
	tb.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "kith_http_requests_total":
				labels := map[string]string{}
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				counted = append(counted, fmt.Sprintf("%s %s %s: %v", labels["method"], labels["route"], labels["code"], m.GetCounter().GetValue()))
			case "kith_http_requests_in_flight":
				inFlight = m.GetGauge().GetValue()
			}
		}
	}
	slices.Sort(counted)
	return counted, inFlight
}

func TestASlowBodyTimesOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := httptest.NewUnstartedServer(w.handler)
	srv.Config = gateway.HTTPServer(w.handler, w.config().Logger)
	srv.Config.ReadTimeout = 50 * time.Millisecond
	srv.Start()
	defer srv.Close()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), "request_timeout") {
		t.Errorf("%v: %s", err, answer)
	}
}

// net/http would answer OPTIONS * by itself, without an envelope.
func TestOptionsOfTheServerAreAnEnvelope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := httptest.NewUnstartedServer(w.handler)
	srv.Config = gateway.HTTPServer(w.handler, w.config().Logger)
	srv.Start()
	defer srv.Close()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 404 ") || !strings.Contains(string(answer), `"code":"not_found"`) {
		t.Errorf("%v: %s", err, answer)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, change := range map[string]func(*gateway.Config){
		"no grains": func(c *gateway.Config) { c.Grains = nil }, "no relations": func(c *gateway.Config) { c.Relations = nil },
		"no directory": func(c *gateway.Config) { c.Directory = nil }, "no edges": func(c *gateway.Config) { c.Edges = nil },
		"no credentials": func(c *gateway.Config) { c.Credentials = nil }, "no cards": func(c *gateway.Config) { c.Cards = nil },
		"no activities": func(c *gateway.Config) { c.Activities = nil }, "no search": func(c *gateway.Config) { c.Search = nil },
		"no shuffle": func(c *gateway.Config) { c.Shuffle = nil }, "no blobs": func(c *gateway.Config) { c.Blobs = nil },
		"no readiness": func(c *gateway.Config) { c.Ready = nil }, "no logger": func(c *gateway.Config) { c.Logger = nil },
		"short secret": func(c *gateway.Config) { c.Secret = make([]byte, 31) }, "short lives": func(c *gateway.Config) { c.AccessTTL = 1 },
		"no randomness": func(c *gateway.Config) { c.Rand = strings.NewReader("") },
	} {
		cfg := w.config()
		cfg.Registerer = nil
		change(&cfg)
		if _, err := gateway.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
