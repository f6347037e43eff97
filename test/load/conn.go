package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

var errNotHTTP = errors.New("the answer is not what HTTP/1.1 with a Content-Length looks like")

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
	length := -1
	for {
		if line, err = c.line(); err != nil {
			return 0, nil, err
		}
		if len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, nil, fmt.Errorf("%w: %q", errNotHTTP, line)
			}
		}
	}
	if length < 0 || length > maxAnswer {
		return 0, nil, fmt.Errorf("%w: a body of %d bytes", errNotHTTP, length)
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.r, c.body); err != nil {
		return 0, nil, fmt.Errorf("read a body: %w", err)
	}
	return status, c.body, nil
}

// line returns the next line without its end; it is valid until the next read.
func (c *conn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("read a header: %w", err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}
