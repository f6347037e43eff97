//go:build race

package kafka_test

// raced says that the tests and the servers run with the race detector.
const raced = true
