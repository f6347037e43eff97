// Package redis keeps the cache of cards and the counts of limits in one Redis
// server, where several nodes share them.
//
//   - client.go: Client, the connection: how long a call may take, and what it
//     costs when Redis is away.
//   - breaker.go: who may call while Redis is away.
//   - generation.go: which cards may be read after an outage.
//   - batcher.go: calls that wait at the same time become one round trip.
//   - cards.go, card.go, recent.go: Cards, the stored form, and late fills.
//   - limits.go: Limits.
//
// Nothing found is older than what was last put. Within one server, a script
// compares versions, so a put that is late, or was applied after it timed out,
// never goes back. What breaks the rule is a put that Redis did not take, or data
// that comes back with a restart or a failover. So every key of a card carries a
// generation, which Redis keeps beside the run_id of the server that it began on:
//
//   - A node that failed or skipped a put begins a new generation before it reads
//     again. So does a node that starts, since it cannot know what its
//     predecessor owed. Cards of an older generation are never read again; they
//     expire.
//   - Another run_id is another server: a new generation. Each new connection
//     asks for it, and the script that agrees on a generation asks again.
//   - Every read and every put compares the generation in its own round trip. A
//     node whose generation was left learns of it there.
//
// Until it has a generation, a node finds nothing and refuses to put, with an
// error, so that the committer keeps what is missing. Nodes that do reach Redis
// while the one that writes does not may read the card from before until the
// writer is back: there is no reader that could know.
//
// Within a generation, an entry can be evicted or expire, and then an old card
// is as good as new to the script. Such a card comes from a fill that read SQL
// before a change and puts after it. A fill that is not later than ten seconds is
// refused by the process that put the newer version, if that was one of its last
// 32,768 puts or so; fills of other processes are milliseconds late, and would
// have to meet the eviction of an entry that was written in them.
//
// A card lives 24 hours after its last change. A tombstone takes the name of its
// user with it. Redis should evict (maxmemory-policy allkeys-lru); a Redis
// Cluster is not supported, since a read spans the slots. INFO must be allowed.
//
// A call waits at most Config.Timeout for Redis, and as long for a batch before
// it. Callers that go away do not end calls: a put that is cut off would cost the
// generation. For the same reason puts share batches, and not the pool.
//
// All methods may be called concurrently. The package starts no goroutines
// besides those of the pool of connections, which end with Close.
package redis
