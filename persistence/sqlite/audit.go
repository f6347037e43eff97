package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

// Snapshot implements persistence.Audit. While it is open the log cannot be
// emptied, so it grows with what is written meanwhile.
func (db *DB) Snapshot(ctx context.Context) (persistence.AuditSnapshot, error) {
	select {
	case <-db.readers.closed:
		return nil, ErrClosed
	default:
	}
	c, err := connect(ctx, db.readers.dsn)
	if err != nil {
		return nil, err
	}
	if _, err := c.exec(ctx, "BEGIN"); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: begin an audit: %w", err), c.close())
	}
	// A transaction sees the state of its first read.
	if err := c.query(ctx, `SELECT next FROM ids`, func([]driver.Value) error { return nil }); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: begin an audit: %w", err), c.close())
	}
	return &audit{c: c}, nil
}

// audit is one read transaction on a connection of its own.
type audit struct{ c *conn }

func (a *audit) Close() error { return a.c.close() }

// selectAudited takes a page of ids from each of the three tables, in order.
const selectAudited = `SELECT id FROM users WHERE id > ? UNION SELECT id FROM deleted_users WHERE id > ?
	UNION SELECT user_id FROM journal WHERE user_id > ? ORDER BY 1 LIMIT +?`

func (a *audit) Users(ctx context.Context, after user.ID, limit int) ([]persistence.AuditedUser, error) {
	users, err := a.users(ctx, clamp(uint64(after)), int64(limit))
	if err != nil {
		return nil, fmt.Errorf("sqlite: audit users after %d: %w", after, err)
	}
	return users, nil
}

func (a *audit) users(ctx context.Context, after, limit int64) ([]persistence.AuditedUser, error) {
	var ids []user.ID
	err := a.c.query(ctx, selectAudited, func(row []driver.Value) error {
		ids = append(ids, user.ID(number(row[0])))
		return nil
	}, after, after, after, limit)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	users := make([]persistence.AuditedUser, len(ids))
	at := make(map[user.ID]*persistence.AuditedUser, len(ids))
	for i, id := range ids {
		users[i].User = id
		at[id] = &users[i]
	}
	asked := ints(ids)

	accounts := make(map[user.ID]*user.Account, len(ids))
	if err := readAccounts(ctx, a.c, ids, accounts); err != nil {
		return nil, err
	}
	for id, account := range accounts {
		at[id].Account = account
	}
	err = a.c.query(ctx, selectTombstones, func(row []driver.Value) error {
		at[user.ID(number(row[0]))].Deleted = true
		return nil
	}, asked)
	if err != nil {
		return nil, err
	}
	err = a.c.query(ctx, `SELECT `+recordColumns+` FROM json_each(?) e CROSS JOIN journal j ON j.user_id = e.value ORDER BY j.user_id, j.seq`, func(row []driver.Value) error {
		r := scanRecord(row)
		at[r.User].Records = append(at[r.User].Records, r)
		return nil
	}, asked)
	if err != nil {
		return nil, err
	}
	err = a.c.query(ctx, selectSnapshots, func(row []driver.Value) error {
		s := &persistence.Snapshot{User: user.ID(number(row[0])), Seq: number(row[1]), State: blob(row[2])}
		at[s.User].Snapshot = s
		return nil
	}, asked)
	if err != nil {
		return nil, err
	}
	for _, list := range [...]struct {
		sql string
		of  func(*persistence.AuditedUser) *[]uint64
	}{
		{`SELECT f.user_id, f.id FROM json_each(?) e CROSS JOIN following f ON f.user_id = e.value ORDER BY f.user_id, f.id`, func(u *persistence.AuditedUser) *[]uint64 { return &u.Following }},
		{`SELECT f.user_id, f.id FROM json_each(?) e CROSS JOIN followers f ON f.user_id = e.value ORDER BY f.user_id, f.id`, func(u *persistence.AuditedUser) *[]uint64 { return &u.Followers }},
		{`SELECT f.user_id, f.id FROM json_each(?) e CROSS JOIN followed_crew f ON f.user_id = e.value ORDER BY f.user_id, f.id`, func(u *persistence.AuditedUser) *[]uint64 { return &u.Crew }},
		{`SELECT f.user_id, f.id FROM json_each(?) e CROSS JOIN followed_studios f ON f.user_id = e.value ORDER BY f.user_id, f.id`, func(u *persistence.AuditedUser) *[]uint64 { return &u.Studios }},
	} {
		err := a.c.query(ctx, list.sql, func(row []driver.Value) error {
			ids := list.of(at[user.ID(number(row[0]))])
			*ids = append(*ids, number(row[1]))
			return nil
		}, asked)
		if err != nil {
			return nil, err
		}
	}
	return users, nil
}

// selectOneSided goes through both tables once and probes the other's primary key.
const selectOneSided = `SELECT f.user_id, f.id, 1 FROM following f
	WHERE NOT EXISTS (SELECT 1 FROM followers r WHERE r.user_id = f.id AND r.id = f.user_id)
	AND EXISTS (SELECT 1 FROM users u WHERE u.id = f.user_id)
	UNION ALL SELECT r.id, r.user_id, 0 FROM followers r
	WHERE NOT EXISTS (SELECT 1 FROM following f WHERE f.user_id = r.id AND f.id = r.user_id)
	AND EXISTS (SELECT 1 FROM users u WHERE u.id = r.user_id)`

func (a *audit) OneSided(ctx context.Context, f func(persistence.OneSidedEdge) error) error {
	err := a.c.query(ctx, selectOneSided, func(row []driver.Value) error {
		return f(persistence.OneSidedEdge{Source: user.ID(number(row[0])), Target: user.ID(number(row[1])), InFollowing: integer(row[2]) != 0})
	})
	if err != nil {
		return fmt.Errorf("sqlite: audit one-sided edges: %w", err)
	}
	return nil
}

func (a *audit) Lane(ctx context.Context, lane uint8, after uint64, limit int) ([]persistence.Record, error) {
	records, err := readRecords(ctx, a.c, readLane, laneArgs(lane, after, limit)...)
	if err != nil {
		return nil, fmt.Errorf("sqlite: audit lane %d after %d: %w", lane, after, err)
	}
	return records, nil
}

func (a *audit) Heads(ctx context.Context) ([persistence.LaneCount]uint64, error) {
	h, err := readHeads(ctx, a.c)
	if err != nil {
		return h, fmt.Errorf("sqlite: audit the heads of the lanes: %w", err)
	}
	return h, nil
}

func (a *audit) Marks(ctx context.Context, tail persistence.TailName) ([persistence.LaneCount]uint64, error) {
	marks, err := readMarks(ctx, a.c, tail)
	if err != nil {
		return marks, fmt.Errorf("sqlite: audit the marks of tail %s: %w", tail, err)
	}
	return marks, nil
}

func (a *audit) Parked(ctx context.Context) ([]persistence.Parked, error) {
	parked, err := readParked(ctx, a.c, `SELECT lane, pos, target, reason, at FROM parked ORDER BY target, at, lane, pos`)
	if err != nil {
		return nil, fmt.Errorf("sqlite: audit the parked effects: %w", err)
	}
	return parked, nil
}

func (a *audit) Severings(ctx context.Context) ([]persistence.Severing, error) {
	severings, err := readSeverings(ctx, a.c)
	if err != nil {
		return nil, fmt.Errorf("sqlite: audit the severings: %w", err)
	}
	return severings, nil
}
