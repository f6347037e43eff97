// Package postgres keeps everything in PostgreSQL 14 or newer: it implements
// every contract of persistence except Cards.
//
//   - postgres.go, metrics.go: Config, DB, Open, Close; the pools and their metrics.
//   - connect.go, dial_linux.go, dial_other.go: what is set on a connection, how it
//     notices a dead network, and whether pgbouncer stands in between.
//   - errors.go: what an error means: Away, and whether anything was committed.
//   - migrate.go: the tables (migrations/), their versions, Migrate, Status.
//   - tx.go: transactions on the pools, and those behind the fence.
//   - commit.go, committer.go, split.go: Journal.Commit. The batch, the connection
//     that carries it, and what happens when a turn breaks a constraint.
//   - batch.go, columns.go, arrays.go, statement.go: a batch as arrays, and the
//     statement that writes it.
//   - guard.go, prefixes.go, account.go: why a turn was refused; the claims that a
//     row bears; the rows by which a name is found; the row of a user.
//   - history.go: the rest of Journal. Loading, reading, snapshots, erasing.
//   - lanes.go, severings.go: Lanes.
//   - directory.go, edges.go, activity.go, credentials.go, sessions.go, roster.go,
//     search.go, live.go, broker.go, audit.go, feed.go, feed_notifications.go: the
//     other contracts.
//   - bulk.go, copy.go: Load, which writes a whole database at once.
//
// Invariants:
//
//   - A batch is one transaction in one round trip, and everything in it depends
//     on the fence: the row of the node, locked at its epoch. Raising the epoch
//     waits for that lock, so that a raise is before all of a batch or after it.
//   - A position is given once: by this process, which remembers the heads of the
//     lanes, and by the primary key of the journal, on which a batch fails whose
//     heads are not the newest. They are read again after every doubt.
//   - A turn whose guard does not hold writes nothing and leaves the others alone.
//   - An error of Commit matches persistence.ErrNotCommitted exactly when the
//     transaction certainly left nothing behind.
//   - No text of an error or a log holds the password of the URL.
//
// Commits have a connection of their own and leases have one of theirs: neither
// waits for reads, however slow. Connections that are lost are made anew by the
// next who needs one. All methods may be called concurrently.
//
// Behind pgbouncer in transaction mode a session keeps nothing: there are no
// named statements, and what is set is set within the transaction of a commit.
// Reads then run with the settings of the role.
package postgres
