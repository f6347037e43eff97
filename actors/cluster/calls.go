package cluster

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
)

// maxAttempts bounds how often a request is sent that was certainly not
// processed.
const maxAttempts = 4

// calls sends requests and takes their answers. It is one process for all
// requests of the node: an answer is addressed to it with the request's number.
// The library registers a process for each request instead, whose fields an
// answer and the timeout write without a common lock.
type calls struct {
	placement *placement
	metrics   *metrics
	timeout   time.Duration
	cluster   *cluster.Cluster
	self      *actor.PID
	last      atomic.Uint32
	waiting   [shardCount]waiting
	pool      sync.Pool // of *call
}

type waiting struct {
	mu    sync.Mutex
	calls map[uint32]*call
}

// call waits for one answer. Whoever takes it out of waiting, and nobody else,
// answers it or gives it back.
type call struct {
	answer chan any // holds one
	timer  *time.Timer
}

// Request implements cluster.Context. Of the options it heeds timeout, context,
// and number and action of retries. The timeout bounds the whole call.
func (c *calls) Request(identity, kind string, message any, opts ...cluster.GrainCallOption) (any, error) {
	timeout, attempts := c.timeout, maxAttempts
	sender := actor.SenderContext(c.placement.system.Root)
	var again func(int) int
	if len(opts) > 0 {
		o := cluster.NewGrainCallOptions(c.cluster)
		o.RetryCount = maxAttempts
		for _, opt := range opts {
			opt(o)
		}
		timeout, attempts, again, sender = o.Timeout, o.RetryCount, o.RetryAction, o.Context
	}

	k := c.get()
	defer c.pool.Put(k)
	k.timer.Reset(timeout)
	defer k.timer.Stop()

	for attempt := 1; ; attempt++ {
		pid, err := c.placement.activate(identity, kind)
		if err != nil {
			c.metrics.refused.Inc()
			return nil, err
		}
		answer, ok := c.once(k, sender, pid, message)
		if !ok {
			c.metrics.timeout.Inc()
			return nil, ErrTimeout
		}
		if _, dead := answer.(*actor.DeadLetterResponse); !dead {
			return c.judge(answer)
		}
		c.placement.deregister(identity, kind, pid)
		if attempt >= attempts {
			c.metrics.unreachable.Inc()
			return nil, ErrUnreachable
		}
		c.metrics.retries.Inc()
		if again != nil {
			again(attempt)
		}
	}
}

// judge tells the answers of a grain from those of its mailbox.
func (c *calls) judge(answer any) (any, error) {
	if e, ok := answer.(*cluster.GrainErrorResponse); ok {
		switch e.GetReason() {
		case reasonBusy:
			c.metrics.busy.Inc()
			return nil, ErrBusy
		case reasonFailed:
			c.metrics.failed.Inc()
			return nil, ErrFailed
		}
	}
	c.metrics.ok.Inc()
	return answer, nil
}

// once sends message to pid and waits for the answer; false when k's timer
// ended first.
func (c *calls) once(k *call, sender actor.SenderContext, pid *actor.PID, message any) (any, bool) {
	id := c.add(k)
	sender.RequestWithCustomSender(pid, message, &actor.PID{Address: c.self.GetAddress(), Id: c.self.GetId(), RequestId: id})
	select {
	case answer := <-k.answer:
		return answer, true
	case <-k.timer.C:
		if c.take(id) != nil {
			return nil, false
		}
		return <-k.answer, true // it came at the same moment
	}
}

// RequestFuture implements cluster.Context. It sends once: the future says
// whether the activation had ended. The library's way would change the options
// of the whole process.
func (c *calls) RequestFuture(identity, kind string, message any, opts ...cluster.GrainCallOption) (*actor.Future, error) {
	o := cluster.NewGrainCallOptions(c.cluster)
	for _, opt := range opts {
		opt(o)
	}
	pid, err := c.placement.activate(identity, kind)
	if err != nil {
		c.metrics.refused.Inc()
		return nil, err
	}
	return o.Context.RequestFuture(pid, message, o.Timeout), nil
}

// SendUserMessage implements actor.Process: an answer. One that nobody waits for
// any more is dropped.
func (c *calls) SendUserMessage(pid *actor.PID, message any) {
	if k := c.take(pid.GetRequestId()); k != nil {
		k.answer <- actor.UnwrapEnvelopeMessage(message)
	}
}

// SendSystemMessage implements actor.Process; nobody sends one.
func (c *calls) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process; calls ends with its node.
func (c *calls) Stop(*actor.PID) {}

// add registers k under a number that no waiting call has.
func (c *calls) add(k *call) uint32 {
	for {
		id := c.last.Add(1)
		w := &c.waiting[id%shardCount]
		w.mu.Lock()
		if _, taken := w.calls[id]; !taken && id != 0 {
			if w.calls == nil {
				w.calls = make(map[uint32]*call)
			}
			w.calls[id] = k
			w.mu.Unlock()
			return id
		}
		w.mu.Unlock() // the numbers have come round
	}
}

func (c *calls) take(id uint32) *call {
	w := &c.waiting[id%shardCount]
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.calls[id]
	delete(w.calls, id)
	return k
}

func (c *calls) get() *call {
	if k, ok := c.pool.Get().(*call); ok {
		return k
	}
	k := &call{answer: make(chan any, 1), timer: time.NewTimer(time.Hour)}
	k.timer.Stop()
	return k
}

// register makes c the process that answers are sent to.
func (c *calls) register(system *actor.ActorSystem) error {
	var absent bool
	if c.self, absent = system.ProcessRegistry.Add(c, "kith-calls"); !absent {
		return fmt.Errorf("register the process of answers: %w", actor.ErrNameExists)
	}
	return nil
}
