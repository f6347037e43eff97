// Package demopage is the live page at /demo: what a client of the server can look
// like, and a way to see the stream move.
//
// The page is plain JavaScript modules, embedded in the binary. It speaks to the
// server that serves it through the public API alone, with the token of whoever
// signs in: nothing here knows of users, and what the page may do is what its token
// may do. It loads nothing from elsewhere.
//
//   - page.go: Page, which answers for the page and its files.
//   - web/index.html: the skeleton. web/main.js wires the rest:
//   - web/session.js, api.js, stream.js: the tokens, the REST routes, the WebSocket
//     with its resumption; none of them knows an element.
//   - web/store.js: what the page knows, and how frames change it.
//   - web/door.js, feed.js, activity.js, people.js, shelf.js, notices.js: the
//     sections. web/shell.js: connection state, dialogs, themes, messages.
//   - web/films.js, poster.js, motifs.js: the films that the page knows, and their
//     drawn posters.
//
// A Page is immutable and may be used concurrently. It starts no goroutines.
package demopage
