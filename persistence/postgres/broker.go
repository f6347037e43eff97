package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

// BrokerState implements persistence.BrokerLedger.
func (db *DB) BrokerState(ctx context.Context) (persistence.BrokerState, error) {
	var s persistence.BrokerState
	err := db.snapshot(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT topic, partition, pos FROM broker_ends ORDER BY topic, partition`)
		if err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		var e persistence.EndOffset
		_, err = pgx.ForEachRow(rows, []any{&e.Topic, &e.Partition, &e.Offset}, func() error {
			s.Ends = append(s.Ends, e)
			return nil
		})
		if err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		if rows, err = tx.Query(ctx, `SELECT up_to FROM broker_refill`); err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		_, err = pgx.ForEachRow(rows, []any{(*uint64)(&s.Refilled)}, func() error {
			s.Refilling = true
			return nil
		})
		return err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return persistence.BrokerState{}, fmt.Errorf("postgres: read the state of the broker: %w", err)
	}
	return s, nil
}

// SaveEnds implements persistence.BrokerLedger.
func (db *DB) SaveEnds(ctx context.Context, n persistence.Node, ends []persistence.EndOffset) error {
	return db.fenced(ctx, "save the broker's end offsets", n, func(tx pgx.Tx) error {
		var b pgx.Batch
		for _, e := range ends {
			b.Queue(`INSERT INTO broker_ends AS b (topic, partition, pos) VALUES ($1, $2, $3)
				ON CONFLICT (topic, partition) DO UPDATE SET pos = excluded.pos WHERE excluded.pos > b.pos`, e.Topic, e.Partition, e.Offset)
		}
		return tx.SendBatch(ctx, &b).Close() //nolint:wrapcheck // wrapped by fenced
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
		b.Queue(`DELETE FROM broker_ends`)
		b.Queue(`DELETE FROM tails WHERE name = $1`, string(persistence.TailBroker))
		b.Queue(`INSERT INTO tails (name, lane, pos) SELECT $1, x.n - 1, x.pos FROM unnest($2::bigint[]) WITH ORDINALITY AS x (pos, n) WHERE x.pos > 0`,
			string(persistence.TailBroker), positions)
		b.Queue(`INSERT INTO broker_refill (one, up_to) VALUES (true, 0) ON CONFLICT (one) DO UPDATE SET up_to = 0`)
		return tx.SendBatch(ctx, &b).Close() //nolint:wrapcheck // wrapped by fenced
	})
}

// SaveRefill implements persistence.BrokerLedger.
func (db *DB) SaveRefill(ctx context.Context, n persistence.Node, upTo user.ID, done bool) error {
	return db.fenced(ctx, "save the refill of the broker", n, func(tx pgx.Tx) error {
		var err error
		if done {
			_, err = tx.Exec(ctx, `DELETE FROM broker_refill`)
		} else {
			_, err = tx.Exec(ctx, `UPDATE broker_refill SET up_to = $1 WHERE up_to < $1`, clamp(uint64(upTo)))
		}
		return err //nolint:wrapcheck // wrapped by fenced
	})
}
