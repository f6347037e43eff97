// Package persistence holds the contracts between Kith and its stores, and
// nothing else: one file for each contract, its types and its sentinels.
//
//   - journal.go: Journal. The journal, and all that commits with it.
//   - lanes.go: Lanes. Which node owns which lane; marks; parked effects; severings.
//   - directory.go: Directory. Users by id, uid and name; ids; unique claims.
//   - edges.go: Edges. Follow lists, read in pages.
//   - credentials.go: Credentials. Password hashes and sessions.
//   - cards.go: Cards. The cache of cards.
//   - activity.go: Activities. Behaviour events, read in pages.
//   - roster.go: Roster. Users by id, whether or not they are still there.
//   - broker.go: BrokerLedger. How far the embedded broker had come.
//
// The engines live below, one folder each (sqlite, memory); each passes the
// suite of its contract in persistencetest. The engine-independent parts of the
// write path live in lanes.
//
// All times are UTC with microseconds. All methods may be called concurrently.
package persistence
