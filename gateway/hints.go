package gateway

import (
	"sync"

	"kith/actors/user"
)

// hintEntries bounds one of two maps: some ten megabytes at most.
const hintEntries = 64 << 10

// hints remembers who bore a name when somebody last asked, so that a card by its
// name costs one question to a cache elsewhere instead of two. A hint may be wrong:
// it is used only if the card found bears the name.
type hints struct {
	mu         sync.RWMutex
	young, old map[string]user.ID
}

// get returns 0 when nothing is known.
func (h *hints) get(name string) user.ID {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if id, known := h.young[name]; known {
		return id
	}
	return h.old[name]
}

// note notes who bears a name.
func (h *hints) note(name string, id user.ID) {
	if h.get(name) == id {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.young == nil || len(h.young) >= hintEntries {
		h.young, h.old = make(map[string]user.ID), h.young
	}
	h.young[name] = id
}
