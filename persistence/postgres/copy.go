package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
)

// copyChunk is how many bytes of rows a table keeps before it writes them.
const copyChunk = 4 << 20

// copier writes rows into a table by COPY, in its binary form. It does so chunk by
// chunk, since a connection carries one COPY at a time and several tables are
// filled side by side.
type copier struct {
	conn    *pgx.Conn
	table   string
	command string
	columns uint16
	rows    array
}

// newCopier returns a copier into columns of a table that was emptied by the
// transaction of conn: the rows are written as if they had been there long ago.
func newCopier(conn *pgx.Conn, table, columns string) *copier {
	c := &copier{
		conn: conn, table: table, columns: uint16(strings.Count(columns, ",") + 1), //nolint:gosec // a few
		command: "COPY " + table + " (" + columns + ") FROM STDIN WITH (FORMAT binary, FREEZE)",
	}
	c.rows.reset()
	return c
}

// row returns where to append the columns of the next row, all of them.
func (c *copier) row() *array {
	c.rows.buf = binary.BigEndian.AppendUint16(c.rows.buf, c.columns)
	return &c.rows
}

// end is called after each row. It writes the rows when there are enough.
func (c *copier) end(ctx context.Context) error {
	if len(c.rows.buf) < copyChunk {
		return nil
	}
	return c.flush(ctx)
}

// flush writes what end has not.
func (c *copier) flush(ctx context.Context) error {
	rows := c.rows.buf[arrayHeader:]
	if len(rows) == 0 {
		return nil
	}
	const (
		header  = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" // signature, flags, no extension
		trailer = "\xff\xff"
	)
	from := io.MultiReader(strings.NewReader(header), bytes.NewReader(rows), strings.NewReader(trailer))
	if _, err := c.conn.PgConn().CopyFrom(ctx, from, c.command); err != nil {
		return fmt.Errorf("write %s: %w", c.table, err)
	}
	c.rows.buf, c.rows.n = c.rows.buf[:arrayHeader], 0
	return nil
}
