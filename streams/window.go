package streams

import "sync"

// windowRecords bounds how far the reading of one lane may be ahead of its
// oldest record without effect.
const windowRecords = 8192

// window says which records of one lane have had their effect.
type window struct {
	mu    sync.Mutex
	done  uint64 // everything up to here has
	acked [windowRecords / 64]uint64
}

// start begins above a saved mark.
func (w *window) start(mark uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = mark
}

// ack notes the effect of one record. fresh is false when it was noted before;
// save is the mark to save, 0 when there is none.
func (w *window) ack(pos uint64) (done, save uint64, fresh bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if pos <= w.done || w.has(pos) {
		return w.done, 0, false
	}
	if pos != w.done+1 {
		w.acked[pos/64%uint64(len(w.acked))] |= 1 << (pos % 64)
		return w.done, 0, true
	}
	w.done++
	for w.has(w.done + 1) {
		w.done++
		w.acked[w.done/64%uint64(len(w.acked))] &^= 1 << (w.done % 64)
	}
	return w.done, w.done, true
}

func (w *window) has(pos uint64) bool {
	return w.acked[pos/64%uint64(len(w.acked))]&(1<<(pos%64)) != 0
}

func (w *window) position() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}
