package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// Acquire implements persistence.Lanes: the one node takes all lanes. A restart
// of the same node goes ahead at once; the live lease of another is refused with
// an error matching persistence.ErrLeased.
func (db *DB) Acquire(ctx context.Context, id string, lease time.Duration) (persistence.Node, error) {
	n := persistence.Node{ID: id}
	now := db.cfg.Now()
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		var leased *persistence.LeasedError
		err := t.query(ctx, `SELECT id, lease_until FROM nodes WHERE id <> ? AND lease_until > ? AND id IN (SELECT node FROM lanes)
			ORDER BY lease_until DESC LIMIT 1`, func(row []driver.Value) error {
			leased = &persistence.LeasedError{Node: text(row[0]), Until: moment(row[1])}
			return nil
		}, id, now.UnixMicro())
		switch {
		case err != nil:
			return fmt.Errorf("read the leases: %w", err)
		case leased != nil:
			return leased
		}
		// Whoever had lanes is fenced before they are taken over.
		if _, err := t.exec(ctx, `UPDATE nodes SET epoch = epoch + 1 WHERE id <> ? AND id IN (SELECT node FROM lanes)`, id); err != nil {
			return fmt.Errorf("fence the former owner: %w", err)
		}
		if _, err := t.exec(ctx, `INSERT INTO nodes (id, epoch, lease_until) VALUES (?, 1, ?)
			ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1, lease_until = excluded.lease_until`, id, now.Add(lease).UnixMicro()); err != nil {
			return fmt.Errorf("raise the epoch: %w", err)
		}
		for lane := range int64(persistence.LaneCount) {
			if _, err := t.exec(ctx, `INSERT INTO lanes (lane, node) VALUES (?, ?) ON CONFLICT (lane) DO UPDATE SET node = excluded.node`, lane, id); err != nil {
				return fmt.Errorf("take lane %d: %w", lane, err)
			}
		}
		return t.query(ctx, `SELECT epoch FROM nodes WHERE id = ?`, func(row []driver.Value) error {
			n.Epoch = number(row[0])
			return nil
		}, id)
	})
	if err != nil {
		return persistence.Node{}, fmt.Errorf("sqlite: acquire the lanes for node %s: %w", id, err)
	}
	return n, nil
}

// Renew implements persistence.Lanes.
func (db *DB) Renew(ctx context.Context, n persistence.Node, lease time.Duration) error {
	until := db.cfg.Now().Add(lease).UnixMicro()
	return db.fenced(ctx, "renew the lease", n, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `UPDATE nodes SET lease_until = ? WHERE id = ?`, until, n.ID)
		return err
	})
}

// Raise implements persistence.Lanes. It goes through the writer like every
// batch, so the batches before it are settled.
func (db *DB) Raise(ctx context.Context, n persistence.Node) (persistence.Node, error) {
	err := db.fenced(ctx, "raise the epoch", n, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `UPDATE nodes SET epoch = epoch + 1 WHERE id = ?`, n.ID)
		return err
	})
	if err != nil {
		return persistence.Node{}, err
	}
	return persistence.Node{ID: n.ID, Epoch: n.Epoch + 1}, nil
}

// fenced runs f in a transaction behind the fence of n.
func (db *DB) fenced(ctx context.Context, what string, n persistence.Node, f func(context.Context, *tx) error) error {
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		if err := fence(ctx, t, n); err != nil {
			return err
		}
		return f(ctx, t)
	})
	if err != nil {
		return fmt.Errorf("sqlite: %s: %w", what, err)
	}
	return nil
}

// Marks implements persistence.Lanes.
func (db *DB) Marks(ctx context.Context, tail persistence.TailName) ([persistence.LaneCount]uint64, error) {
	var marks [persistence.LaneCount]uint64
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) (err error) {
		marks, err = readMarks(ctx, c, tail)
		return err
	})
	if err != nil {
		return marks, fmt.Errorf("sqlite: read the marks of tail %s: %w", tail, err)
	}
	return marks, nil
}

func readMarks(ctx context.Context, c *conn, tail persistence.TailName) ([persistence.LaneCount]uint64, error) {
	var marks [persistence.LaneCount]uint64
	err := c.query(ctx, `SELECT lane, pos FROM tails WHERE name = ?`, func(row []driver.Value) error {
		marks[integer(row[0])] = number(row[1])
		return nil
	}, string(tail))
	return marks, err
}

// Park implements persistence.Lanes.
func (db *DB) Park(ctx context.Context, n persistence.Node, parked []persistence.Parked) error {
	return db.fenced(ctx, "park effects", n, func(ctx context.Context, t *tx) error {
		for _, p := range parked {
			if _, err := t.exec(ctx, `INSERT INTO parked (target, at, lane, pos, reason) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
				int64(p.Target), p.At.UnixMicro(), int64(p.Lane), int64(p.Pos), p.Reason); err != nil { //nolint:gosec // ids and positions fit
				return err
			}
		}
		return nil
	})
}

// Unpark implements persistence.Lanes.
func (db *DB) Unpark(ctx context.Context, n persistence.Node, parked []persistence.Parked) error {
	return db.fenced(ctx, "unpark effects", n, func(ctx context.Context, t *tx) error {
		for _, p := range parked {
			if _, err := t.exec(ctx, `DELETE FROM parked WHERE target = ? AND lane = ? AND pos = ?`, int64(p.Target), int64(p.Lane), int64(p.Pos)); err != nil { //nolint:gosec // ids and positions fit
				return err
			}
		}
		return nil
	})
}

const selectParked = `SELECT lane, pos, target, reason, at FROM parked WHERE target = ? ORDER BY lane, pos LIMIT +?`

// ParkedEffects implements persistence.Lanes. From the primary key.
func (db *DB) ParkedEffects(ctx context.Context, target user.ID, limit int) ([]persistence.Parked, error) {
	var parked []persistence.Parked
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) (err error) {
		parked, err = readParked(ctx, c, selectParked, int64(target), int64(limit)) //nolint:gosec // ids fit
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: read the parked effects of user %d: %w", target, err)
	}
	return parked, nil
}

func readParked(ctx context.Context, c *conn, sql string, args ...driver.Value) ([]persistence.Parked, error) {
	var parked []persistence.Parked
	err := c.query(ctx, sql, func(row []driver.Value) error {
		parked = append(parked, persistence.Parked{
			Lane: uint8(number(row[0])), Pos: number(row[1]), Target: user.ID(number(row[2])), Reason: text(row[3]), At: moment(row[4]), //nolint:gosec // lanes fit
		})
		return nil
	}, args...)
	return parked, err
}

// ParkedTargets implements persistence.Lanes.
func (db *DB) ParkedTargets(ctx context.Context) (map[user.ID]int, error) {
	targets := make(map[user.ID]int)
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.query(ctx, `SELECT target, count(*) FROM parked GROUP BY target`, func(row []driver.Value) error {
			targets[user.ID(number(row[0]))] = int(integer(row[1]))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: count the parked effects: %w", err)
	}
	return targets, nil
}
