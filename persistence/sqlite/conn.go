package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	modernc "modernc.org/sqlite"
)

// conn is one connection of the driver with its prepared statements. It speaks
// to the driver without database/sql, whose locks, conversions and reflection
// cost as much as a small statement. It is not safe for concurrent use.
type conn struct {
	raw   driver.Conn
	stmts map[string]*prepared
	args  []driver.NamedValue // of the statement that is being started
	// changed is set by every statement that changed a row.
	changed bool
}

// prepared is a statement with the buffer that its rows are read into.
type prepared struct {
	statement
	row []driver.Value
}

type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// dsn names the database file with the pragmas of one connection.
func dsn(path string, busy time.Duration, pragmas ...string) string {
	var b strings.Builder
	b.WriteString("file:")
	b.WriteString(strings.ReplaceAll(url.PathEscape(path), "%2F", "/"))
	b.WriteString("?_pragma=busy_timeout(")
	b.WriteString(strconv.FormatInt(busy.Milliseconds(), 10))
	b.WriteString(")")
	for _, p := range pragmas {
		b.WriteString("&_pragma=")
		b.WriteString(p)
	}
	return b.String()
}

func connect(ctx context.Context, dsn string) (*conn, error) {
	connector, err := modernc.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("sqlite: data source name: %w", err)
	}
	raw, err := connector.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open a connection: %w", err)
	}
	return &conn{raw: raw, stmts: make(map[string]*prepared)}, nil
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		// What matters is that the connection closes; it says if it does not.
		_ = s.Close()
	}
	if err := c.raw.Close(); err != nil {
		return fmt.Errorf("sqlite: close a connection: %w", err)
	}
	return nil
}

// prepare returns the statement of sql, which it keeps. There are as many as
// there are constants in this package.
//
// They say LIMIT +?, since SQLite plans by the value of a plain LIMIT ?, and so
// would prepare the statement anew whenever one is bound: 30 µs.
func (c *conn) prepare(sql string) (*prepared, error) {
	if s, ok := c.stmts[sql]; ok {
		return s, nil
	}
	// The driver caches a statement only if nothing follows it.
	raw, err := c.raw.Prepare(strings.TrimSpace(sql))
	if err != nil {
		return nil, fmt.Errorf("sqlite: prepare: %w", err)
	}
	st, ok := raw.(statement)
	if !ok {
		return nil, errors.Join(errors.New("sqlite: the driver's statements take no context"), raw.Close())
	}
	s := &prepared{statement: st}
	c.stmts[sql] = s
	return s, nil
}

func (c *conn) bind(args []driver.Value) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// exec runs a statement and returns how many rows it changed; that is
// meaningless for statements that are no INSERT, UPDATE or DELETE. With a context
// that can end, the driver starts a goroutine for each statement.
func (c *conn) exec(ctx context.Context, sql string, args ...driver.Value) (int64, error) {
	s, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(ctx, c.bind(args))
	if err != nil {
		return 0, err //nolint:wrapcheck // wrapped by the operation, which knows its key
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("sqlite: rows changed: %w", err)
	}
	if n > 0 {
		c.changed = true
	}
	return n, nil
}

// query calls each with every row; the row is valid during the call.
func (c *conn) query(ctx context.Context, sql string, each func(row []driver.Value) error, args ...driver.Value) (err error) {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, c.bind(args))
	if err != nil {
		return err //nolint:wrapcheck // wrapped by the operation, which knows its key
	}
	defer func() {
		if e := rows.Close(); e != nil && err == nil {
			err = e
		}
	}()
	if s.row == nil {
		s.row = make([]driver.Value, len(rows.Columns()))
	}
	defer clear(s.row)
	for {
		switch err := rows.Next(s.row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err //nolint:wrapcheck // wrapped by the operation, which knows its key
		}
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // wrapped by the operation, which knows its key
		}
		if err := each(s.row); err != nil {
			return err
		}
	}
}

// read runs f in one read transaction, so that all its queries see one state.
func (c *conn) read(ctx context.Context, f func() error) error {
	if _, err := c.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	err := f()
	if _, e := c.exec(ctx, "ROLLBACK"); e != nil {
		return errors.Join(err, &brokenError{e})
	}
	return err
}

// brokenError marks an error after which the connection is in no known state.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return "sqlite: connection: " + e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// The columns of STRICT tables hold what they say, so that a value of another
// type can only be NULL.

func integer(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func number(v driver.Value) uint64 { return uint64(integer(v)) } //nolint:gosec // stored as int64, never negative

func text(v driver.Value) string {
	s, _ := v.(string)
	return s
}

func blob(v driver.Value) []byte {
	b, _ := v.([]byte)
	return b
}

func moment(v driver.Value) time.Time { return time.UnixMicro(integer(v)).UTC() }

// ints encodes ids for json_each.
func ints[T ~uint64](ids []T) string {
	b := make([]byte, 0, 2+8*len(ids))
	b = append(b, '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(id), 10)
	}
	return string(append(b, ']'))
}
