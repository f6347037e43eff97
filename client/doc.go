// Package client follows the live stream of a Kith server, through every
// interruption.
//
// A Stream keeps one WebSocket. When it breaks, the stream connects again, later
// each time, and continues at the last cursor that it was given: what was missed
// comes first. So its user sees every frame that the server ever sends for an id
// at least once, in the order of the server per user, and once only as long as an
// id is among the last 16,384: that is more than a server replays. Where the server
// gave up (a frame of type gap), it says so by that frame.
//
//   - stream.go: Stream, its Config, and Run, the loop of connections.
//   - conn.go: one connection: dialling, the first frame, reading, being alive.
//   - frame.go: what frames hold.
//   - refusal.go: which failures pass, and which do not.
//   - recent.go: the ids that came lately.
//
// Run starts goroutines and waits for them. Everything is called by the goroutine
// that called Run: a Stream is for one.
package client
