package gateway

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	panics   prometheus.Counter
	cache    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_http_requests_total", Help: "Requests answered, by route pattern, method and status.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kith_http_request_duration_seconds", Help: "Time from the request's header to the end of its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kith_http_requests_in_flight", Help: "Requests that are being answered.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_http_panics_total", Help: "Requests whose handler panicked.",
		}),
		cache: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_http_card_lookups_total", Help: "Cards looked up in the cache, by result: hit, miss, failed.",
		}, []string{"result"}),
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.duration, m.inFlight, m.panics, m.cache)
	}
	return m
}

// maxStatus bounds the statuses that have a counter at hand.
const maxStatus = 600

// routeMetrics are the metrics of one route, resolved once: finding a counter by
// its labels costs more than counting.
type routeMetrics struct {
	pattern, method string

	requests *prometheus.CounterVec
	duration prometheus.Observer
	byStatus [maxStatus]atomic.Pointer[prometheus.Counter]
}

// route returns the metrics of a route. pattern and method must come from a
// bounded set.
func (m *metrics) route(pattern, method string) *routeMetrics {
	return &routeMetrics{
		pattern: pattern, method: method,
		requests: m.requests, duration: m.duration.WithLabelValues(pattern, method),
	}
}

func (r *routeMetrics) observe(status int, took time.Duration) {
	r.duration.Observe(took.Seconds())
	if status < 0 || status >= maxStatus {
		status = http.StatusInternalServerError
	}
	counter := r.byStatus[status].Load()
	if counter == nil {
		c := r.requests.WithLabelValues(r.pattern, r.method, strconv.Itoa(status))
		counter = &c
		r.byStatus[status].Store(counter)
	}
	(*counter).Inc()
}
