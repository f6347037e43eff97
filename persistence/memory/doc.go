// Package memory keeps in the process what a single node need not ask a server
// for: the cache of cards, and the counts of limits.
//
//   - cards.go: Cards, an implementation of persistence.Cards.
//   - limits.go: Limits, an implementation of persistence.Limits.
//
// A put is atomic per card: of two, the newer stays, whichever comes last. The
// cache is bounded by bytes; full, it drops what is used least, tombstones too.
// A tombstone that was dropped protects no longer, so what is put must be
// committed: then an old card can only come from a writer that was overtaken, and
// those are microseconds late, not as long as an entry lives.
//
// All methods may be called concurrently. The maintenance of the cache runs on
// goroutines that end by themselves.
package memory
