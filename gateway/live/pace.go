package live

import (
	"context"
	"time"
)

const (
	// paceBurst is how many frames a client may send at once, and paceEvery how often
	// one more.
	paceBurst = 100
	paceEvery = 20 * time.Millisecond
)

// pace slows a client that sends more frames than any needs: it is read from later,
// and waits for itself. It belongs to the goroutine that reads.
type pace struct {
	due time.Time // when the bucket is full again
}

// take waits until one more frame is fine.
func (p *pace) take(ctx context.Context) {
	now := time.Now()
	if p.due.Before(now) {
		p.due = now
	}
	p.due = p.due.Add(paceEvery)
	wait := p.due.Sub(now) - paceBurst*paceEvery
	if wait <= 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// pinged is called for each ping of a client; the library answers it.
func (c *socket) pinged(ctx context.Context, _ []byte) bool {
	c.hear()
	c.pace.take(ctx)
	return true
}

func (c *socket) ponged(ctx context.Context, _ []byte) {
	c.hear()
	c.pace.take(ctx)
}
