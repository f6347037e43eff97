//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"testing"

	"kith/persistence"
)

// Broker checks what is kept of the embedded broker.
func Broker(t *testing.T, open func(*testing.T) Store) {
	end := func(topic string, partition int32, offset int64) persistence.EndOffset {
		return persistence.EndOffset{Topic: topic, Partition: partition, Offset: offset}
	}
	state := func(t *testing.T, w *world) persistence.BrokerState {
		t.Helper()
		return must(w.BrokerState(t.Context()))(t)
	}
	rules(t, open, map[string]func(*testing.T, *world){
		"nothing is known at first": func(t *testing.T, w *world) {
			equal(t, "state", state(t, w), persistence.BrokerState{})
		},
		"end offsets only rise": func(t *testing.T, w *world) {
			noError(t, w.SaveEnds(t.Context(), w.node, []persistence.EndOffset{end("b", 1, 7), end("a", 0, 3)}))
			noError(t, w.SaveEnds(t.Context(), w.node, []persistence.EndOffset{end("b", 1, 6), end("a", 0, 4), end("b", 0, 1)}))
			equal(t, "ends", state(t, w).Ends, []persistence.EndOffset{end("a", 0, 4), end("b", 0, 1), end("b", 1, 7)})
		},
		"a restart forgets the ends, sets marks back and begins a refill": func(t *testing.T, w *world) {
			noError(t, w.SaveEnds(t.Context(), w.node, []persistence.EndOffset{end("a", 0, 4)}))
			_, err := w.Commit(t.Context(), persistence.Batch{Node: w.node, Marks: []persistence.Mark{
				{Tail: persistence.TailBroker, Lane: 1, Pos: 90}, {Tail: persistence.TailBroker, Lane: 2, Pos: 90}, {Tail: persistence.TailEffects, Lane: 1, Pos: 90},
			}})
			noError(t, err)
			marks := [persistence.LaneCount]uint64{1: 40}
			noError(t, w.RestartBroker(t.Context(), w.node, marks))
			equal(t, "marks", must(w.Marks(t.Context(), persistence.TailBroker))(t), marks)
			equal(t, "marks of another tail", must(w.Marks(t.Context(), persistence.TailEffects))(t), [persistence.LaneCount]uint64{1: 90})
			equal(t, "state", state(t, w), persistence.BrokerState{Refilling: true})
		},
		"a refill goes forward until it is done": func(t *testing.T, w *world) {
			noError(t, w.SaveRefill(t.Context(), w.node, 5, false)) // there is none
			equal(t, "state", state(t, w), persistence.BrokerState{})
			noError(t, w.RestartBroker(t.Context(), w.node, [persistence.LaneCount]uint64{}))
			noError(t, w.SaveRefill(t.Context(), w.node, 5, false))
			noError(t, w.SaveRefill(t.Context(), w.node, 4, false))
			equal(t, "state", state(t, w), persistence.BrokerState{Refilling: true, Refilled: 5})
			noError(t, w.RestartBroker(t.Context(), w.node, [persistence.LaneCount]uint64{}))
			equal(t, "after another restart", state(t, w), persistence.BrokerState{Refilling: true})
			noError(t, w.SaveRefill(t.Context(), w.node, 0, true))
			equal(t, "state", state(t, w), persistence.BrokerState{})
		},
		"a fenced node keeps nothing": func(t *testing.T, w *world) {
			next := must(w.Raise(t.Context(), w.node))(t)
			wantError(t, w.SaveEnds(t.Context(), w.node, []persistence.EndOffset{end("a", 0, 4)}), persistence.ErrFenced)
			wantError(t, w.RestartBroker(t.Context(), w.node, [persistence.LaneCount]uint64{}), persistence.ErrFenced)
			equal(t, "state", state(t, w), persistence.BrokerState{})
			noError(t, w.SaveEnds(t.Context(), next, []persistence.EndOffset{end("a", 0, 4)}))
		},
	})
}
