// Package outage makes the stores of a real server fail, with a proxy in between or
// with a signal, while clients write and read; and writes down what they saw.
//
//   - outage_test.go: the faults, each with what it is allowed to look like.
//   - rig_test.go: a server, its stores, and what stands in between.
//   - load_test.go: the clients, and what they were told.
//   - table_test.go: docs/FAULTS.md, which these tests write.
package outage
