package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"kith/persistence"
)

// An ETag says which card at which version an answer shows, and what else it
// shows. It is strong: the same tag means the same bytes, since a card is encoded
// once. The id is part of it because a name can pass to another user.

// cardTag returns the ETag of an answer about one card.
func cardTag(c *persistence.CachedCard, rest string) string {
	b := make([]byte, 0, 48)
	b = append(b, '"')
	b = strconv.AppendUint(b, uint64(c.Card.ID), 36)
	b = append(b, '-')
	b = strconv.AppendUint(b, c.Card.Version, 36)
	b = append(b, rest...)
	return string(append(b, '"'))
}

// listTag returns the ETag of a page of cards.
func listTag(cards []*persistence.CachedCard, next string) string {
	b := make([]byte, 0, 16*len(cards)+len(next))
	for _, c := range cards {
		b = binary.BigEndian.AppendUint64(b, uint64(c.Card.ID))
		b = binary.BigEndian.AppendUint64(b, c.Card.Version)
	}
	return bytesTag(append(b, next...))
}

// bytesTag returns the ETag of what was encoded.
func bytesTag(b []byte) string {
	sum := sha256.Sum256(b)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// unchanged reports whether If-None-Match names tag, by weak comparison
// (RFC 9110, section 13.1.2).
func unchanged(headers []string, tag string) bool {
	for _, h := range headers {
		if strings.TrimSpace(h) == "*" {
			return true
		}
		for h != "" {
			h = strings.TrimLeft(h, " \t,")
			h = strings.TrimPrefix(h, "W/")
			if !strings.HasPrefix(h, `"`) {
				break // not a list of entity tags: what follows cannot be told apart
			}
			end := strings.IndexByte(h[1:], '"')
			if end < 0 {
				break
			}
			if h[:end+2] == tag {
				return true
			}
			h = h[end+2:]
		}
	}
	return false
}
