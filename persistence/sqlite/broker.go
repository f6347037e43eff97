package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

// BrokerState implements persistence.BrokerLedger.
func (db *DB) BrokerState(ctx context.Context) (persistence.BrokerState, error) {
	var s persistence.BrokerState
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.read(ctx, func() error {
			err := c.query(ctx, `SELECT topic, partition, pos FROM broker_ends ORDER BY topic, partition`, func(row []driver.Value) error {
				s.Ends = append(s.Ends, persistence.EndOffset{Topic: text(row[0]), Partition: int32(integer(row[1])), Offset: integer(row[2])}) //nolint:gosec // stored from an int32
				return nil
			})
			if err != nil {
				return err
			}
			return c.query(ctx, `SELECT up_to FROM broker_refill`, func(row []driver.Value) error {
				s.Refilling, s.Refilled = true, user.ID(number(row[0]))
				return nil
			})
		})
	})
	if err != nil {
		return persistence.BrokerState{}, fmt.Errorf("sqlite: read the state of the broker: %w", err)
	}
	return s, nil
}

// SaveEnds implements persistence.BrokerLedger.
func (db *DB) SaveEnds(ctx context.Context, n persistence.Node, ends []persistence.EndOffset) error {
	return db.fenced(ctx, "save the broker's end offsets", n, func(ctx context.Context, t *tx) error {
		for _, e := range ends {
			if _, err := t.exec(ctx, `INSERT INTO broker_ends (topic, partition, pos) VALUES (?, ?, ?)
				ON CONFLICT (topic, partition) DO UPDATE SET pos = excluded.pos WHERE excluded.pos > pos`, e.Topic, int64(e.Partition), e.Offset); err != nil {
				return err
			}
		}
		return nil
	})
}

// RestartBroker implements persistence.BrokerLedger.
func (db *DB) RestartBroker(ctx context.Context, n persistence.Node, marks [persistence.LaneCount]uint64) error {
	return db.fenced(ctx, "restart the broker", n, func(ctx context.Context, t *tx) error {
		if _, err := t.exec(ctx, `DELETE FROM broker_ends`); err != nil {
			return fmt.Errorf("forget the end offsets: %w", err)
		}
		if _, err := t.exec(ctx, `DELETE FROM tails WHERE name = ?`, string(persistence.TailBroker)); err != nil {
			return fmt.Errorf("forget the marks: %w", err)
		}
		for lane, pos := range marks {
			if pos == 0 {
				continue
			}
			if err := saveMarks(ctx, t, []persistence.Mark{{Tail: persistence.TailBroker, Lane: uint8(lane), Pos: pos}}); err != nil {
				return err
			}
		}
		if _, err := t.exec(ctx, `INSERT INTO broker_refill (one, up_to) VALUES (1, 0) ON CONFLICT (one) DO UPDATE SET up_to = 0`); err != nil {
			return fmt.Errorf("begin the refill: %w", err)
		}
		return nil
	})
}

// SaveRefill implements persistence.BrokerLedger.
func (db *DB) SaveRefill(ctx context.Context, n persistence.Node, upTo user.ID, done bool) error {
	return db.fenced(ctx, "save the refill of the broker", n, func(ctx context.Context, t *tx) error {
		if done {
			_, err := t.exec(ctx, `DELETE FROM broker_refill`)
			return err
		}
		_, err := t.exec(ctx, `UPDATE broker_refill SET up_to = ? WHERE up_to < ?`, clamp(uint64(upTo)), clamp(uint64(upTo)))
		return err
	})
}
