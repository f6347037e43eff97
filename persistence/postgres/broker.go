package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

// The statements of the ledger, whose tables are small.
const (
	selectEnds = `SELECT e.topic, e.partition, e.pos FROM broker_ends e ORDER BY e.topic, e.partition`
	saveEnd    = `INSERT INTO broker_ends AS e (topic, partition, pos) SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[])
	ON CONFLICT (topic, partition) DO UPDATE SET pos = excluded.pos WHERE excluded.pos > e.pos`
	forgetEnds   = `DELETE FROM broker_ends`
	selectRefill = `SELECT r.up_to FROM broker_refill r`
	beginRefill  = `INSERT INTO broker_refill (one, up_to) VALUES (true, 0) ON CONFLICT (one) DO UPDATE SET up_to = 0`
	saveRefill   = `UPDATE broker_refill SET up_to = $1 WHERE up_to < $1`
	endRefill    = `DELETE FROM broker_refill`
	forgetMarks  = `DELETE FROM tails WHERE name = $1`
	setMarks     = `INSERT INTO tails (name, lane, pos) SELECT $1, x.n - 1, x.pos FROM unnest($2::bigint[]) WITH ORDINALITY AS x (pos, n) WHERE x.pos > 0`
)

// BrokerState implements persistence.BrokerLedger: one round trip, which sees one
// state.
func (db *DB) BrokerState(ctx context.Context) (persistence.BrokerState, error) {
	var (
		s persistence.BrokerState
		b pgx.Batch
	)
	b.Queue(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
	b.Queue(selectEnds).Query(func(rows pgx.Rows) error {
		var e persistence.EndOffset
		_, err := pgx.ForEachRow(rows, []any{&e.Topic, &e.Partition, &e.Offset}, func() error {
			s.Ends = append(s.Ends, e)
			return nil
		})
		return err //nolint:wrapcheck // wrapped below
	})
	b.Queue(selectRefill).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{(*uint64)(&s.Refilled)}, func() error {
			s.Refilling = true
			return nil
		})
		return err //nolint:wrapcheck // wrapped below
	})
	b.Queue(`COMMIT`)
	if err := db.reads.SendBatch(ctx, &b).Close(); err != nil {
		return persistence.BrokerState{}, fmt.Errorf("postgres: read the state of the broker: %w", fault(err))
	}
	return s, nil
}

// SaveEnds implements persistence.BrokerLedger.
func (db *DB) SaveEnds(ctx context.Context, n persistence.Node, ends []persistence.EndOffset) error {
	// One row a partition: a statement does not write a row twice.
	type partition struct {
		topic  string
		number int32
	}
	last := make(map[partition]int64, len(ends))
	for _, e := range ends {
		p := partition{e.Topic, e.Partition}
		last[p] = max(last[p], e.Offset)
	}
	var (
		topics  []string
		numbers []int32
		offsets []int64
	)
	for p, offset := range last {
		topics, numbers, offsets = append(topics, p.topic), append(numbers, p.number), append(offsets, offset)
	}
	return db.fenced(ctx, "save the broker's end offsets", n, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, saveEnd, topics, numbers, offsets)
		return err //nolint:wrapcheck // wrapped by fenced
	})
}

// RestartBroker implements persistence.BrokerLedger.
func (db *DB) RestartBroker(ctx context.Context, n persistence.Node, marks [persistence.LaneCount]uint64) error {
	positions := make([]int64, len(marks))
	for lane, pos := range marks {
		positions[lane] = clamp(pos)
	}
	return db.fenced(ctx, "restart the broker", n, func(tx pgx.Tx) error {
		var b pgx.Batch
		b.Queue(forgetEnds)
		b.Queue(forgetMarks, string(persistence.TailBroker))
		b.Queue(setMarks, string(persistence.TailBroker), positions)
		b.Queue(beginRefill)
		return tx.SendBatch(ctx, &b).Close() //nolint:wrapcheck // wrapped by fenced
	})
}

// SaveRefill implements persistence.BrokerLedger.
func (db *DB) SaveRefill(ctx context.Context, n persistence.Node, upTo user.ID, done bool) error {
	return db.fenced(ctx, "save the refill of the broker", n, func(tx pgx.Tx) error {
		var err error
		if done {
			_, err = tx.Exec(ctx, endRefill)
		} else {
			_, err = tx.Exec(ctx, saveRefill, clamp(uint64(upTo)))
		}
		return err //nolint:wrapcheck // wrapped by fenced
	})
}
