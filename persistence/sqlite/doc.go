// Package sqlite keeps everything in one file, for a single node: it implements
// every contract of persistence except Cards.
//
//   - sqlite.go: Config, DB, Open, Close.
//   - migrate.go: the tables (migrations/), their versions, the lock of the file.
//   - conn.go, codes.go: a connection with its statements; what SQLite's errors mean.
//   - writer.go: the one writer, its group commit and its metrics.
//   - readers.go: the pool of connections that only read.
//   - commit.go, guard.go, account.go: Journal.Commit. What a turn writes; what
//     refuses it; the row of a user.
//   - history.go: the rest of Journal. Loading, reading, snapshots, erasing.
//   - directory.go, edges.go, activity.go, credentials.go, sessions.go, lanes.go, severings.go, audit.go,
//     roster.go, broker.go, live.go, feed.go, feed_notifications.go: the other contracts.
//   - bulk.go: Load, which writes a whole database at once.
//   - search.go, search_words.go, search_migration.go: Search; its rows, which are
//     rows of the turn; its table, filled for the users who are there.
//   - edges_migration.go: the seqs of the edges that had none.
//
// Invariants:
//
//   - Every write goes through one goroutine, which takes all that waits and
//     commits it in one transaction, with one fsync (WAL, synchronous=FULL). So a
//     raised epoch is in order with the batches before and after it.
//   - An operation or a turn that fails undoes nothing of the others.
//   - Positions are given by the writer, which alone knows the head of each lane;
//     after any doubt it reads them again.
//   - An error matches persistence.ErrNotCommitted exactly when the transaction
//     certainly left nothing behind.
//   - The file is locked for other processes while it is open.
//
// Readers do not wait for the writer, nor it for them. A read that lasts (an
// audit) keeps the log from being emptied, and it grows meanwhile.
package sqlite
