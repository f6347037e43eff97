// Package photo tells what kind of photo bytes are, whatever their uploader said.
//
// It reads as far as the width and height, and decodes nothing.
package photo

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"
	"io"

	"kith/persistence"
)

// MagicBytes is how many bytes Magic needs.
const MagicBytes = 12

// Magic returns the kind of photo that begins so, or "".
func Magic(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		return persistence.TypeJPEG
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		return persistence.TypePNG
	case len(head) >= MagicBytes && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP":
		return persistence.TypeWebP
	}
	return ""
}

// Kind returns the kind of photo that the size bytes of r are, or "" when they are
// none: they must begin so, and go on at least as far as to say how wide and high
// it is. What cannot be read is none.
func Kind(r io.ReaderAt, size int64) string {
	head := make([]byte, MagicBytes)
	if _, err := r.ReadAt(head, 0); err != nil {
		return ""
	}
	kind := Magic(head)
	var config image.Config
	var err error
	switch kind {
	case persistence.TypeJPEG:
		config, err = jpeg.DecodeConfig(io.NewSectionReader(r, 0, size))
	case persistence.TypePNG:
		config, err = png.DecodeConfig(io.NewSectionReader(r, 0, size))
	case persistence.TypeWebP:
		if isWebP(r, size) {
			return kind
		}
		return ""
	}
	if err != nil || config.Width <= 0 || config.Height <= 0 {
		return ""
	}
	return kind
}

// maxChunks bounds the chunks before the image. There are a handful in practice.
const maxChunks = 64

// isWebP looks for the image among the chunks of a WebP file
// (https://developers.google.com/speed/webp/docs/riff_container): a lossy one, a
// lossless one, or, after an extended header, also a frame of an animation.
func isWebP(r io.ReaderAt, size int64) bool {
	var head [MagicBytes]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return false
	}
	end := 8 + int64(binary.LittleEndian.Uint32(head[4:]))
	if end > size {
		return false
	}
	extended := false
	for at, n := int64(MagicBytes), 0; n < maxChunks; n++ {
		var chunk [8 + 10]byte // its header, and as much of it as says the width and height
		if read, _ := r.ReadAt(chunk[:], at); read < 8 {
			return false
		}
		body, length := chunk[8:], int64(binary.LittleEndian.Uint32(chunk[4:]))
		if at+8+length > end {
			return false
		}
		switch name := string(chunk[:4]); {
		case name == "VP8 ":
			return length >= 10 && body[0]&1 == 0 && string(body[3:6]) == "\x9d\x01\x2a" &&
				binary.LittleEndian.Uint16(body[6:])&0x3fff > 0 && binary.LittleEndian.Uint16(body[8:])&0x3fff > 0
		case name == "VP8L":
			return length >= 5 && body[0] == 0x2f && body[4]>>5 == 0
		case name == "VP8X" && n == 0 && length >= 10:
			extended = true
		case !extended:
			return false
		case name == "ANMF":
			return length >= 24 // its own header, and that of the image in it
		}
		at += 8 + length + length&1
	}
	return false
}
