package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

// ownership is the key of the advisory lock of whoever takes lanes ("Lane" in
// ASCII).
const ownership = 1281453669

// selectLeased returns the newest live lease of another node that owns lanes.
const selectLeased = `SELECT id, lease_until FROM nodes WHERE id <> $1 AND lease_until > clock_timestamp() AND id IN (SELECT node FROM lanes)
	ORDER BY lease_until DESC LIMIT 1`

// Acquire implements persistence.Lanes: the one node takes all lanes. A restart
// of the same node goes ahead at once; the live lease of another is refused with
// an error matching persistence.ErrLeased.
//
// Leases go by the clock of the database. All who compare a lease with the time
// then compare with the same clock, and no node can take what another still holds
// because their clocks differ. A node that asks for a lease counts it by its own
// clock from before it asked, so for itself it ends no later than here.
func (db *DB) Acquire(ctx context.Context, id string, lease time.Duration) (persistence.Node, error) {
	n := persistence.Node{ID: id}
	err := db.wrote(within(ctx, db.leases, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(ownership)); err != nil {
			return fmt.Errorf("wait for whoever takes lanes: %w", err)
		}
		leased := new(persistence.LeasedError)
		err := tx.QueryRow(ctx, selectLeased, id).Scan(&leased.Node, &leased.Until)
		switch {
		case err == nil:
			leased.Until = leased.Until.UTC()
			return leased
		case !errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("read the leases: %w", err)
		}
		// Whoever had lanes is fenced before they are taken over; that waits for its
		// last batch.
		if _, err := tx.Exec(ctx, `UPDATE nodes SET epoch = epoch + 1 WHERE id <> $1 AND id IN (SELECT node FROM lanes)`, id); err != nil {
			return fmt.Errorf("fence the former owner: %w", err)
		}
		if err := tx.QueryRow(ctx, `INSERT INTO nodes (id, epoch, lease_until) VALUES ($1, 1, clock_timestamp() + $2 * interval '1 microsecond')
			ON CONFLICT (id) DO UPDATE SET epoch = nodes.epoch + 1, lease_until = excluded.lease_until RETURNING epoch`,
			id, lease.Microseconds()).Scan(&n.Epoch); err != nil {
			return fmt.Errorf("raise the epoch: %w", err)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO lanes (lane, node) SELECT lane, $1 FROM generate_series(0, $2 - 1) AS lane
			ON CONFLICT (lane) DO UPDATE SET node = excluded.node`, id, persistence.LaneCount); err != nil {
			return fmt.Errorf("take the lanes: %w", err)
		}
		return nil
	}))
	db.committer.raised.Add(1) // also when nobody knows
	if err != nil {
		return persistence.Node{}, fmt.Errorf("postgres: acquire the lanes for node %s: %w", id, err)
	}
	return n, nil
}

// Renew implements persistence.Lanes. It changes no key, so it does not wait for a
// batch.
func (db *DB) Renew(ctx context.Context, n persistence.Node, lease time.Duration) error {
	tag, err := db.leases.Exec(ctx, `UPDATE nodes SET lease_until = clock_timestamp() + $3 * interval '1 microsecond' WHERE id = $1 AND epoch = $2`,
		n.ID, n.Epoch, lease.Microseconds())
	if err == nil && tag.RowsAffected() == 0 {
		err = fencedError(n)
	}
	if err != nil {
		return fmt.Errorf("postgres: renew the lease: %w", settled(db.wrote(err)))
	}
	return nil
}

// Raise implements persistence.Lanes. The epoch is part of a key, so it waits for
// the batch that has the row locked, even one that this process has given up.
func (db *DB) Raise(ctx context.Context, n persistence.Node) (persistence.Node, error) {
	tag, err := db.leases.Exec(ctx, `UPDATE nodes SET epoch = epoch + 1 WHERE id = $1 AND epoch = $2`, n.ID, n.Epoch)
	db.committer.raised.Add(1) // also when nobody knows
	if err == nil && tag.RowsAffected() == 0 {
		err = fencedError(n)
	}
	if err != nil {
		return persistence.Node{}, fmt.Errorf("postgres: raise the epoch: %w", settled(db.wrote(err)))
	}
	return persistence.Node{ID: n.ID, Epoch: n.Epoch + 1}, nil
}

// Marks implements persistence.Lanes.
func (db *DB) Marks(ctx context.Context, tail persistence.TailName) ([persistence.LaneCount]uint64, error) {
	marks, err := readMarks(ctx, db.writes, tail)
	if err != nil {
		return marks, fmt.Errorf("postgres: read the marks of tail %s: %w", tail, fault(err))
	}
	return marks, nil
}

func readMarks(ctx context.Context, q querier, tail persistence.TailName) ([persistence.LaneCount]uint64, error) {
	var marks [persistence.LaneCount]uint64
	rows, err := q.Query(ctx, `SELECT lane, pos FROM tails WHERE name = $1`, string(tail))
	if err != nil {
		return marks, err //nolint:wrapcheck // wrapped by the operation
	}
	var (
		lane int16
		pos  uint64
	)
	_, err = pgx.ForEachRow(rows, []any{&lane, &pos}, func() error {
		marks[lane] = pos
		return nil
	})
	return marks, err //nolint:wrapcheck // wrapped by the operation
}

// parkedColumns are the key of parked effects, as arrays.
func parkedColumns(parked []persistence.Parked) (targets, positions []int64, lanes []int16) {
	for _, p := range parked {
		targets, positions, lanes = append(targets, int64(p.Target)), append(positions, int64(p.Pos)), append(lanes, int16(p.Lane)) //nolint:gosec // ids and positions fit
	}
	return targets, positions, lanes
}

// Park implements persistence.Lanes.
func (db *DB) Park(ctx context.Context, n persistence.Node, parked []persistence.Parked) error {
	targets, positions, lanes := parkedColumns(parked)
	times, reasons := make([]time.Time, len(parked)), make([]string, len(parked))
	for i, p := range parked {
		times[i], reasons[i] = p.At, p.Reason
	}
	return db.fenced(ctx, "park effects", n, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO parked (target, lane, pos, at, reason)
			SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::timestamptz[], $5::text[]) ON CONFLICT DO NOTHING`,
			targets, lanes, positions, times, reasons)
		return err //nolint:wrapcheck // wrapped by fenced
	})
}

