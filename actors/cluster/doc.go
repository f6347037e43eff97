// Package cluster places grains on this node and carries requests to them, on
// top of proto.actor, whose actor core it uses and whose cluster layer it
// replaces where that one does not hold.
//
//   - node.go: Config, Start, Node, Stop. One node of a cluster.
//   - placement.go: which identity is active here, as which actor. Spawns once,
//     never what this node does not own.
//   - evict.go: stopping many activations and waiting for them.
//   - mailbox.go: the mailbox of a grain. Nothing sent to it vanishes.
//   - calls.go: requests and their answers.
//   - member.go: the library's interfaces for placement and membership.
//   - transport.go: the port for other nodes and who may use it.
//   - logger.go, metrics.go, errors.go.
//
// Guarantees.
//
//   - On one node an identity has at most one registered activation, also under
//     concurrent requests. An older one, deregistered, may still be finishing.
//   - A request is sent again only when it certainly was not processed: its
//     activation had ended before its turn came. Any other failure is returned
//     as it is; after ErrTimeout and ErrFailed the outcome is unknown.
//   - Identities that Config.Owns refuses are never activated.
//   - An activation that panics is stopped; the next request activates anew.
//
// Everything exported is safe for concurrent use.
//
// Identities that are canonical decimal numbers, as user ids are, are kept as
// numbers, and the name of an actor says kind and identity, so nothing else has
// to remember them.
package cluster
