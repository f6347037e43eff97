// Package lanes is the engine-independent part of the write path: it turns many
// small turns into few large commits and hands the committed records on.
//
//   - committer.go: Committer. Group commit, one batch in flight; what follows a
//     commit (rings, cards, answers, wake-ups) happens beside the next one.
//   - recover.go: what happens when the outcome of a batch is unknown.
//   - ring.go: Ring. The newest records of each lane, so that tails that keep up
//     never ask the database.
//   - lease.go: keeping the node's lease, and asking the database how it is.
//   - metrics.go: what the committer reports.
//
// Invariants: a turn is answered only after its commit; positions reach the
// rings dense and in order; after an unknown outcome nothing is committed until
// the node's epoch was raised, which settles that outcome.
package lanes
