package streams

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	records prometheus.Counter
	retries prometheus.Counter
}

func newMetrics(t *Tail) *metrics {
	labels := prometheus.Labels{"tail": string(t.cfg.Name)}
	m := &metrics{
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_tail_records_total", Help: "Records that have had their effect.", ConstLabels: labels,
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_tail_read_retries_total", Help: "Reads of a lane that failed, or had a gap, and were made again.", ConstLabels: labels,
		}),
	}
	if reg := t.cfg.Registerer; reg != nil {
		lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kith_tail_lag_records", Help: "Committed records that have not had their effect, over all lanes.", ConstLabels: labels,
		}, func() float64 { return float64(t.Lag()) })
		flying := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kith_tail_in_flight_records", Help: "Records handed out and not acknowledged.", ConstLabels: labels,
		}, func() float64 { return float64(t.inFlight.Load()) })
		reg.MustRegister(m.records, m.retries, lag, flying)
	}
	return m
}
