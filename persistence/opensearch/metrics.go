package opensearch

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	failures  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	fallbacks prometheus.Counter
}

func newMetrics() *metrics {
	return &metrics{
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_search_failures_total", Help: "Calls to the search engine that failed, were refused or took too long, by call.",
		}, []string{"call"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kith_search_seconds", Help: "How long calls to the search engine took, by call.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"call"}),
		fallbacks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_search_fallbacks_total", Help: "Searches that the database answered, since the search engine could not.",
		}),
	}
}

func (m *metrics) register(r prometheus.Registerer, e *Engine) error {
	if r == nil {
		return nil
	}
	away := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kith_search_away", Help: "1 while the search engine does not answer, 0 else.",
	}, func() float64 {
		if e.Away() {
			return 1
		}
		return 0
	})
	for _, c := range []prometheus.Collector{m.failures, m.seconds, m.fallbacks, away} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("opensearch: register the metrics: %w", err)
		}
	}
	return nil
}
