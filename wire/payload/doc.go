// Package payload holds the shapes of what is said without being asked: the headers
// and values of the records of the topics, and the frames of the socket. The
// description of both is made from these types, tags included (of which doc, pattern,
// enum, minimum and their like are for the description alone).
//
// Objects that REST hands out, too, are in package wire; a user is everywhere the
// encoding of a card, so fields of users are raw here and User says what is in them.
//
//   - records.go: the topics.
//   - frames.go: the socket, both ways.
package payload
