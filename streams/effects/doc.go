// Package effects is the tail that tells the other user: it derives effects from
// committed records and delivers them to the grains that they concern.
//
//   - effects.go: Tail. What each kind of record means.
//   - target.go: one queue a target; calls, one at a time a target.
//   - reach.go: a call that is made until it is through, or parked.
//   - parked.go: targets that do not answer for long; trying them again, in order.
//   - severing.go: deletions, and repairing the neighbours of who was deleted.
//   - cards.go: writing again what the card cache may lack.
//   - metrics.go: what the tail reports.
//
// Guarantees. At least once; a target ignores positions of a source lane that it
// has passed, so exactly once in effect. Effects of one source lane reach a
// target in lane order. The mark of a lane does not move past an effect that is
// neither committed at its target nor parked. A target that cannot be reached
// delays no other for long: its effects are parked in the database, later ones
// queue behind them, and they are tried again until they are through.
//
// Bounds. Records in flight: Config.MaxInFlight, and a window a lane; full: the
// tail reads no further. Calls in flight: Config.MaxCalls; full: calls wait.
package effects
