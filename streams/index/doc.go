// Package index is the tail that tells a search engine: it keeps one document for
// each user, from the rows of the users whom committed records name.
//
//   - index.go: Tail. Takes from the lanes what changes a document, in rounds.
//   - round.go: the documents of one round, and trying until they are stored.
//   - rebuild.go: Builder. An index made anew beside the one in use, and switched to.
//   - metrics.go: what the tail reports.
//
// Guarantees. At least once: a mark moves after the engine has stored what the record
// led to. A document is made from the row, not from the record, and bears the row's
// version: what comes late, again or from two sides at once changes nothing. A
// deletion bears the seq of its record, which is above the version of every row.
//
// While an index is being built the engine stores what the tail tells in both. The
// build reads every row after that has begun: so nothing is missing when it is
// switched to, and nobody has to stop.
//
// While the engine is away a round is tried again with growing pauses; nothing else
// waits. Where the engine has no index, which is so at first and when it was lost, the
// tail builds one.
package index
