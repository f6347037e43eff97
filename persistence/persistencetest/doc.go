// Package persistencetest holds one suite for each contract of persistence. An
// engine that passes them all can carry Kith.
//
//   - store.go: Run, and what the suites work with.
//   - commit.go, guards.go, fence.go: Journal.Commit. What a turn writes, what
//     refuses it, and the fence.
//   - history.go: Journal, the rest. Loading, reading, snapshots, erasing.
//   - directory.go, edges.go, credentials.go, sessions.go, limits.go, lanes.go, audit.go, roster.go, broker.go,
//     search.go, live.go, feed.go, feed_property.go, notifications.go: their
//     contracts.
//   - feed_world.go: a world for measuring feeds.
//   - cards.go: RunCards, for caches of cards.
//   - blobs.go: RunBlobs, for stores of uploaded files.
//
// The suites see an engine only through its contracts, except that Store.Break
// plants damage that no caller can.
package persistencetest
