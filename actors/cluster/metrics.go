package cluster

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one node. The counters of requests are resolved once: a request
// must not look labels up.
type metrics struct {
	activated prometheus.Counter
	panics    prometheus.Counter
	retries   prometheus.Counter

	ok, timeout, unreachable, busy, failed, refused prometheus.Counter

	registerer prometheus.Registerer
	collectors []prometheus.Collector
}

// newMetrics registers the metrics with reg, if there is one.
func newMetrics(reg prometheus.Registerer, activations func() int) (*metrics, error) {
	m := &metrics{
		registerer: reg,
		activated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_cluster_activated_total", Help: "Activations begun on this node.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_cluster_panics_total", Help: "Activations stopped because they panicked.",
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_cluster_retries_total", Help: "Requests sent again because the activation had ended before its turn came.",
		}),
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kith_cluster_requests_total", Help: "Requests to grains by result; ok is any answer of the grain.",
	}, []string{"result"})
	m.ok = requests.WithLabelValues("ok")
	m.timeout = requests.WithLabelValues("timeout")
	m.unreachable = requests.WithLabelValues("unreachable")
	m.busy = requests.WithLabelValues("busy")
	m.failed = requests.WithLabelValues("failed")
	m.refused = requests.WithLabelValues("refused")
	active := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kith_cluster_activations", Help: "Activations alive on this node.",
	}, func() float64 { return float64(activations()) })

	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.activated, m.panics, m.retries, requests, active} {
		if err := reg.Register(c); err != nil {
			m.unregister()
			return nil, fmt.Errorf("register metrics: %w", err)
		}
		m.collectors = append(m.collectors, c)
	}
	return m, nil
}

// unregister makes room for the metrics of another node.
func (m *metrics) unregister() {
	for _, c := range m.collectors {
		m.registerer.Unregister(c)
	}
	m.collectors = nil
}
