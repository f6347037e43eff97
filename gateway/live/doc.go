// Package live pushes what happens to the WebSockets of those who may see it.
//
// # Guarantees
//
// What a socket is sent is judged by user.Visible when it is delivered, with the
// newest card of the author and the newest relation that the hub knows. The frames
// of one user come in the order of their journal. A cursor covers only what was put
// into the socket's queue before it; whoever resumes from it gets everything above
// that they may still see, some of it perhaps again under the same id, or is told of
// a gap. A record that cannot be decoded is left out and logged; everything else
// that fails is tried again, and nothing of any lane is delivered meanwhile: the lane
// that cannot be read may hold an unfollow.
//
// A session that begins enters the index first, reads whom it follows, and then
// takes what was missed up to where the hub is: what happens from there on is
// delivered. Frames wait until then.
//
// Every session has a queue of bounded bytes. Full: it is closed as too slow, and
// nobody else waits. Counters do not queue: the newest of each user replaces the
// one that waits. A cursor does not cover counters; ready shows them anew.
//
// # Cost
//
// A frame is encoded once, however many sockets it goes to. What waits for a socket
// is written by one system call. An idle socket is one goroutine that reads, with
// small buffers, and its place in the index. One timer serves all sockets. What was
// missed lately comes from memory.
//
// # Concurrency
//
// Sockets.Run runs all: the hub delivers in one goroutine and writes in one for each
// shard, and a keeper watches over the sockets. The index and the recent records
// belong to the hub's lock, the queues to the locks of their shards; the hub's is
// taken first, and the keeper's before a shard's. Nothing that can wait happens under
// any of them. All exported methods may be called concurrently, while Run runs once.
//
// # Files
//
//   - frames.go: the server frames, encoded once; close codes
//   - client.go: the client frames, read strictly
//   - cursor.go: signed positions of all lanes
//   - hub.go: Hub, and how it follows the lanes
//   - deliver.go: from a record to the frames of those who may see it
//   - index.go: who is told of whom
//   - recent.go, recent_list.go: the newest records, for those who come back
//   - departed.go: those who went a moment ago
//   - attach.go: Session: how it begins, watches and ends
//   - resume.go: what a session missed
//   - shard.go: the queues, and writing them out
//   - sockets.go: Sockets: from the upgrade to the end, and what clients say
//   - socket.go: a connection: writing without waiting, closing
//   - keeper.go: heartbeats, tokens that expire, logins that end
//   - pace.go: clients that send more than any needs
//   - metrics.go: what is counted
package live
