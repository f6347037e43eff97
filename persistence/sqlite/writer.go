package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
)

// Bounds of the writer.
const (
	maxQueuedOps = 1024 // full: the caller waits until its context ends
	maxGroupOps  = 256  // ops of one transaction
)

// ErrClosed is matched when the database was closed. Nothing was written.
var ErrClosed = fmt.Errorf("sqlite: closed: %w", persistence.ErrNotCommitted)

// writer owns the only connection that writes. It takes every op that waits,
// runs them in one transaction and commits once: one fsync for all.
//
// An op that fails undoes nothing of the others: the transaction is rolled back
// and each of its ops runs again in one of its own. An op that is refused before
// it changed a row needs no undoing, so the usual refusals cost nothing.
type writer struct {
	dsn     string
	log     *slog.Logger
	metrics *metrics
	queue   chan *op
	stop    chan struct{} // closed: finish what waits, then end
	stopped chan struct{} // closed by run at its end

	// Only run touches what follows.
	conn  *conn // nil after a failure that may have broken it
	heads heads // the highest position of every lane, as committed
	group []*op
	// commit ends a transaction. Tests replace it to fail at the one moment
	// that cannot be provoked from outside.
	commit func(context.Context, *conn) error
}

type heads [persistence.LaneCount]uint64

// tx is what an op works with.
type tx struct {
	*conn
	heads heads // as the transaction has them so far
	// alone is set when the op runs for the second time, in a transaction of
	// its own, since something in the first failed.
	alone bool
}

// op is one unit of work. It runs once or twice; the first run is undone before
// the second.
type op struct {
	run   func(context.Context, *tx) error
	err   error
	state atomic.Int32
	done  chan struct{}
}

// The states of an op: whoever moves it from opWaiting decides.
const (
	opWaiting int32 = iota
	opTaken
	opWithdrawn
)

func newWriter(dsn string, log *slog.Logger, m *metrics) *writer {
	return &writer{
		dsn: dsn, log: log, metrics: m,
		queue:   make(chan *op, maxQueuedOps),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
		commit: func(ctx context.Context, c *conn) error {
			_, err := c.exec(ctx, "COMMIT")
			return err
		},
	}
}

// do has the writer run f and returns once it is committed. An error matches
// persistence.ErrNotCommitted when it is certain that nothing of f was written.
// f must be able to run twice, and must check all it can before it changes a row.
// The context that f is given never ends.
// Once f was taken, the end of ctx is not waited on: the outcome is.
func (w *writer) do(ctx context.Context, f func(context.Context, *tx) error) error {
	o := &op{run: f, done: make(chan struct{})}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sqlite: %w: %w", persistence.ErrNotCommitted, err)
	}
	select {
	case w.queue <- o:
	case <-w.stop:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("sqlite: wait for the writer: %w: %w", persistence.ErrNotCommitted, ctx.Err())
	}
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
		if o.state.CompareAndSwap(opWaiting, opWithdrawn) {
			return fmt.Errorf("sqlite: wait for the writer: %w: %w", persistence.ErrNotCommitted, ctx.Err())
		}
	case <-w.stopped:
		if o.state.CompareAndSwap(opWaiting, opWithdrawn) {
			return ErrClosed
		}
	}
	<-o.done
	return o.err
}

// open makes the connection and learns the heads.
func (w *writer) open(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	c, err := connect(ctx, w.dsn)
	if err != nil {
		return err
	}
	h, err := readHeads(ctx, c)
	if err != nil {
		return errors.Join(fmt.Errorf("sqlite: read the heads of the lanes: %w", err), c.close())
	}
	w.conn, w.heads = c, h
	return nil
}

// drop gives the connection up; the next transaction opens another.
func (w *writer) drop() {
	if w.conn == nil {
		return
	}
	if err := w.conn.close(); err != nil {
		w.log.Warn("the writing connection did not close", "error", err)
	}
	w.conn = nil
}

