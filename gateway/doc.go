// Package gateway is the outside of Kith over HTTP: a chi router with huma on
// it. It decides nothing about accounts: commands go to user grains, reads come
// from cards and the stores.
//
// In the order in which a request meets them:
//
//   - server.go: Config, Server; the frame around every route: request ids,
//     panics, metrics, the log, 404 and 405.
//   - exchange.go: what is known of one request and its answer.
//   - route.go: how a route is described and added; huma and its description of
//     the API.
//   - limit.go: whether a request may go on, and what its client is told of it.
//   - authenticate.go: whose token a request bears.
//   - body.go, page.go, cursor.go, etag.go: bodies, pages of lists, the places in
//     them, conditional requests.
//   - accounts.go, sessions.go, users.go, availability.go, roster.go, search.go,
//     photos.go, profile.go, follows.go, followed.go, relationships.go, events.go,
//     record.go, feed.go, notifications.go, health.go: the routes, a file for each resource.
//   - openapi.go, examples.json: what huma cannot know of the description: what
//     the parts are for, an example of every request and every answer.
//   - docs.go, docs.html: the description, and a page that renders it.
//   - people.go, flights.go: cards, from the cache or the directory.
//   - envelope.go, errors.go: how success and everything else is written; the one
//     table from errors to statuses, codes and messages.
//   - metrics.go, ops.go: what operators see.
//
// To add a resource, write its file with a method that calls handle and
// handleBody for its routes, call that method in New, and add an example of each
// request and each success to examples.json. A test fails for what is missing.
//
// Invariants. Every answer is the envelope or, where a client asks for it, RFC
// 9457. Nothing of an internal error reaches a client but the request id, and no
// name, address or body reaches the log. What a caller may see is decided by
// user.Visible alone. Nothing is shown that is not committed.
//
// A Server may be used concurrently. Only Run starts goroutines, and waits for
// them.
package gateway
