// Package content takes in what content services report of their users: changes
// of how many streams and videos somebody has published.
//
//   - content.go: Consumer. Reads the inbound topic, a batch at a time.
//   - change.go: what a record says.
//   - deadletter.go: what becomes of records that cannot be used.
//   - metrics.go: what the consumer reports.
//
// Guarantees. A change counts once for each user and id, for ever: the turn that
// counts it records its id, which is unique. Offsets are committed after the
// turns are, so a change is read at least once, and a crash in between reads it
// again, to which that makes no difference. Changes of one user are counted in
// the order in which they stand in their partition. A record that says nothing,
// or is about nobody, or about a user whose history cannot be read, is counted as
// such, logged and passed by: it would hold up all behind it. Before its offset is
// committed it is written to the topic of dead letters, with the reason, at least
// once; what Kafka does not take there in time is counted and logged, and stands in
// the inbound topic for as long as that remembers.
//
// While Kafka is away nothing is read; a topic that was made anew is read from its
// start, with a client that never knew the other one. While the database is away what was
// read is tried again; nothing else waits.
//
// Bounds. A batch: maxBatch records; full: the client reads no further than it
// buffers. Calls to grains: maxCalls at once.
package content
