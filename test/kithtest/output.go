package kithtest

import (
	"context"
	"strings"
	"sync"
)

// maxOutput bounds what is kept of one process. Full: what follows is dropped,
// and the text says so.
const maxOutput = 32 << 20

// output keeps what processes wrote, one after another. It may be used
// concurrently.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	full    bool
	changed chan struct{} // closed and replaced at every write
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.full:
	case o.text.Len()+len(b) > maxOutput:
		o.full = true
		o.text.WriteString("\n(the rest is not kept)\n")
	default:
		o.text.Write(b)
	}
	close(o.changed)
	o.changed = make(chan struct{})
	return len(b), nil
}

// String returns all of it.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// state returns the text from a position on, and a channel that closes when there
// is more.
func (o *output) state(from int) (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()[from:], o.changed
}

// await waits until match is content with the text behind a position, and
// reports whether it was before ctx or the process ended.
func (o *output) await(ctx context.Context, from int, ended <-chan struct{}, match func(text string) bool) bool {
	for {
		text, changed := o.state(from)
		if match(text) {
			return true
		}
		select {
		case <-changed:
		case <-ended:
			text, _ := o.state(from)
			return match(text)
		case <-ctx.Done():
			return false
		}
	}
}
