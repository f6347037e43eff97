package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kith/gateway"
)

// While the server cannot be made, the process is alive, not ready, and says what
// it waits for, in the envelope of every other answer.
func TestWaitingIsAliveAndNotReady(t *testing.T) {
	t.Parallel()
	var w gateway.Waiting
	get := func(path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer := httptest.NewRecorder()
		w.ServeHTTP(answer, r)
		return answer
	}
	if a := get("/healthz"); a.Code != http.StatusOK || strings.TrimSpace(a.Body.String()) != `{"status":"success"}` {
		t.Errorf("/healthz: %d %s", a.Code, a.Body)
	}
	if a := get("/readyz", "X-Request-Id", "mine"); a.Code != http.StatusServiceUnavailable || a.Header().Get("Retry-After") != "1" ||
		strings.TrimSpace(a.Body.String()) != `{"status":"error","message":"Not ready","code":"not_ready","request_id":"mine","reasons":["the server is starting"]}` {
		t.Errorf("/readyz: %d %v %s", a.Code, a.Header(), a.Body)
	}
	w.Because("the database is away")
	for _, path := range []string{"/readyz", "/users/bob", "/nowhere"} {
		if a := get(path); a.Code != http.StatusServiceUnavailable || !strings.Contains(a.Body.String(), `"reasons":["the database is away"]`) {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
	if a := get("/users/bob", "Accept", "application/problem+json"); a.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("problem: %v %s", a.Header(), a.Body)
	}
}
