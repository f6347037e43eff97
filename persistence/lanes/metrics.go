package lanes

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	batches   *prometheus.CounterVec
	turns     *prometheus.CounterVec
	records   prometheus.Counter
	batchSize prometheus.Histogram
	seconds   prometheus.Histogram
	queued    prometheus.GaugeFunc
	cards     *prometheus.CounterVec
	raises    prometheus.Counter
	healthy   prometheus.GaugeFunc
}

func newMetrics(reg prometheus.Registerer, c *Committer) *metrics {
	m := &metrics{
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_lanes_batches_total", Help: "Batches by result: committed, refused (nothing written), unknown.",
		}, []string{"result"}),
		turns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_lanes_turns_total", Help: "Turns by outcome.",
		}, []string{"outcome"}),
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_lanes_records_total", Help: "Records committed.",
		}),
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kith_lanes_batch_turns", Help: "Turns in a batch.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kith_lanes_commit_seconds", Help: "Time of one commit.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		queued: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kith_lanes_queued_turns", Help: "Turns that have a place: they are decided, wait for a commit or are in one.",
		}, func() float64 { return float64(c.queued.Load()) }),
		cards: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_lanes_card_writes_total", Help: "Writes of cards after a commit, by result.",
		}, []string{"result"}),
		raises: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_lanes_epoch_raises_total", Help: "Times the epoch was raised to settle an unknown outcome.",
		}),
		healthy: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kith_lanes_healthy_ratio", Help: "1 while commits go through and the lease holds, else 0.",
		}, func() float64 {
			if c.Health() != nil {
				return 0
			}
			return 1
		}),
	}
	if reg != nil {
		reg.MustRegister(m.batches, m.turns, m.records, m.batchSize, m.seconds, m.queued, m.cards, m.raises, m.healthy)
	}
	return m
}
