package cluster

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
)

// identityLookup is the placement as the library's interface.
type identityLookup struct{ placement *placement }

// Get implements cluster.IdentityLookup; nil when the identity cannot be
// activated here.
func (l identityLookup) Get(ci *cluster.ClusterIdentity) *actor.PID {
	pid, err := l.placement.activate(ci.GetIdentity(), ci.GetKind())
	if err != nil {
		return nil
	}
	return pid
}

// RemovePid implements cluster.IdentityLookup.
func (l identityLookup) RemovePid(ci *cluster.ClusterIdentity, pid *actor.PID) {
	l.placement.deregister(ci.GetIdentity(), ci.GetKind(), pid)
}

// Setup implements cluster.IdentityLookup; the placement is ready when made.
func (identityLookup) Setup(*cluster.Cluster, []string, bool) {}

// Shutdown implements cluster.IdentityLookup; Node.Stop has drained before.
func (identityLookup) Shutdown() {}

// soleMember is a membership of one: this node.
type soleMember struct{ kinds []string }

// StartMember implements cluster.ClusterProvider. It publishes the topology.
func (m soleMember) StartMember(c *cluster.Cluster) error {
	host, port, err := c.ActorSystem.GetHostPort()
	if err != nil {
		return fmt.Errorf("address of this member: %w", err)
	}
	c.MemberList.UpdateClusterTopology(cluster.Members{{
		Id:    c.ActorSystem.ID,
		Host:  host,
		Port:  int32(port), //nolint:gosec // a port, or -1
		Kinds: m.kinds,
	}})
	return nil
}

// StartClient implements cluster.ClusterProvider. There is nobody to be a client
// of.
func (soleMember) StartClient(*cluster.Cluster) error {
	return fmt.Errorf("a cluster of one has no clients")
}

// Shutdown implements cluster.ClusterProvider.
func (soleMember) Shutdown(bool) error { return nil }
