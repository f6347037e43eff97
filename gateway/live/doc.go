// Package live is the core of the push over WebSockets: frames, cursors, and the
// hub that hands the records of all lanes to the sessions that may see them. It
// knows no network: a session writes to a Transport.
//
// # Guarantees
//
// What a session is sent is judged by user.Visible when it is delivered, with the
// newest card of the author and the newest relation that the hub knows. The frames
// of one user come in the order of their journal. A cursor covers only what was put
// into the session's queue before it; whoever resumes from it gets everything
// above that they may still see, some of it perhaps again under the same id, or is
// told of a gap. A record that cannot be decoded is left out and logged; everything
// else that fails is tried again, and nothing behind it overtakes it in its lane.
//
// A session that begins enters the index first, reads whom it follows and how they
// stand to it, and then reads what was missed since it entered: what happens
// meanwhile comes once. Frames wait until then.
//
// Every session has a queue of bounded bytes. Full: it is closed as too slow, and
// nobody else waits. Counters do not queue: the newest of each user replaces the
// one that waits. A cursor does not cover counters; ready shows them anew.
//
// # Concurrency
//
// Hub.Run delivers in one goroutine and writes in one for each shard. The index
// belongs to the hub's lock, the queues to the locks of their shards; the hub's is
// taken first. Nothing that can wait happens under either. All exported methods may
// be called concurrently, while Run runs once.
//
// # What is not here
//
// Sockets: accepting, authorising and renewing, pings, closing when a token expires
// or its session ends, reading client frames off a connection. A Transport that
// writes to one without waiting. Rings of frames by author: what was missed is
// read from the database alone. Metrics. Reading relations again when a lane lags.
//
// # Files
//
//   - frames.go: the server frames, encoded once; close codes
//   - client.go: the client frames, read strictly
//   - cursor.go: signed positions of all lanes
//   - hub.go: Hub, and how it follows the lanes
//   - deliver.go: from a record to the frames of those who may see it
//   - interest.go: the index from authors to sessions
//   - attach.go: Session: how it begins, resumes, watches and ends
//   - shard.go: the queues, and writing them out
package live
