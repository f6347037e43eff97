package postgres

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	pools    pools
	connects prometheus.Counter
	failures *prometheus.CounterVec
	splits   prometheus.Counter
}

func newMetrics(of map[string]*pgxpool.Pool) *metrics {
	return &metrics{
		pools: newPools(of),
		connects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_postgres_commit_connects_total", Help: "Times the connection that commits was made.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_postgres_commit_failures_total", Help: "Batches that failed, by stage: connect, heads, names, fenced, refused (nothing written), unknown.",
		}, []string{"stage"}),
		splits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_postgres_commit_splits_total", Help: "Batches that were written in parts, since a turn broke a constraint.",
		}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.pools, m.connects, m.failures, m.splits} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("postgres: register the metrics: %w", err)
		}
	}
	return nil
}

// pools collects what the pools count themselves.
type pools struct {
	of                                  map[string]*pgxpool.Pool
	conns, limit, acquires, empty, wait *prometheus.Desc
}

func newPools(of map[string]*pgxpool.Pool) pools {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("kith_postgres_pool_"+name, help, append([]string{"pool"}, labels...), nil)
	}
	return pools{
		of:       of,
		conns:    desc("connections", "Connections, by state: busy, idle, connecting.", "state"),
		limit:    desc("connections_limit", "How many connections there may be."),
		acquires: desc("acquires_total", "Times a connection was asked for, by result: given, canceled.", "result"),
		empty:    desc("waits_total", "Times whoever asked for a connection had to wait for one."),
		wait:     desc("wait_seconds_total", "Time spent waiting for connections."),
	}
}

// Describe implements prometheus.Collector.
func (p pools) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.conns, p.limit, p.acquires, p.empty, p.wait} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (p pools) Collect(c chan<- prometheus.Metric) {
	for name, pool := range p.of {
		s := pool.Stat()
		put := func(d *prometheus.Desc, t prometheus.ValueType, value float64, labels ...string) {
			c <- prometheus.MustNewConstMetric(d, t, value, append([]string{name}, labels...)...)
		}
		put(p.conns, prometheus.GaugeValue, float64(s.AcquiredConns()), "busy")
		put(p.conns, prometheus.GaugeValue, float64(s.IdleConns()), "idle")
		put(p.conns, prometheus.GaugeValue, float64(s.ConstructingConns()), "connecting")
		put(p.limit, prometheus.GaugeValue, float64(s.MaxConns()))
		put(p.acquires, prometheus.CounterValue, float64(s.AcquireCount()), "given")
		put(p.acquires, prometheus.CounterValue, float64(s.CanceledAcquireCount()), "canceled")
		put(p.empty, prometheus.CounterValue, float64(s.EmptyAcquireCount()))
		put(p.wait, prometheus.CounterValue, s.EmptyAcquireWaitTime().Seconds())
	}
}
