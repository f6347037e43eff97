package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// cursors signs the places in lists that clients hold. A cursor is opaque, and
// good only for the list and the owner that it was made for: base64url of
// (format, place, first 16 bytes of HMAC-SHA256 over list, owner and place).
// The same place always has the same cursor.
type cursors struct{ key [sha256.Size]byte }

const (
	cursorFormat = 1
	cursorMAC    = 16
	maxCursor    = 512 // characters
)

// newCursors derives the key, so that a cursor is no token and a token no cursor.
func newCursors(secret []byte) *cursors {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("kith cursors v1"))
	c := &cursors{}
	copy(c.key[:], m.Sum(nil))
	return c
}

// seal returns the cursor of a place.
func (c *cursors) seal(list string, owner user.ID, place []byte) string {
	b := make([]byte, 0, 1+len(place)+cursorMAC)
	b = append(b, cursorFormat)
	b = append(b, place...)
	return base64.RawURLEncoding.EncodeToString(append(b, c.mac(list, owner, b)...))
}

// open returns the place of a cursor that seal made for the same list and owner.
func (c *cursors) open(list string, owner user.ID, cursor string) (place []byte, ok bool) {
	if len(cursor) > maxCursor {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	// The decoder skips line ends; one place has one spelling.
	if err != nil || len(b) < 1+cursorMAC || base64.RawURLEncoding.EncodedLen(len(b)) != len(cursor) {
		return nil, false
	}
	signed := b[:len(b)-cursorMAC]
	if !hmac.Equal(b[len(signed):], c.mac(list, owner, signed)) || signed[0] != cursorFormat {
		return nil, false
	}
	return signed[1:], true
}

func (c *cursors) mac(list string, owner user.ID, signed []byte) []byte {
	m := hmac.New(sha256.New, c.key[:])
	var head [10]byte
	binary.BigEndian.PutUint64(head[:8], uint64(owner))
	binary.BigEndian.PutUint16(head[8:], uint16(len(list))) //nolint:gosec // names of lists are short
	m.Write(head[:])
	m.Write([]byte(list))
	m.Write(signed)
	return m.Sum(nil)[:cursorMAC]
}

// sealSearch and openSearch are for lists of hits; the empty cursor is the start.
func (c *cursors) sealSearch(list string, owner user.ID, at persistence.SearchCursor) string {
	place := []byte{0}
	if at.ByName {
		place[0] = 1
	}
	return c.seal(list, owner, append(place, at.Username...))
}

func (c *cursors) openSearch(list string, owner user.ID, cursor string) (persistence.SearchCursor, error) {
	if cursor == "" {
		return persistence.SearchCursor{}, nil
	}
	place, ok := c.open(list, owner, cursor)
	if !ok || len(place) == 0 || place[0] > 1 {
		return persistence.SearchCursor{}, errCursor
	}
	return persistence.SearchCursor{ByName: place[0] == 1, Username: string(place[1:])}, nil
}

// sealFeed and openFeed are for feeds; the empty cursor is the start.
func (c *cursors) sealFeed(owner user.ID, at persistence.FeedPlace) string {
	place := binary.BigEndian.AppendUint64(nil, uint64(at.At.UnixMicro()))
	place = binary.BigEndian.AppendUint64(place, uint64(at.User))
	return c.seal(listFeed, owner, binary.BigEndian.AppendUint64(place, at.Seq))
}

func (c *cursors) openFeed(owner user.ID, cursor string) (persistence.FeedPlace, error) {
	if cursor == "" {
		return persistence.FeedPlace{}, nil
	}
	place, ok := c.open(listFeed, owner, cursor)
	if !ok || len(place) != 24 {
		return persistence.FeedPlace{}, errCursor
	}
	return persistence.FeedPlace{
		At:   time.UnixMicro(int64(binary.BigEndian.Uint64(place))).UTC(), //nolint:gosec // the bits that sealFeed wrote
		User: user.ID(binary.BigEndian.Uint64(place[8:])), Seq: binary.BigEndian.Uint64(place[16:]),
	}, nil
}

// sealSeq and openSeq are for lists in the order of their owner's journal; the
// empty cursor is the start, 0.
func (c *cursors) sealSeq(list string, owner user.ID, seq uint64) string {
	return c.seal(list, owner, binary.BigEndian.AppendUint64(nil, seq))
}

func (c *cursors) openSeq(list string, owner user.ID, cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	place, ok := c.open(list, owner, cursor)
	if !ok || len(place) != 8 {
		return 0, errCursor
	}
	return binary.BigEndian.Uint64(place), nil
}
