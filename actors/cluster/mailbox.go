package cluster

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
)

// maxQueued bounds the requests that wait in one mailbox. Full: the request is
// answered ErrBusy. Messages without a sender come from the grain's own machinery,
// which bounds itself; they are always taken.
const maxQueued = 16 << 10

// mailbox is the mailbox of a grain: in order, system messages first, one
// message at a time. It differs from the library's in two ways. It is a third of
// the size when idle. And when the grain has stopped, the requests that still
// wait, or that come later from somebody who has the old address, become dead
// letters, which tells the sender at once that they were not processed; the
// library drops them, and the sender waits until its timeout.
type mailbox struct {
	placement  *placement
	grain      grainContext
	dispatcher actor.Dispatcher

	mu        sync.Mutex
	system    []any
	user      []any // waiting from head on
	head      int
	running   bool // a goroutine is in process
	suspended bool // the grain panicked and has not been told to stop yet
	stopped   bool // the grain ended
	stopping  bool // a stop was handed to the grain; only process uses it
}

// grainContext is what the library gives a mailbox to deliver to: the context of
// the actor.
type grainContext interface {
	actor.Context
	actor.MessageInvoker
}

// RegisterHandlers implements actor.Mailbox.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.grain = invoker.(grainContext) //nolint:errcheck,forcetypeassert // the library passes nothing else; anything else must fail at once
	m.dispatcher = dispatcher
}

// Start implements actor.Mailbox.
func (m *mailbox) Start() {}

// UserMessageCount implements actor.Mailbox.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.user) - m.head
}

// PostUserMessage implements actor.Mailbox.
func (m *mailbox) PostUserMessage(message any) {
	m.mu.Lock()
	if len(m.user)-m.head >= maxQueued {
		if sender := actor.UnwrapEnvelopeSender(message); sender != nil {
			m.mu.Unlock()
			m.placement.system.Root.Send(sender, cluster.NewGrainErrorResponse(reasonBusy, ErrBusy.Error()))
			return
		}
	}
	if len(m.user) == cap(m.user) && m.head > len(m.user)/2 {
		// A grain that never catches up would otherwise keep the place of all that
		// it was ever sent.
		n := copy(m.user, m.user[m.head:])
		clear(m.user[n:])
		m.user, m.head = m.user[:n], 0
	}
	m.user = append(m.user, message)
	m.schedule()
}

// PostSystemMessage implements actor.Mailbox.
func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.system = append(m.system, message)
	m.schedule()
}

// schedule starts processing if there is something to do and nobody does it. It
// is called with the lock held and releases it.
func (m *mailbox) schedule() {
	begin := !m.running && (len(m.system) > 0 || m.deliverable())
	if begin {
		m.running = true
	}
	m.mu.Unlock()
	if begin {
		m.dispatcher.Schedule(m.process)
	}
}

func (m *mailbox) deliverable() bool {
	return m.head < len(m.user) && (!m.suspended || m.stopped)
}

// next takes the next message. When there is none, processing is over: that is
// decided under the lock under which messages are added, so none is forgotten.
func (m *mailbox) next() (message any, system, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case len(m.system) > 0:
		message = m.system[0]
		m.system[0] = nil
		if m.system = m.system[1:]; len(m.system) == 0 {
			m.system = nil
		}
		return message, true, true
	case m.deliverable():
		message = m.user[m.head]
		m.user[m.head] = nil
		if m.head++; m.head == len(m.user) {
			m.user, m.head = m.user[:0], 0
			if cap(m.user) > 1 {
				m.user = nil // most grains are idle most of the time
			}
		}
		return message, false, true
	default:
		m.running = false
		return nil, false, false
	}
}

// process delivers until nothing is left.
func (m *mailbox) process() {
	for m.run() {
	}
}

// run delivers until nothing is left, or until the grain panics; then it reports
// that there may be more.
func (m *mailbox) run() (more bool) {
	var current any
	defer func() {
		if reason := recover(); reason != nil {
			m.failed(current, reason)
			more = true
		}
	}()
	throughput := m.dispatcher.Throughput()
	for i := 1; ; i++ {
		message, system, ok := m.next()
		if !ok {
			return false
		}
		current = message
		switch {
		case system:
			m.deliverSystem(message)
		case m.stopped:
			m.placement.system.DeadLetter.SendUserMessage(m.grain.Self(), message)
		default:
			m.grain.InvokeUserMessage(message)
		}
		if i%throughput == 0 {
			runtime.Gosched()
		}
	}
}

func (m *mailbox) deliverSystem(message any) {
	switch message.(type) {
	case *actor.SuspendMailbox:
		m.set(&m.suspended, true)
		return
	case *actor.ResumeMailbox:
		m.set(&m.suspended, false)
		return
	case *actor.Stop:
		m.stopping = true
	}
	m.grain.InvokeSystemMessage(message)
	// A stop ends an actor at once, or, when it has children, with the last child.
	if m.stopping && !m.stopped && len(m.grain.Children()) == 0 {
		m.set(&m.stopped, true)
	}
}

// failed deals with a panic of the grain over message. The sender is told; the
// grain is stopped through its parent. One that panics while it stops would
// never end in the library's eyes, so it is removed here.
func (m *mailbox) failed(message, reason any) {
	self := m.grain.Self()
	m.placement.panicked(self, reason)
	if sender := actor.UnwrapEnvelopeSender(message); sender != nil {
		m.placement.system.Root.Send(sender, cluster.NewGrainErrorResponse(reasonFailed, ErrFailed.Error()))
	}
	if !m.stopping {
		m.grain.EscalateFailure(reason, nil)
		return
	}
	m.set(&m.stopped, true)
	m.placement.system.ProcessRegistry.Remove(self)
	m.placement.terminated(self)
}

func (m *mailbox) set(flag *bool, to bool) {
	m.mu.Lock()
	*flag = to
	m.mu.Unlock()
}
