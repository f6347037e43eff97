// Package asyncapi describes what is said without being asked: the topics and the
// socket, as one AsyncAPI 3.0 document. Its schemas are made from the types of
// packages payload and wire; tests hold them to what the encoders of the topics and of
// the socket write, and to what was promised before.
//
//   - document.go: the parts of a document, and New.
//   - schemas.go: schemas from types, and what types do not say.
//   - topics.go, socket.go: what there is.
package asyncapi
