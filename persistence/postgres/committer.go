package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kith/persistence"
)

// committer is the connection that carries the batches, one after another, and
// the heads of the lanes as it left them. It connects when there is something to
// carry and is dropped after any doubt.
type committer struct {
	target   *target
	metrics  *metrics
	settings string // sets what a session cannot keep; "" where it can
	// raised counts the epochs that were raised by this process: others may have
	// written before.
	raised atomic.Uint64

	busy chan struct{} // holds one while a batch is carried; the rest belongs to it

	closed   bool
	conn     *pgx.Conn // nil: to be made
	used     time.Time
	prepared map[part]*statement
	heads    heads
	known    bool   // heads are the newest, as of
	asOf     uint64 // this many raises
	batch    batch
	values   [][]byte
}

// Bounds of the committer.
const (
	maxPrepared = 64          // statements; more are parsed each time
	checkAfter  = time.Second // of idleness, a connection is looked at before it is used
)

func newCommitter(t *target, m *metrics) *committer {
	c := &committer{target: t, metrics: m, busy: make(chan struct{}, 1)}
	if t.bouncer {
		c.settings = setLocal(forCommits)
	}
	return c
}

// setLocal returns a statement that sets what belongs to a purpose until the
// transaction ends.
func setLocal(p purpose) string {
	var b strings.Builder
	for name, value := range p.settings() {
		if strings.HasPrefix(name, "tcp_") { // concerns pgbouncer's connection
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "set_config('%s', '%s', true)", name, value)
	}
	return "SELECT " + b.String()
}

// take waits for the connection to be free. It must be released.
func (c *committer) take(ctx context.Context) error {
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for the batch before: %w: %w", persistence.ErrNotCommitted, ctx.Err())
	}
	if c.closed {
		c.release()
		return ErrClosed
	}
	return nil
}

func (c *committer) release() { <-c.busy }

func (c *committer) close() {
	c.busy <- struct{}{}
	defer c.release()
	c.closed = true
	c.drop(context.Background())
}

// open makes the connection if there is none, or the one there is was ended while
// nothing was under way.
func (c *committer) open(ctx context.Context) error {
	if c.conn != nil && time.Since(c.used) > checkAfter {
		if err := c.conn.Ping(ctx); err != nil {
			c.drop(ctx)
		}
	}
	if c.conn != nil {
		return nil
	}
	conn, err := c.target.connect(ctx, forCommits)
	if err != nil {
		return err
	}
	c.metrics.connects.Inc()
	c.conn, c.prepared = conn, make(map[part]*statement)
	return nil
}

func (c *committer) drop(ctx context.Context) {
	if c.conn != nil {
		closeConn(ctx, c.conn)
	}
	c.conn, c.known = nil, false
}

// learn reads the heads of the lanes unless they are known.
func (c *committer) learn(ctx context.Context) error {
	raised := c.raised.Load()
	if c.known && c.asOf == raised {
		return nil
	}
	h, err := readHeads(ctx, c.conn)
	if err != nil {
		return fmt.Errorf("read the heads of the lanes: %w", err)
	}
	c.heads, c.known, c.asOf = h, true, raised
	return nil
}

// doubt is called when something failed: what is remembered is read again, and a
// connection that may be broken is replaced.
func (c *committer) doubt(ctx context.Context, err error) {
	c.known = false
	if c.conn != nil && (c.conn.IsClosed() || c.conn.PgConn().TxStatus() != 'I' || readOnly(err)) {
		c.drop(ctx)
	}
}

// written is what a statement says of the turns that it was given.
type written struct {
	current  bool     // the fence holds
	ids      []uint64 // of users whose turns were taken
	prepared bool     // the statement is, from now on
}

