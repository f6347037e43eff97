package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"kith/gateway/auth"
)

// exchange is one request and its answer. It is the context of its request, so
// that the router's state and ours cost one lookup and one copy of the request
// together.
type exchange struct {
	context.Context //nolint:containedctx // it is a context: the request's, with two values

	id     string // names the request in answers and logs
	start  time.Time
	r      *http.Request
	w      response
	route  *routeMetrics
	router *chi.Context
	token  *auth.Token // set once the caller is authenticated
	told   told
}

type exchangeKey struct{}

// Value implements context.Context.
func (x *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return x
	}
	if key == any(chi.RouteCtxKey) {
		return x.router
	}
	return x.Context.Value(key)
}

// exchangeOf returns the exchange that ctx belongs to. Every request has one.
func exchangeOf(ctx context.Context) *exchange {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		panic(fmt.Sprintf("gateway: %T is not the context of a request", ctx))
	}
	return x
}

// attrs says which request a log line is about, without saying who or whom.
func (x *exchange) attrs(err error) []slog.Attr {
	attrs := []slog.Attr{slog.String("request_id", x.id), slog.String("route", x.route.pattern), slog.String("method", x.route.method)}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	return attrs
}

// response remembers the status.
type response struct {
	http.ResponseWriter

	status int // 0 until the header is written
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	// After 101 there is no other.
	if w.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController: deadlines, flushing, hijacking.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
