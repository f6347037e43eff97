// Package feeds holds what is the same in every engine of persistence.Feeds: how
// the histories of many are read as one.
//
//   - moment.go: Moment, what an engine gives: a few sets of rows.
//   - feed.go: Feed. The newest events of many authors, below a place.
//   - merge.go: the merge under it.
//   - missed.go: Missed. What lies above a cursor, of the reader and of many authors.
//
// Both ask for little more than they show. A feed opens the histories of authors
// in the order of their last activity, and only as long as the next could have
// something newer than what it has; it reads places first, from an index, and
// payloads last. What was missed is found from the newest backwards, history by
// history.
//
// Nothing here keeps anything between two calls.
package feeds
