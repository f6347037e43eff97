package sqlite

import (
	"context"
	"errors"
	"fmt"
)

// readers is a pool of connections that only read. They see what is committed,
// beside the writer and without waiting for it.
type readers struct {
	dsn    string
	free   chan *conn // nil: to be opened; empty: the caller waits until its context ends
	closed chan struct{}
}

func newReaders(dsn string, n int) *readers {
	r := &readers{dsn: dsn, free: make(chan *conn, n), closed: make(chan struct{})}
	for range n {
		r.free <- nil
	}
	return r
}

// with lends a connection to f.
func (r *readers) with(ctx context.Context, f func(*conn) error) error {
	var c *conn
	select {
	case c = <-r.free:
	default:
		select {
		case c = <-r.free:
		case <-r.closed:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("sqlite: wait for a reader: %w", ctx.Err())
		}
	}
	defer func() { r.free <- c }()
	select {
	case <-r.closed:
		return ErrClosed
	default:
	}
	if c == nil {
		opened, err := connect(ctx, r.dsn)
		if err != nil {
			return err
		}
		c = opened
	}
	err := f(c)
	if err != nil && suspect(err) {
		err = errors.Join(err, c.close())
		c = nil
	}
	return err
}

// close waits for the readers that are at work.
func (r *readers) close() error {
	close(r.closed)
	var errs []error
	for range cap(r.free) {
		if c := <-r.free; c != nil {
			errs = append(errs, c.close())
		}
	}
	for range cap(r.free) {
		r.free <- nil
	}
	return errors.Join(errs...)
}

// get runs f on a lent connection without giving the driver a context that can
// end, for which it would start a goroutine a statement; for reads that are over
// in microseconds.
func (r *readers) get(ctx context.Context, f func(context.Context, *conn) error) error {
	return r.with(ctx, func(c *conn) error { return f(context.WithoutCancel(ctx), c) })
}
