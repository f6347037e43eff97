package cluster

import "crypto/tls"

// MaxQueued is the bound of a mailbox.
const MaxQueued = maxQueued

// TLS returns the credentials of a node with a port.
func TLS(n *Node) *tls.Config { return n.tls }

// Backlog is a mailbox whose grain is always busy: nothing is delivered but what
// Take takes. Messages are numbers, in the order in which they are posted.
type Backlog struct {
	mailbox mailbox
	posted  int
}

// NewBacklog returns an empty one.
func NewBacklog() *Backlog { return &Backlog{mailbox: mailbox{running: true}} }

// Post posts the next message.
func (b *Backlog) Post() {
	b.mailbox.PostUserMessage(b.posted)
	b.posted++
}

// Take takes the oldest message.
func (b *Backlog) Take() any {
	message, _, _ := b.mailbox.next()
	return message
}

// Room returns how many messages the mailbox has memory for.
func (b *Backlog) Room() int { return cap(b.mailbox.user) }
