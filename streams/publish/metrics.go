package publish

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	records    prometheus.Counter
	failures   prometheus.Counter
	unreadable prometheus.Counter
	refilled   prometheus.Counter
	seconds    prometheus.Histogram
}

func newMetrics(t *Tail) *metrics {
	m := &metrics{
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_publish_records_total", Help: "Records that the brokers have acknowledged.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_publish_failures_total", Help: "Rounds of records that failed and are tried again.",
		}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_publish_unreadable_records_total", Help: "Journal records that could not be read and are not published.",
		}),
		refilled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_publish_refilled_users_total", Help: "Users published again because the embedded broker started over.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kith_publish_round_seconds", Help: "Duration of one round, until all of it is acknowledged.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}),
	}
	if reg := t.cfg.Registerer; reg != nil {
		away := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kith_publish_away", Help: "1 while the brokers do not take records, else 0.",
		}, func() float64 {
			if t.Health() != nil {
				return 1
			}
			return 0
		})
		reg.MustRegister(m.records, m.failures, m.unreadable, m.refilled, m.seconds, away)
	}
	return m
}
