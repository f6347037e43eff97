package client

// maxRecent is how many ids are remembered. What a server replays is at most
// 10,000 records, and what it sent after its last cursor a second's worth.
const maxRecent = 1 << 14

// recent remembers the last maxRecent ids that it was asked about. Full: it forgets
// the oldest, which would then be shown twice if it came again.
type recent struct {
	seen map[string]struct{}
	ring []string
	next int
}

// add reports whether id is new, and remembers it.
func (r *recent) add(id string) bool {
	if _, ok := r.seen[id]; ok {
		return false
	}
	if r.seen == nil {
		r.seen = make(map[string]struct{})
	}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, id)
	} else {
		delete(r.seen, r.ring[r.next])
		r.ring[r.next] = id
		r.next = (r.next + 1) % maxRecent
	}
	r.seen[id] = struct{}{}
	return true
}
