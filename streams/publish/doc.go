// Package publish is the tail that tells the world: it writes the committed
// records of the published kinds to the public topics.
//
//   - publish.go: Tail. Takes records from the lanes and publishes them in rounds.
//   - round.go: what one round sends, and looking again at what may have been
//     erased meanwhile.
//   - people.go: whom records name.
//   - producer.go: one round through a Kafka client, until all is acknowledged or
//     something failed.
//   - refill.go: the compacted topic, made again from the users.
//   - metrics.go: what the tail reports.
//
// Guarantees. At least once: a mark moves after the acknowledgement of all
// in-sync replicas (and, with Config.Ends, after the end offsets are kept). In
// order per user: rounds follow each other, and within one the client does not
// deliver a record of a partition after another of it failed. A record that was
// sent again bears the same ce_id. Content that was erased before its record was
// published is not published, except in the moment between the last look and
// the send, and when nobody knows for long whether a send was received.
//
// While Kafka is away a round is tried again with growing pauses, from the
// journal each time; nothing else waits.
//
// Bounds. Records handed out by the lanes: Config.MaxInFlight; full: the tail
// reads no further. A round: maxRoundRecords and maxRoundBytes. Known users:
// maxKnown.
package publish
