// Package persistence holds the contracts between Kith and its stores, and
// nothing else: one file for each contract, its types and its sentinels.
//
//   - journal.go: Journal. The journal, and all that commits with it.
//   - lanes.go: Lanes. Which node owns which lane; marks; parked effects; severings.
//   - directory.go: Directory. Users by id, uid and name; ids; unique claims.
//   - edges.go: Edges. Follow lists, read in pages.
//   - credentials.go: Credentials. Password hashes and sessions.
//   - limits.go: Limits. How often something may happen.
//   - cards.go: Cards. The cache of cards.
//   - activity.go: Activities. Behaviour events, read in pages.
//   - feed.go: Feeds, Notifications. What those do whom a user follows; what a
//     user has missed, and has seen.
//   - roster.go: Roster. Users by id, whether or not they are still there.
//   - broker.go: BrokerLedger. How far the embedded broker had come.
//   - search.go: Search. Users by the beginnings of their names.
//   - live.go: LiveUsers. Who exists, and the lane heads that belong to it.
//   - blobs.go: Blobs, HostedBlobs. Uploaded photos.
//
// The engines live below, one folder each (sqlite, memory, disk); each passes the
// suite of its contract in persistencetest. The engine-independent parts of the
// write path live in lanes, those of the feed in feeds.
//
// All times are UTC with microseconds. All methods may be called concurrently.
package persistence
