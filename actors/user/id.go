package user

import (
	"encoding/hex"
	"fmt"
)

// ID identifies a user inside Kith: dense, 1 and up, never reused. Clients see
// the UID instead.
type ID uint64

// UID identifies a user outside Kith: a UUIDv7, written as 32 lower-case hex
// digits.
type UID [16]byte

// String returns the 32 hex digits of u.
func (u UID) String() string { return hex.EncodeToString(u[:]) }

// IsZero reports whether u is unset.
func (u UID) IsZero() bool { return u == UID{} }

// ParseUID reads the 32 lower-case hex digits that UID.String writes.
func ParseUID(s string) (UID, error) {
	var u UID
	if len(s) != hex.EncodedLen(len(u)) {
		return UID{}, fmt.Errorf("parse uid: want 32 hex digits, have %d characters", len(s))
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return UID{}, fmt.Errorf("parse uid: character %d is not a lower-case hex digit", i)
		}
	}
	if _, err := hex.Decode(u[:], []byte(s)); err != nil {
		return UID{}, fmt.Errorf("parse uid: %w", err)
	}
	return u, nil
}
