package cluster

import (
	"crypto/tls"

	"github.com/asynkron/protoactor-go/actor"
)

// MaxQueued is the bound of a mailbox.
const MaxQueued = maxQueued

// TLS returns the credentials of a node with a port.
func TLS(n *Node) *tls.Config { return n.tls }

// Queued returns how many messages wait for an activation.
func Queued(n *Node, pid *actor.PID) int {
	if p, ok := n.placement.processes.get(pid); ok {
		return p
	}
	return 0
}
