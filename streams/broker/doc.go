// Package broker is the Kafka that a single node brings along, so that any Kafka
// client can consume what happens without anything being installed. It is kfake
// on a data dir, and a cache in front of the journal: nothing inside depends on
// it, and what it loses is published again.
//
//   - broker.go: Config, Broker, Open, Run, Close; keeping within its size.
//   - start.go: opening the data dir, and starting over when it cannot be trusted.
//   - files.go: what the data dir says before the broker reads it.
//   - topics.go: the topics, and how the size is shared.
//   - ledger.go: end offsets and the refill, kept outside the broker.
//   - listen.go: the port. What no Kafka client sends never reaches the broker.
//
// Guards, each against something that the broker does by itself:
//
//   - It forgets by time, then begins a partition again at offset 0, and consumers
//     skip: the topics forget by size alone, and a size is never below a batch.
//   - Its sweep stops at a restart: Run sweeps.
//   - It reads everything at its start: the size is capped over all topics.
//   - It loses what the disk cache loses, goes on with less, and refuses to start
//     on some damage: end offsets are kept in SQL before a mark moves, the files
//     are checked before it reads them, and when it has less than is kept, or
//     something is broken, it begins with a fresh dir and the publish tail with
//     marks set back as far as the size reaches.
//   - It trusts the network: frames are checked before it sees them, since some
//     that no client sends would end the process.
//
// What outside services produced to the inbound topic and nobody consumed is lost
// when the broker starts over.
package broker
