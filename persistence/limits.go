package persistence

import (
	"context"
	"time"
)

// Rate is how much is allowed in how long: Count at once, and then one more every
// Per/Count. The zero Rate allows everything.
type Rate struct {
	Count int
	Per   time.Duration
}

// Allowance is the answer of Limits.
type Allowance struct {
	Allowed bool
	// Remaining is how much more would be allowed now.
	Remaining int
	// Reset is how long until all of Count is allowed again, if nothing more is
	// asked for.
	Reset time.Duration
	// RetryAfter is how long until the same would be allowed, when it was not.
	RetryAfter time.Duration
}

// Limits counts what happens under a key against a rate, by the generic cell rate
// algorithm (ITU-T I.371): a key costs one number, and nothing happens at the
// turn of a window.
type Limits interface {
	// Allow takes cost from what key may still do at rate, or nothing when it is
	// not allowed. A cost above rate.Count never is: RetryAfter is then how long
	// until Count and one more would be. A key is always asked about at the same
	// rate.
	//
	// After an error nobody knows whether cost was taken.
	Allow(ctx context.Context, key string, rate Rate, cost int) (Allowance, error)
}
