package disk

import "bytes"

// IsPhoto is isPhoto of bytes in memory.
func IsPhoto(b []byte, contentType string) bool {
	return isPhoto(bytes.NewReader(b), int64(len(b)), contentType)
}

// Magic is magic.
func Magic(head []byte) string { return magic(head) }
