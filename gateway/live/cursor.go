package live

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"kith/persistence"
)

// Positions says how far the hub has come in each lane.
type Positions [persistence.LaneCount]uint64

// Cursor is what a client holds: everything up to Positions was sent to it.
type Cursor struct {
	Positions Positions
	IssuedAt  time.Time // UTC, microseconds
}

// ErrCursor is that a cursor is not one that was sealed with this secret.
var ErrCursor = errors.New("live: not a cursor")

const (
	cursorFormat = 1
	cursorMAC    = 16
	// MaxCursor is how long a cursor can be, in characters. Usually it is about 300.
	MaxCursor = 896
)

// Cursors signs cursors, so that all nodes with one secret take them and nobody
// else makes them: base64url of (format, time of issue, positions, first 16 bytes
// of HMAC-SHA256), the numbers as uvarints.
type Cursors struct{ key [sha256.Size]byte }

// NewCursors derives the key from a secret, so that a cursor of a list is no
// cursor here.
func NewCursors(secret []byte) *Cursors {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("kith live cursors v1"))
	c := &Cursors{}
	copy(c.key[:], m.Sum(nil))
	return c
}

// Seal returns the text of a cursor. It is issued after 1970.
func (c *Cursors) Seal(at *Cursor) string {
	b := make([]byte, 1, 256)
	b[0] = cursorFormat
	b = binary.AppendUvarint(b, uint64(max(at.IssuedAt.UnixMicro(), 0)))
	for _, pos := range at.Positions {
		b = binary.AppendUvarint(b, pos)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, c.mac(b)...))
}

// Open returns what Seal sealed, or ErrCursor.
func (c *Cursors) Open(text string) (*Cursor, error) {
	if len(text) > MaxCursor {
		return nil, ErrCursor
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder skips line ends; one cursor has one spelling.
	if err != nil || len(b) < 1+cursorMAC || base64.RawURLEncoding.EncodedLen(len(b)) != len(text) {
		return nil, ErrCursor
	}
	signed := b[:len(b)-cursorMAC]
	if !hmac.Equal(b[len(signed):], c.mac(signed)) || signed[0] != cursorFormat {
		return nil, ErrCursor
	}
	rest := signed[1:]
	next := func() uint64 {
		x, n := binary.Uvarint(rest)
		if n <= 0 {
			rest, err = nil, ErrCursor
			return 0
		}
		rest = rest[n:]
		return x
	}
	at := new(Cursor)
	at.IssuedAt = time.UnixMicro(int64(next())).UTC() //nolint:gosec // the bits that Seal wrote
	for lane := range at.Positions {
		at.Positions[lane] = next()
	}
	if err != nil || len(rest) != 0 {
		return nil, ErrCursor
	}
	return at, nil
}

func (c *Cursors) mac(signed []byte) []byte {
	m := hmac.New(sha256.New, c.key[:])
	m.Write(signed)
	return m.Sum(nil)[:cursorMAC]
}
