package streams

// WindowRecords is the size of a window.
const WindowRecords = windowRecords

// Window is a window for tests.
type Window struct{ w window }

// NewWindow returns a window above a mark.
func NewWindow(mark uint64) *Window {
	w := &Window{}
	w.w.start(mark)
	return w
}

// Ack is ack.
func (w *Window) Ack(pos uint64) (done uint64, fresh bool) {
	done, _, fresh = w.w.ack(pos)
	return done, fresh
}
