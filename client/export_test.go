package client

// MaxRecent is how many ids are remembered.
const MaxRecent = maxRecent

// Recent is the memory of ids.
type Recent struct{ recent }

// Add reports whether id is new.
func (r *Recent) Add(id string) bool { return r.add(id) }
