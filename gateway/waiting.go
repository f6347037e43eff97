package gateway

import (
	"crypto/rand"
	"net/http"
	"sync/atomic"
)

// Waiting answers in place of a server that cannot be made yet, since something
// that it cannot do without is away: the process is alive, and not ready. It may
// be used concurrently.
type Waiting struct{ reason atomic.Pointer[string] }

// Because says what is waited for, from now on.
func (w *Waiting) Because(reason string) { w.reason.Store(&reason) }

// ServeHTTP implements http.Handler.
func (w *Waiting) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	x := &exchange{Context: r.Context(), r: r, id: rand.Text()}
	if given := r.Header[headerRequestID]; len(given) == 1 && plainID(given[0]) {
		x.id = given[0]
	}
	x.w.ResponseWriter = rw
	rw.Header()[headerRequestID] = []string{x.id}
	if r.URL.Path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		rw.Header().Set("Content-Type", contentJSON)
		_, _ = rw.Write([]byte(openSuccess + "}\n")) // a client that is gone needs no answer
		return
	}
	refused := *errNotReady
	refused.reasons = []string{"the server is starting"}
	if reason := w.reason.Load(); reason != nil {
		refused.reasons = []string{*reason}
	}
	x.write(newFailure(x, &refused))
}
