// Package usergrain is the shell around the functional core of an account
// (actors/user): one virtual actor per user, that loads, decides, appends and
// then answers; and the typed client through which everybody else speaks to it.
//
// In the order in which a command meets them:
//
//   - client.go: Client. Claims names, calls the grain, tries again where that
//     is certainly safe.
//   - message.go: the command and its result as protobuf.
//   - grain.go: Grain. One activation: its phases and its mailbox.
//   - loader.go: activation: newest snapshot and the records after it, for many
//     grains in a few queries.
//   - turn.go: what one turn decides, as rows.
//   - codec.go, snapshot.go: stored records and states as protobuf.
//   - view.go: the committed relation view, read without a message.
//   - host.go: what the activations of one node share.
//   - sweeper.go: passivation, by idleness and by a cap; snapshots.
//   - verify.go: replays every journal and compares it with what is stored.
//
// Guarantees. A command is answered with success only after it committed. Memory
// of a grain is ahead of its journal only while an append is in flight, and
// nobody else sees that. When an append fails, or nobody knows whether it
// committed, the activation ends without answering success, and the next one
// replays the truth. A grain waits for nothing but its journal and calls no
// other grain.
package usergrain
