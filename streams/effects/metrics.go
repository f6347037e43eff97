package effects

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	effects   prometheus.Counter
	calls     *prometheus.CounterVec
	retries   prometheus.Counter
	parkings  prometheus.Counter
	parked    prometheus.Gauge
	severings prometheus.Gauge
	severed   prometheus.Counter
	cards     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		effects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_effects_effects_total", Help: "Effects that were delivered, or parked instead.",
		}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_effects_calls_total", Help: "Calls to grains by result: ok, gone (no such user), failed.",
		}, []string{"result"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_effects_retries_total", Help: "Calls and writes that failed and are made again.",
		}),
		parkings: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_effects_parkings_total", Help: "Effects that were parked.",
		}),
		parked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kith_effects_parked_effects", Help: "Effects that are parked, as counted now and then.",
		}),
		severings: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kith_effects_open_severings", Help: "Deleted users whose neighbours are being repaired.",
		}),
		severed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_effects_severed_neighbours_total", Help: "Neighbours of deleted users that were repaired.",
		}),
		cards: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_effects_card_writes_total", Help: "Cards written again because the cache may lack them.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.effects, m.calls, m.retries, m.parkings, m.parked, m.severings, m.severed, m.cards)
	}
	return m
}
