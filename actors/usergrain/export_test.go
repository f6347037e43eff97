package usergrain

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"

	"kith/actors/user"
)

// LoaderWorkers is how many loads run at once.
const LoaderWorkers = loaderWorkers

// MaxWaiting is the bound of the commands that wait in a grain.
const MaxWaiting = maxWaiting

// Waiting returns how many requests wait in all grains.
func Waiting(h *Host) int { return int(h.waiting.Load()) }

// ExecuteAt sends a command to one activation; nil, nil when it did not process
// it.
func ExecuteAt(c *Client, pid *actor.PID, command user.Command) (any, error) {
	m, err := commandToProto(command)
	if err != nil {
		return nil, err
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	answer, err := c.cfg.Host.root.RequestFuture(pid, &pcluster.GrainRequest{MethodIndex: 0, MessageData: b}, time.Minute).Result()
	if _, dead := answer.(*actor.DeadLetterResponse); dead || err == actor.ErrDeadLetter { //nolint:errorlint // the library returns it as it is
		return nil, nil
	}
	return answer, err
}
