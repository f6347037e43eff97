// Package demo makes a small world of people who follow each other and watch
// films, and fills a server with it.
//
// A world is a function of its seed and size: the same usernames, follows and
// events every time. Only the times of its events depend on when it is filled.
//
//   - world.go: World and what its people are; New makes one.
//   - people.go: names and what else people say about themselves.
//   - follows.go: who follows whom: a few are followed by nearly everybody.
//   - history.go: what people watched, rated and wrote in the last 29 days.
//   - lists.go: the lists of names, films and sentences in data/.
//   - fill.go: Fill, which puts a world into a server through its public routes.
//   - life.go: Live, which makes the people of a filled world go on.
//   - client.go: one request, asked again when the server says so.
//
// New is pure. Fill starts goroutines and waits for them. It may be run again on a
// server that it was stopped on: what is there stays as it is. Live starts none.
package demo
