// Package lanestest keeps the journal, the lanes, the directory and the card
// cache in memory, for tests of what works on them. It keeps the contracts
// exactly: fence, version guards, dense positions, marks that never go back,
// edges that say when they do not fit. A test puts itself around every call
// (Store.Around) to refuse it, to lose its answer, or to hold it.
//
//   - store.go: Store and its journal.
//   - lanes.go: what persistence.Lanes says.
//   - cards.go: the directory's rows, and a cache of cards.
package lanestest
