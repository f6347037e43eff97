package redis

import (
	"encoding/binary"
	"errors"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// The stored form of a card. The script of Put reads the header, whose layout
// therefore never changes; the rest belongs to a format.
//
//	header  version, 8 bytes big-endian; 1 if deleted, else 0; the length of the
//	        username, 2 bytes big-endian; the username
//	body    format, 1 byte; id, 8 bytes big-endian; uid, 16 bytes; privacy, a bit
//	        each; name, role and picture, each after its length as uvarint; the
//	        four counts, created and updated (microseconds of Unix) as varints;
//	        the JSON up to the end
//
// A tombstone is the header, format and id.
const (
	cardFormat = 1

	publicProfile = 1
	publicHistory = 2
	publicRatings = 4
)

var (
	errFormat    = errors.New("redis: a card of another format")
	errMalformed = errors.New("redis: malformed card")
)

func encodeCard(c *persistence.CachedCard) []byte {
	card := &c.Card
	if c.Deleted {
		card = &user.Card{ID: card.ID, Version: card.Version}
	}
	b := make([]byte, 0, 128+len(card.Username)+len(card.Name)+len(card.Role)+len(card.Picture)+len(c.JSON))
	b = binary.BigEndian.AppendUint64(b, card.Version)
	b = append(b, flag(c.Deleted, 1))
	b = binary.BigEndian.AppendUint16(b, uint16(len(card.Username))) //nolint:gosec // names have tens of letters; Put refuses others
	b = append(b, card.Username...)
	b = append(b, cardFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(card.ID))
	if c.Deleted {
		return b
	}
	b = append(b, card.UID[:]...)
	b = append(b, flag(card.Privacy.Profile, publicProfile)|flag(card.Privacy.WatchHistory, publicHistory)|flag(card.Privacy.Ratings, publicRatings))
	for _, s := range []string{card.Name, string(card.Role), card.Picture} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, n := range []int64{card.Followers, card.Following, card.Streams, card.Videos, card.CreatedAt.UnixMicro(), card.UpdatedAt.UnixMicro()} {
		b = binary.AppendVarint(b, n)
	}
	return append(b, c.JSON...)
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// decodeCard reads a stored card. Its strings share the memory of s.
func decodeCard(s string) (*persistence.CachedCard, error) {
	r := reader{rest: s}
	c := &persistence.CachedCard{}
	card := &c.Card
	card.Version = r.uint64()
	deleted := r.byte()
	n := r.take(2)
	if r.failed || deleted > 1 {
		return nil, errMalformed
	}
	card.Username = r.take(int(n[0])<<8 | int(n[1]))
	if format := r.byte(); !r.failed && format != cardFormat {
		return nil, errFormat
	}
	card.ID = user.ID(r.uint64())
	if c.Deleted = deleted == 1; c.Deleted {
		if r.failed || r.rest != "" {
			return nil, errMalformed
		}
		return c, nil
	}
	copy(card.UID[:], r.take(len(card.UID)))
	p := r.byte()
	card.Privacy = user.Privacy{Profile: p&publicProfile != 0, WatchHistory: p&publicHistory != 0, Ratings: p&publicRatings != 0}
	card.Name, card.Role, card.Picture = r.string(), user.Role(r.string()), r.string()
	card.Followers, card.Following, card.Streams, card.Videos = r.varint(), r.varint(), r.varint(), r.varint()
	card.CreatedAt, card.UpdatedAt = time.UnixMicro(r.varint()).UTC(), time.UnixMicro(r.varint()).UTC()
	if r.failed {
		return nil, errMalformed
	}
	c.JSON = []byte(r.rest)
	return c, nil
}

// reader reads from a string; once it has failed, it reads zeros.
type reader struct {
	rest   string
	failed bool
}

func (r *reader) take(n int) string {
	if n > len(r.rest) {
		r.failed, r.rest = true, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) byte() byte {
	if s := r.take(1); s != "" {
		return s[0]
	}
	return 0
}

func (r *reader) uint64() (n uint64) {
	s := r.take(8)
	for i := range len(s) {
		n = n<<8 | uint64(s[i])
	}
	return n
}

func (r *reader) uvarint() uint64 {
	var n uint64
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	r.failed, r.rest = true, ""
	return 0
}

func (r *reader) varint() int64 {
	n := r.uvarint()
	return int64(n>>1) ^ -int64(n&1) // zigzag, as in encoding/binary
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, ""
		return ""
	}
	return r.take(int(n)) //nolint:gosec // at most the length of a string
}
