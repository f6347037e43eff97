package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"
)

// conn is one keep-alive connection of HTTP/1.1 with one request in flight. It
// costs a tenth of net/http's client, which would take from the servers the CPU
// of the machine that they share. It is not safe for concurrent use.
type conn struct {
	net  net.Conn
	r    *bufio.Reader
	body []byte
}

// exchangeTimeout bounds one request; past it the run has failed.
const exchangeTimeout = 60 * time.Second

// maxAnswer bounds a body.
const maxAnswer = 1 << 20

func dial(ctx context.Context, addr string) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	return &conn{net: c, r: bufio.NewReaderSize(c, 8<<10)}, nil
}

func (c *conn) close() error {
	if err := c.net.Close(); err != nil {
		return fmt.Errorf("close a connection: %w", err)
	}
	return nil
}

var errNotHTTP = errors.New("the answer is not what HTTP/1.1 looks like")

// do sends a whole request and reads the answer. The body is valid until the
// next call.
func (c *conn) do(request []byte) (status int, body []byte, err error) {
	if err := c.net.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		return 0, nil, fmt.Errorf("set the deadline: %w", err)
	}
	if _, err := c.net.Write(request); err != nil {
		return 0, nil, fmt.Errorf("write a request: %w", err)
	}
	line, err := c.line()
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, nil, fmt.Errorf("%w: %q", errNotHTTP, line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, fmt.Errorf("%w: %q", errNotHTTP, line)
	}
	length, chunked := -1, false
	for {
		if line, err = c.line(); err != nil {
			return 0, nil, err
		}
		if len(line) == 0 {
			break
		}
		switch name, value, _ := bytes.Cut(line, []byte(":")); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || length < 0 {
				return 0, nil, fmt.Errorf("%w: %q", errNotHTTP, line)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked"))
		}
	}
	c.body = c.body[:0]
	switch {
	case chunked:
		err = c.chunks()
	case length < 0:
		err = fmt.Errorf("%w: a body of no known length", errNotHTTP)
	default:
		err = c.read(length)
	}
	return status, c.body, err
}

// chunks reads a body in chunks. No trailers are expected.
func (c *conn) chunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(line), 16, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("%w: a chunk of %q bytes", errNotHTTP, line)
		}
		if err := c.read(int(n)); err != nil {
			return err
		}
		if line, err = c.line(); err != nil || len(line) > 0 {
			return fmt.Errorf("%w: %q after a chunk: %w", errNotHTTP, line, err)
		}
		if n == 0 {
			return nil
		}
	}
}

// read appends so many bytes to the body.
func (c *conn) read(n int) error {
	have := len(c.body)
	if have+n > maxAnswer {
		return fmt.Errorf("%w: a body of %d bytes", errNotHTTP, have+n)
	}
	c.body = slices.Grow(c.body, n)[:have+n]
	if _, err := io.ReadFull(c.r, c.body[have:]); err != nil {
		return fmt.Errorf("read a body: %w", err)
	}
	return nil
}

// line returns the next line without its end; it is valid until the next read.
func (c *conn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("read a header: %w", err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}
