// Package streams follows the lanes of the journal: everything that is derived
// from committed records, and is not a row of the turn that made them, is made by
// a tail.
//
//   - tail.go: Tail. Reads the lanes, each in order, from memory when close behind
//     and from the database when not, and saves how far it has come.
//   - window.go: which records above the mark have had their effect.
//   - backoff.go: Backoff, the pause before something is tried again.
//   - metrics.go: what a tail reports.
//   - topics.go, encode.go: the public topics, and what records are there.
//   - effects: the tail that tells the other user.
//   - publish: the tail that tells the world, through Kafka.
//   - broker: the Kafka that a single node brings along.
//   - content: what content services report, read from Kafka.
//
// Guarantees. A handler gets every record of a lane, in order and without a gap;
// after a crash it gets again what is above the saved mark, so at least once. A
// mark is saved after every record up to it has been acknowledged.
package streams
