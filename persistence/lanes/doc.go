// Package lanes is the engine-independent part of the write path: it turns many
// small turns into few large commits and hands the committed records on.
//
//   - committer.go: Committer. Group commit, one batch in flight.
//   - settle.go: what follows a commit, beside the next one: rings, cards,
//     answers, wake-ups.
//   - recover.go: what happens when the outcome of a batch is unknown.
//   - ring.go: Ring. The newest records of each lane, so that tails that keep up
//     never ask the database.
//   - watcher.go: Watcher. Tells a tail which lanes have new records.
//   - lease.go: keeping the node's lease, and asking the database how it is.
//   - metrics.go: what the committer reports.
//   - live.go, live_set.go: Live. Who exists, in an order that a seed shuffles.
//   - lanestest: a journal in memory, with faults on demand.
//
// Invariants: a turn is answered once, and with success only after its commit;
// positions reach the rings dense and in order; after an unknown outcome nothing
// is committed until the node's epoch was raised, which settles that outcome; a
// node that has outlived its lease takes no turns.
//
// All methods may be called concurrently, while Run and KeepLease run once each.
package lanes
