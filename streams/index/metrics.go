package index

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	documents prometheus.Counter
	failures  prometheus.Counter
	rebuilt   prometheus.Counter
	seconds   prometheus.Histogram
}

func newMetrics(t *Tail) *metrics {
	m := &metrics{
		documents: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_index_documents_total", Help: "Users told to the search engine as they changed, removals included.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_index_failures_total", Help: "Rounds of users, and builds of an index, that failed and are tried again.",
		}),
		rebuilt: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_index_rebuilt_users_total", Help: "Users indexed because the search engine had no index.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kith_index_round_seconds", Help: "Duration of one round, until all of it is stored.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}),
	}
	if reg := t.cfg.Registerer; reg != nil {
		away := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kith_index_away", Help: "1 while the search engine does not take documents, else 0.",
		}, func() float64 {
			if t.Health() != nil {
				return 1
			}
			return 0
		})
		reg.MustRegister(m.documents, m.failures, m.rebuilt, m.seconds, away)
	}
	return m
}
