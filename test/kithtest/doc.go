// Package kithtest runs the real binary for tests: it builds it once for a test
// package, starts and ends servers, runs commands, and speaks HTTP to them. It
// knows the server only from outside.
//
//   - binary.go: Main builds the binary, runs the tests and looks for goroutines
//     left behind; Binary.Run runs one command to its end.
//   - server.go: Server, a `kith serve` on a data dir of its own: started, killed,
//     stopped, started again.
//   - output.go: what a process wrote, and waiting for a line of it.
//   - want.go: an answer with a status.
//   - published.go: which records are told where.
//   - kafka.go: where the server's Kafka is, a port that stays free for it, and metrics.
//   - verify.go: what `kith verify` says, and waiting until nothing is on its way.
//   - client.go: Client, one method a route that tests use often, and Answer.
//   - shell.go: Shell, which runs the commands of documents without a shell.
//
// Nothing here sleeps: all waiting is for a signal or a poll with a deadline. When
// the tests run with the race detector, so does the binary; what the detector
// reports, and panics, fail the test that started the server.
package kithtest
