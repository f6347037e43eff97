// Package limits says how often clients may ask: which route counts against
// which limit, from which address a request comes, and whether it may go on.
//
//   - scope.go: Scope. What is limited, and which scope a route belongs to.
//   - rate.go: rates as they are written in settings, and the default ones.
//   - gate.go: Gate. Takes from a limit and tells what is left.
//   - address.go: Addresses. The address of a client, behind proxies or not.
//
// Invariants. A header is believed only as far as it was written by proxies that
// the operator trusts. When the counts are away, requests go on: a limit protects
// the service, and is no reason to stop it. Addresses and names are keys and
// appear in no log and no metric.
//
// Everything may be used concurrently. Nothing here starts a goroutine.
package limits