// statement returns the statement of some parts, prepared if that is worth it.
func (c *committer) statement(p part) (st *statement, fresh bool) {
	if st, ok := c.prepared[p]; ok {
		return st, false
	}
	st = compose(p)
	if !c.target.bouncer && len(c.prepared) < maxPrepared {
		st.name = "kith_" + strconv.FormatUint(uint64(p), 16)
	}
	return st, true
}

// write sends the batch that was filled, and all that belongs to it, at once, and
// returns when the server has committed it, or with the first error. Within a
// transaction that was begun before, the commit is up to that.
func (c *committer) write(ctx context.Context) (written, error) {
	st, fresh := c.statement(c.batch.parts)
	c.values = c.values[:0]
	for _, column := range st.columns {
		c.values = append(c.values, c.batch.value(column))
	}
	binary := []int16{pgx.BinaryFormatCode}
	p := c.conn.PgConn().StartPipeline(ctx)
	if c.settings != "" {
		p.SendQueryParams(c.settings, nil, nil, nil, nil)
	}
	switch {
	case st.name == "":
		p.SendQueryParams(st.text, c.values, nil, binary, binary)
	case fresh:
		p.SendPrepare(st.name, st.text, nil)
		fallthrough
	default:
		p.SendQueryPrepared(st.name, c.values, binary, binary)
	}
	if c.batch.parts&partDelete != 0 {
		p.SendQueryParams(deleteSessions, [][]byte{c.batch.gone.bytes(oidInt8)}, nil, binary, nil)
	}
	w, err := receive(p)
	clear(c.values)
	c.used = time.Now()
	// A statement stays prepared also when it fails.
	if fresh && len(c.prepared) < maxPrepared && (w.prepared || err == nil) {
		c.prepared[c.batch.parts] = st
	}
	return w, err //nolint:wrapcheck // the caller does
}

// receive reads what the server answers, up to the end of the transaction. The
// one row is that of the batch's statement.
func receive(p *pgconn.Pipeline) (w written, err error) {
	err = p.Sync()
	for synced := false; err == nil && !synced; {
		var result any
		if result, err = p.GetResults(); err != nil {
			break
		}
		switch result := result.(type) {
		case *pgconn.PipelineSync:
			synced = true
		case *pgconn.StatementDescription:
			w.prepared = true
		case *pgconn.ResultReader:
			for result.NextRow() {
				if row := result.Values(); len(row) == 2 {
					err = w.read(row)
				}
			}
			if _, e := result.Close(); e != nil {
				err = e
			}
		}
	}
	// The first error is what happened; that the rest is read as well keeps the
	// connection.
	if e := p.Close(); err == nil {
		err = e
	}
	return w, err
}

func (w *written) read(row [][]byte) error {
	w.current = len(row[0]) == 1 && row[0][0] == 1
	if row[1] == nil {
		return nil
	}
	if !readInts(row[1], func(id int64) { w.ids = append(w.ids, uint64(id)) }) { //nolint:gosec // an id
		return errors.New("the server answered with something that is no array of ids")
	}
	return nil
}

// begun runs f in a transaction on the connection, in which write can be called
// more than once.
func (c *committer) begun(ctx context.Context, f func() error) error {
	if _, err := c.conn.Exec(ctx, "BEGIN"); err != nil {
		return notCommitted(fmt.Errorf("begin: %w", err))
	}
	if err := f(); err != nil {
		if _, e := c.conn.Exec(ctx, "ROLLBACK"); e != nil {
			c.drop(ctx) // which undoes it too
		}
		return notCommitted(err)
	}
	tag, err := c.conn.Exec(ctx, "COMMIT")
	switch {
	case err != nil:
		return fmt.Errorf("commit: %w", err)
	case tag.String() != "COMMIT":
		return notCommitted(errors.New("the server rolled back"))
	}
	return nil
}

// mates are the users of a batch, by id.
type mates map[uint64]int

func (m mates) mark(ids []uint64, taken []bool) {
	for _, id := range ids {
		if i, ok := m[id]; ok {
			taken[i] = true
		}
	}
}