// run works until stop is closed and nothing waits. ctx must not end: a
// transaction that was begun is finished.
func (w *writer) run(ctx context.Context) {
	defer close(w.stopped)
	defer w.drop()
	for {
		select {
		case o := <-w.queue:
			w.take(o)
		case <-w.stop:
			select {
			case o := <-w.queue:
				w.take(o)
			default:
				return
			}
		}
		w.gather()
		w.metrics.queued.Set(float64(len(w.queue)))
		if len(w.group) > 0 {
			w.write(ctx)
		}
		clear(w.group)
		w.group = w.group[:0]
	}
}

func (w *writer) take(o *op) {
	if o.state.CompareAndSwap(opWaiting, opTaken) {
		w.group = append(w.group, o)
	}
}

func (w *writer) gather() {
	for len(w.group) < maxGroupOps {
		select {
		case o := <-w.queue:
			w.take(o)
		default:
			return
		}
	}
}

// write commits the group and answers its ops.
func (w *writer) write(ctx context.Context) {
	start := time.Now()
	if again := w.attempt(ctx, w.group, false); again {
		for i := range w.group {
			w.attempt(ctx, w.group[i:i+1], true)
		}
	}
	w.metrics.seconds.Observe(time.Since(start).Seconds())
	w.metrics.group.Observe(float64(len(w.group)))
	for _, o := range w.group {
		close(o.done)
	}
}

// attempt runs ops in one transaction and sets their errors. It reports whether
// each should be tried again alone: one failed, and all was undone.
func (w *writer) attempt(ctx context.Context, ops []*op, alone bool) (again bool) {
	if err := w.open(ctx); err != nil {
		w.failAll(ops, "open", notCommitted(err))
		return false
	}
	if _, err := w.conn.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		w.failAll(ops, "begin", notCommitted(fmt.Errorf("begin: %w", err)))
		w.undo(ctx, err)
		return false
	}
	t := &tx{conn: w.conn, heads: w.heads, alone: alone}
	for _, o := range ops {
		w.conn.changed = false
		o.err = o.run(ctx, t)
		if o.err == nil || (!w.conn.changed && code(o.err) == 0) {
			continue
		}
		o.err = notCommitted(o.err)
		w.metrics.failures.WithLabelValues("run").Inc()
		w.undo(ctx, o.err)
		return !alone
	}
	if err := w.commit(ctx, w.conn); err != nil {
		err = fmt.Errorf("sqlite: commit: %w", err)
		undone := w.undo(ctx, err)
		if certain(err) && undone {
			w.failAll(ops, "commit", notCommitted(err))
			return false
		}
		// What the log holds now is settled by the next commit, which overwrites it.
		w.drop()
		w.failAll(ops, "unknown", err)
		return false
	}
	w.heads = t.heads
	return false
}

// undo rolls back, and replaces the connection if that is in doubt. SQLite rolls
// back by itself after some errors, and then refuses to do it again.
func (w *writer) undo(ctx context.Context, cause error) (undone bool) {
	_, err := w.conn.exec(ctx, "ROLLBACK")
	if suspect(cause) || (err != nil && code(err) != codeError) {
		w.drop()
	}
	return err == nil || code(err) == codeError
}

func (w *writer) failAll(ops []*op, stage string, err error) {
	w.metrics.failures.WithLabelValues(stage).Inc()
	for _, o := range ops {
		o.err = err
	}
}

// notCommitted marks an error after which nothing was written.
func notCommitted(err error) error {
	if errors.Is(err, persistence.ErrNotCommitted) {
		return err
	}
	return fmt.Errorf("%w: %w", persistence.ErrNotCommitted, err)
}

type metrics struct {
	seconds  prometheus.Histogram
	group    prometheus.Histogram
	queued   prometheus.Gauge
	failures *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kith_sqlite_commit_seconds", Help: "Duration of one transaction of the writer, fsync included.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 2, 15),
		}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kith_sqlite_group_ops", Help: "Operations that one transaction of the writer held.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		queued: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kith_sqlite_queued_ops", Help: "Operations that wait for the writer.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_sqlite_failures_total", Help: "Transactions of the writer that failed, by stage: open, begin, run, commit, unknown.",
		}, []string{"stage"}),
	}
	if r != nil {
		r.MustRegister(m.seconds, m.group, m.queued, m.failures)
	}
	return m
}
