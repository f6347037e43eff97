package gateway_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"kith/gateway"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkLookup is the hot path without net/http: a verified token, a cached
// card, the relation from a published view.
func BenchmarkLookup(b *testing.B) {
	w := newWorld(b)
	token := w.join(b, "alice")
	w.join(b, "bob")
	w.views[w.id(b, "alice")] = true
	cfg := w.config()
	cfg.Registerer, cfg.Logger = nil, slog.New(slog.DiscardHandler)
	s, err := gateway.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	h := s.Handler()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/users/bob", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	h.ServeHTTP(&discard{header: http.Header{}}, r)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(&discard{header: http.Header{}}, r)
	}
}
