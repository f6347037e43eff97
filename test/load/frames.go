package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The first bytes of the frames that a server sends: final, and the opcode.
const (
	frameText  = 0x81
	frameClose = 0x88
	framePing  = 0x89
)

// splitter cuts what a server of WebSockets sends, from the answer to the upgrade
// on, into frames, wherever the reads end. It copies only what a read has cut. The
// zero splitter is at the beginning of a connection.
type splitter struct {
	upgraded bool
	in       []byte // of the last read, not looked at yet
	rest     []byte // the beginning of what has not arrived wholly
}

var (
	errUpgrade = errors.New("the server does not upgrade the connection")
	errFrame   = errors.New("not what a server of WebSockets sends")
)

const (
	maxUpgrade = 4 << 10
	maxFrame   = 1 << 20
)

// take gives the splitter what was read. It must hold until next finds nothing
// more.
func (s *splitter) take(b []byte) { s.in = b }

// next returns the next frame that has arrived wholly; ok is false when there is
// none. The payload is valid until the next call.
func (s *splitter) next() (first byte, payload []byte, ok bool, err error) {
	if !s.upgraded {
		if err := s.upgrade(); err != nil || !s.upgraded {
			return 0, nil, false, err
		}
	}
	if len(s.rest) > 0 {
		return s.complete()
	}
	head, size, err := frameSize(s.in)
	if err != nil {
		return 0, nil, false, err
	}
	if size == 0 || len(s.in) < size {
		s.rest, s.in = append(s.rest, s.in...), nil
		return 0, nil, false, nil
	}
	f := s.in[:size]
	s.in = s.in[size:]
	return f[0], f[head:], true, nil
}

// complete is next for a frame that began in an earlier read.
func (s *splitter) complete() (first byte, payload []byte, ok bool, err error) {
	for {
		head, size, err := frameSize(s.rest)
		switch {
		case err != nil:
			return 0, nil, false, err
		case size > 0 && len(s.rest) == size:
			f := s.rest
			s.rest = f[:0]
			return f[0], f[head:], true, nil
		case len(s.in) == 0:
			return 0, nil, false, nil
		}
		missing := 1 // byte by byte until the length is known
		if size > 0 {
			missing = min(size-len(s.rest), len(s.in))
		}
		s.rest, s.in = append(s.rest, s.in[:missing]...), s.in[missing:]
	}
}

// upgrade passes over the answer to the upgrade.
func (s *splitter) upgrade() error {
	s.rest, s.in = append(s.rest, s.in...), nil
	end := bytes.Index(s.rest, []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(s.rest) > maxUpgrade:
		return fmt.Errorf("%w: an answer without an end", errUpgrade)
	case end < 0:
		return nil
	case !bytes.HasPrefix(s.rest, []byte("HTTP/1.1 101 ")):
		return fmt.Errorf("%w: %.400s", errUpgrade, s.rest)
	}
	s.upgraded, s.in, s.rest = true, s.rest[end+4:], nil
	return nil
}

// frameSize returns how long the header and the whole of the frame are with which
// b begins. The size is 0 while b is too short to say.
func frameSize(b []byte) (head, size int, err error) {
	if len(b) < 2 {
		return 0, 0, nil
	}
	const masked = 0x80
	var n uint64
	switch length := b[1]; {
	case length&masked != 0:
		return 0, 0, fmt.Errorf("%w: a masked frame", errFrame)
	case length < 126:
		head, n = 2, uint64(length)
	case length == 126:
		if head = 4; len(b) < head {
			return 0, 0, nil
		}
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	default:
		if head = 10; len(b) < head {
			return 0, 0, nil
		}
		n = binary.BigEndian.Uint64(b[2:])
	}
	if n > maxFrame {
		return 0, 0, fmt.Errorf("%w: a frame of %d bytes", errFrame, n)
	}
	return head, head + int(n), nil
}

// closeCode returns the code of a close frame; 1005 stands for none.
func closeCode(payload []byte) int {
	if len(payload) < 2 {
		return 1005
	}
	return int(binary.BigEndian.Uint16(payload))
}

// appendPong appends the answer to a ping, masked with zeros, as which the payload
// stays what it is.
func appendPong(b, payload []byte) []byte {
	const (
		finalPong = 0x8A
		masked    = 0x80
	)
	n := min(len(payload), 125)
	b = append(b, finalPong, masked|byte(n), 0, 0, 0, 0)
	return append(b, payload[:n]...)
}
