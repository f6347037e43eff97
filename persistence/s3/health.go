package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
)

// Run looks at the bucket until ctx ends: at once, every so often, and after a call
// that failed.
func (s *Store) Run(ctx context.Context) error { return s.watch.Run(ctx) } //nolint:wrapcheck // there is none

// probe asks for an object that is not there: a bucket that says so is there, too,
// and lets us read.
func (s *Store) probe(ctx context.Context) error {
	err := s.ask(ctx, callProbe, http.MethodGet, s.probed, func(*http.Response) error { return nil })
	if errors.Is(err, persistence.ErrNotFound) {
		return nil
	}
	return err
}

func (s *Store) told(err error) {
	if err != nil {
		s.logger.Warn("the object store cannot be used; no photos are uploaded or changed until it can", "error", err)
		return
	}
	s.logger.Info("the object store is back")
}

// Degraded reports whether the bucket cannot be used, as the last probe found it.
func (s *Store) Degraded() bool { return s.watch.Away() }

type metrics struct {
	failures *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics() *metrics {
	return &metrics{
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_s3_failures_total", Help: "Calls to the object store that failed, were refused or took too long, by call.",
		}, []string{"call"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kith_s3_seconds", Help: "How long calls to the object store took, by call.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"call"}),
	}
}

func (m *metrics) register(r prometheus.Registerer, s *Store) error {
	if r == nil {
		return nil
	}
	away := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kith_s3_away", Help: "1 while the bucket of photos cannot be used, 0 else.",
	}, func() float64 {
		if s.Degraded() {
			return 1
		}
		return 0
	})
	for _, c := range []prometheus.Collector{m.failures, m.seconds, away} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("s3: register the metrics: %w", err)
		}
	}
	return nil
}