// Unpark implements persistence.Lanes.
func (db *DB) Unpark(ctx context.Context, n persistence.Node, parked []persistence.Parked) error {
	targets, positions, lanes := parkedColumns(parked)
	return db.fenced(ctx, "unpark effects", n, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM parked p USING unnest($1::bigint[], $2::smallint[], $3::bigint[]) AS x (target, lane, pos)
			WHERE p.target = x.target AND p.lane = x.lane AND p.pos = x.pos`, targets, lanes, positions)
		return err //nolint:wrapcheck // wrapped by fenced
	})
}

const selectParked = `SELECT lane, pos, target, reason, at FROM parked WHERE target = $1 ORDER BY lane, pos LIMIT $2`

// ParkedEffects implements persistence.Lanes. From the primary key.
func (db *DB) ParkedEffects(ctx context.Context, target user.ID, limit int) ([]persistence.Parked, error) {
	parked, err := readParked(ctx, db.reads, selectParked, int64(target), limit) //nolint:gosec // ids fit
	if err != nil {
		return nil, fmt.Errorf("postgres: read the parked effects of user %d: %w", target, fault(err))
	}
	return parked, nil
}

func readParked(ctx context.Context, q querier, sql string, args ...any) ([]persistence.Parked, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the operation
	}
	var (
		parked []persistence.Parked
		lane   int16
		p      persistence.Parked
	)
	_, err = pgx.ForEachRow(rows, []any{&lane, &p.Pos, (*uint64)(&p.Target), &p.Reason, &p.At}, func() error {
		p.Lane, p.At = uint8(lane), p.At.UTC() //nolint:gosec // stored from a lane
		parked = append(parked, p)
		return nil
	})
	return parked, err //nolint:wrapcheck // wrapped by the operation
}

// ParkedTargets implements persistence.Lanes.
func (db *DB) ParkedTargets(ctx context.Context) (map[user.ID]int, error) {
	targets := make(map[user.ID]int)
	rows, err := db.reads.Query(ctx, `SELECT target, count(*) FROM parked GROUP BY target`)
	if err == nil {
		var (
			target uint64
			n      int
		)
		_, err = pgx.ForEachRow(rows, []any{&target, &n}, func() error {
			targets[user.ID(target)] = n
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: count the parked effects: %w", fault(err))
	}
	return targets, nil
}
