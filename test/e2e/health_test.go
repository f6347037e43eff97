package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"kith/test/kithtest"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	a := start(t)
	c := a.Client()
	if answer := want(t, http.StatusOK)(c.Get(t.Context(), "/healthz")); strings.TrimSpace(string(answer.Body)) != `{"status":"success"}` {
		t.Errorf("health: %s", answer)
	}
	if answer := want(t, http.StatusOK)(c.Get(t.Context(), "/readyz")); strings.TrimSpace(string(answer.Body)) != `{"status":"success","degraded":[]}` {
		t.Errorf("readiness: %s", answer)
	}
}

func TestOps(t *testing.T) {
	t.Parallel()
	a := start(t)
	c := a.register(t, "ops_ada_zq")
	a.register(t, "ops_bob_zq")
	want(t, http.StatusCreated)(c.Follow(t.Context(), "ops_bob_zq"))
	answer := want(t, http.StatusOK)(c.Do(t.Context(), kithtest.Request{Method: http.MethodGet, Path: "/metrics", Ops: true}))
	for _, metric := range []string{"kith_", "go_goroutines", "process_cpu_seconds_total"} {
		if !strings.Contains(string(answer.Body), "\n"+metric) {
			t.Errorf("/metrics lacks %s", metric)
		}
	}
	a.impersonal(t, "metrics", string(answer.Body))
	want(t, http.StatusOK)(c.Do(t.Context(), kithtest.Request{Method: http.MethodGet, Path: "/debug/pprof/goroutine?debug=1", Ops: true}))
	// What is private is not public, nor the other way round.
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		refused(t, http.StatusNotFound, "not_found", "Not found")(c.Get(t.Context(), path))
	}
	if answer, err := c.Do(t.Context(), kithtest.Request{Method: http.MethodGet, Path: "/users/self", Ops: true}); err != nil || answer.Status != http.StatusNotFound {
		t.Errorf("a public route on the private listener: %v %s", err, answer)
	}
}
