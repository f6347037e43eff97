package usergrain

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	requests    *prometheus.CounterVec
	turnSize    prometheus.Histogram
	loads       prometheus.Counter
	loadSeconds prometheus.Histogram
	ends        *prometheus.CounterVec
	snapshots   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, h *Host) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_grain_requests_total", Help: "Calls to user grains by result: ok, refused, failed.",
		}, []string{"result"}),
		turnSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kith_grain_turn_records", Help: "Records of one turn.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7),
		}),
		loads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_grain_loads_total", Help: "Histories loaded for activations.",
		}),
		loadSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kith_grain_load_seconds", Help: "Time to load and replay one batch of histories.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_grain_ends_total", Help: "Activations that ended, by reason.",
		}, []string{"reason"}),
		snapshots: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_grain_snapshots_total", Help: "Snapshots by result: saved, failed, dropped.",
		}, []string{"result"}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kith_grain_waiting_requests", Help: "Requests that wait in grains for a turn.",
	}, func() float64 { return float64(h.waiting.Load()) })
	loadedGrains := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kith_grain_loaded", Help: "Activations that hold their user's state.",
	}, func() float64 { return float64(h.active.len()) })
	if reg != nil {
		reg.MustRegister(waiting, loadedGrains, m.requests, m.turnSize, m.loads, m.loadSeconds, m.ends, m.snapshots)
	}
	return m
}
