package lanes

import (
	"kith/persistence"
)

// NewRing makes a ring for tests.
func NewRing(size int, head uint64) *Ring { return newRing(size, head) }

// Append is append.
func (r *Ring) Append(records []persistence.Record) { r.append(records) }

// Reset is reset.
func (r *Ring) Reset(head uint64) { r.reset(head) }
