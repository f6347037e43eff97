package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const upgraded = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"

// appendFrame appends a frame of a server.
func appendFrame(b []byte, first byte, payload []byte) []byte {
	b = append(b, first)
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

// stream returns an upgrade with frames of every kind of length after it, and what
// they are.
func stream() (sent []byte, frames []string) {
	sent = []byte(upgraded)
	for i, n := range []int{0, 1, 125, 126, 127, 700, 0, math.MaxUint16, math.MaxUint16 + 1, 3} {
		first := byte(frameText)
		if n == 0 {
			first = framePing
		}
		payload := bytes.Repeat([]byte{byte('a' + i)}, n)
		sent = appendFrame(sent, first, payload)
		frames = append(frames, fmt.Sprintf("%x %d %.1s", first, n, payload))
	}
	return sent, frames
}

// split reads a stream in pieces of the lengths that size returns.
func split(sent []byte, size func() int) (frames []string, err error) {
	var (
		s      splitter
		buffer = make([]byte, len(sent)) // used again for each read, as the loop does
	)
	for len(sent) > 0 {
		n := copy(buffer[:min(size(), len(sent))], sent)
		sent = sent[n:]
		s.take(buffer[:n])
		for {
			first, payload, ok, err := s.next()
			if err != nil {
				return frames, err
			}
			if !ok {
				break
			}
			if len(payload) > 0 && bytes.Count(payload, payload[:1]) != len(payload) {
				return frames, errors.New("a payload holds bytes of another")
			}
			frames = append(frames, fmt.Sprintf("%x %d %.1s", first, len(payload), payload))
		}
		clear(buffer)
	}
	return frames, nil
}

// Wherever the reads end, the frames are the same.
func TestSplitterCutsAnywhere(t *testing.T) {
	t.Parallel()
	sent, want := stream()
	check := func(what string, size func() int) {
		t.Helper()
		got, err := split(sent, size)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s (-want +got):\n%s", what, d)
		}
	}
	check("at once", func() int { return len(sent) })
	check("byte by byte", func() int { return 1 })
	for at := 1; at < 2000; at++ {
		n := at
		check(fmt.Sprintf("cut at byte %d", at), func() (size int) { size, n = n, len(sent); return size })
	}
	for seed := range uint64(50) {
		rng := mathrand.New(mathrand.NewPCG(seed, 0))
		check(fmt.Sprintf("pieces of seed %d", seed), func() int { return 1 + rng.IntN(1+rng.IntN(5000)) })
	}
}

func TestSplitterRefuses(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		what, sent string
		want       error
	}{
		{"a refused upgrade", "HTTP/1.1 401 Unauthorized\r\n\r\n", errUpgrade},
		{"an answer without an end", string(bytes.Repeat([]byte("HTTP/1.1 101 "), 1000)), errUpgrade},
		{"a masked frame", upgraded + "\x81\x81....x", errFrame},
		{"a frame without an end", upgraded + "\x81\x7f\x7fxxxxxxx", errFrame},
	} {
		for _, size := range []int{1, len(x.sent)} {
			if _, err := split([]byte(x.sent), func() int { return size }); !errors.Is(err, x.want) {
				t.Errorf("%s in reads of %d: %v, want %v", x.what, size, err, x.want)
			}
		}
	}
}

func TestPongAndClose(t *testing.T) {
	t.Parallel()
	if got, want := string(appendPong(nil, []byte("hi"))), "\x8a\x82\x00\x00\x00\x00hi"; got != want {
		t.Errorf("the pong is %q, want %q", got, want)
	}
	if got := closeCode([]byte{0x0f, 0xa8, 's'}); got != 4008 {
		t.Errorf("the close code is %d, want 4008", got)
	}
	if got := closeCode(nil); got != 1005 {
		t.Errorf("without a code it is %d, want 1005", got)
	}
}

// FuzzSplitter compares pieces of any lengths with one read of the same bytes.
func FuzzSplitter(f *testing.F) {
	sent, _ := stream()
	f.Add(sent[:2000], uint64(1))
	f.Add([]byte(upgraded+"\x81\x7f\x00\x00"), uint64(2))
	f.Fuzz(func(t *testing.T, sent []byte, seed uint64) {
		rng := mathrand.New(mathrand.NewPCG(seed, 0))
		frames := func(size func() int) (n, bytes int, failed bool) {
			var s splitter
			for rest := sent; len(rest) > 0; {
				k := min(size(), len(rest))
				s.take(rest[:k])
				rest = rest[k:]
				for {
					_, payload, ok, err := s.next()
					if err != nil {
						return n, bytes, true
					}
					if !ok {
						break
					}
					n, bytes = n+1, bytes+len(payload)
				}
			}
			return n, bytes, false
		}
		n, size, failed := frames(func() int { return len(sent) })
		if pn, psize, pfailed := frames(func() int { return 1 + rng.IntN(64) }); pn != n || psize != size || pfailed != failed {
			t.Errorf("in pieces %d frames of %d bytes, failed %t; at once %d of %d, %t", pn, psize, pfailed, n, size, failed)
		}
	})
}
