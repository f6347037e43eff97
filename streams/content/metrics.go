package content

import "github.com/prometheus/client_golang/prometheus"

// What becomes of a record.
const (
	resultCounted  = "counted"
	resultRepeated = "repeated"
	resultUnknown  = "unknown"
	resultBad      = "bad"
	resultFailed   = "failed"
)

// What becomes of a dead letter.
const (
	letterWritten = "written"
	letterLost    = "lost"
)

type metrics struct {
	records  *prometheus.CounterVec
	failures prometheus.Counter
	letters  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_content_records_total", Help: "Reported changes by result: counted, repeated (its id was counted before), unknown (no such user), bad (it says nothing), failed (its user cannot be loaded).",
		}, []string{"result"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_content_failures_total", Help: "Reads, calls and commits that failed and are made again.",
		}),
		letters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_content_dead_letters_total", Help: "Reported changes that cannot be used, by what became of their dead letter: written, lost (Kafka did not take it).",
		}, []string{"result"}),
	}
	if reg != nil {
		reg.MustRegister(m.records, m.failures, m.letters)
	}
	return m
}
