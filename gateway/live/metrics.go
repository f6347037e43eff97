package live

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what a hub and its sockets do. A nil Metrics counts nothing.
type Metrics struct {
	sockets     prometheus.Gauge
	frames      prometheus.Counter
	bytes       prometheus.Counter
	records     prometheus.Counter
	lag         prometheus.Histogram
	resumes     *prometheus.CounterVec
	closes      *prometheus.CounterVec
	resumeKinds [resumedKinds]prometheus.Counter
}

// How a session began.
type resumedKind int

const (
	resumedNone     resumedKind = iota // without a cursor
	resumedMemory                      // what was missed came from memory
	resumedDatabase                    // or from the database
	resumedGap                         // it was too much, or too long ago
	resumedRefused                     // the cursor was not ours
	resumedKinds
)

// NewMetrics makes Metrics and registers them; nil: they are not registered.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		sockets: prometheus.NewGauge(prometheus.GaugeOpts{Name: "kith_live_sockets", Help: "WebSockets that are open."}),
		frames:  prometheus.NewCounter(prometheus.CounterOpts{Name: "kith_live_frames_total", Help: "Frames written to sockets."}),
		bytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "kith_live_bytes_total", Help: "Bytes written to sockets."}),
		records: prometheus.NewCounter(prometheus.CounterOpts{Name: "kith_live_records_total", Help: "Records that the hub has taken from the lanes."}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kith_live_lag_seconds", Help: "From recording to the queues of sockets, of the oldest record of each chunk.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}),
		resumes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_live_sessions_total", Help: "Sessions that began, by where what was missed came from: none, memory, database, gap, refused.",
		}, []string{"missed"}),
		closes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_live_closes_total", Help: "Sockets that the server closed, by close code.",
		}, []string{"code"}),
	}
	for kind, name := range []string{"none", "memory", "database", "gap", "refused"} {
		m.resumeKinds[kind] = m.resumes.WithLabelValues(name)
	}
	if r != nil {
		r.MustRegister(m.sockets, m.frames, m.bytes, m.records, m.lag, m.resumes, m.closes)
	}
	return m
}

func (m *Metrics) opened() {
	if m != nil {
		m.sockets.Inc()
	}
}

func (m *Metrics) ended() {
	if m != nil {
		m.sockets.Dec()
	}
}

func (m *Metrics) wrote(frames, bytes int) {
	if m != nil && bytes > 0 {
		m.frames.Add(float64(frames))
		m.bytes.Add(float64(bytes))
	}
}

func (m *Metrics) delivered(lag time.Duration, records int) {
	if m != nil {
		m.lag.Observe(lag.Seconds())
		m.records.Add(float64(records))
	}
}

func (m *Metrics) resumed(kind resumedKind) {
	if m != nil {
		m.resumeKinds[kind].Inc()
	}
}

func (m *Metrics) closed(code CloseCode) {
	if m != nil {
		m.closes.WithLabelValues(strconv.Itoa(int(code))).Inc()
	}
}
