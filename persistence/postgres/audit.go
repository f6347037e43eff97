package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/actors/user"
	"kith/persistence"
)

// Snapshot implements persistence.Audit. While it is open, what is deleted keeps
// its room.
func (db *DB) Snapshot(ctx context.Context) (persistence.AuditSnapshot, error) {
	conn, err := db.reads.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("postgres: begin an audit: %w", fault(err))
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		conn.Release()
		return nil, fmt.Errorf("postgres: begin an audit: %w", fault(err))
	}
	a := &audit{conn: conn, tx: tx}
	// A transaction sees the state as of its first statement, this one.
	if _, err := tx.Exec(ctx, patient); err != nil {
		return nil, errors.Join(fmt.Errorf("postgres: begin an audit: %w", fault(err)), a.Close()) //nolint:contextcheck // see Close
	}
	return a, nil
}

// audit is one read transaction.
type audit struct {
	conn *pgxpool.Conn
	tx   pgx.Tx
}

func (a *audit) Close() error {
	defer a.conn.Release()
	// Whoever closes may have no time left; it only reads.
	if err := a.tx.Rollback(context.Background()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		return fmt.Errorf("postgres: end an audit: %w", err)
	}
	return nil
}

// The queries of an audit. selectAudited takes a page of ids from each of the three
// tables, in order of their keys; the journal's ids are skipped over.
const (
	selectAudited = `SELECT x.id FROM (
		(SELECT u.id FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2)
		UNION (SELECT d.id FROM deleted_users d WHERE d.id > $1 ORDER BY d.id LIMIT $2)
		UNION (WITH RECURSIVE w (id, n) AS (
			SELECT (SELECT j.user_id FROM journal j WHERE j.user_id > $1 ORDER BY j.user_id LIMIT 1), 1
			UNION ALL SELECT (SELECT j.user_id FROM journal j WHERE j.user_id > w.id ORDER BY j.user_id LIMIT 1), w.n + 1 FROM w WHERE w.id IS NOT NULL AND w.n < $2
		) SELECT w.id FROM w WHERE w.id IS NOT NULL)
	) x ORDER BY x.id LIMIT $2`
	auditTombstones = `SELECT d.id FROM deleted_users d WHERE d.id = ANY ($1)`
	auditRecords    = `SELECT ` + recordColumns + ` FROM journal j WHERE j.user_id = ANY ($1) ORDER BY j.user_id, j.seq`
	auditSnapshots  = `SELECT s.user_id, s.seq, s.state FROM snapshots s WHERE s.user_id = ANY ($1)`
	// auditOneSided joins each table with the other once.
	auditOneSided = `SELECT f.user_id, f.id, true FROM following f
	WHERE NOT EXISTS (SELECT 1 FROM followers r WHERE r.user_id = f.id AND r.id = f.user_id)
	AND EXISTS (SELECT 1 FROM users u WHERE u.id = f.user_id)
	UNION ALL SELECT r.id, r.user_id, false FROM followers r
	WHERE NOT EXISTS (SELECT 1 FROM following f WHERE f.user_id = r.id AND f.id = r.user_id)
	AND EXISTS (SELECT 1 FROM users u WHERE u.id = r.user_id)`
	auditParked = `SELECT lane, pos, target, reason, at FROM parked ORDER BY target, lane, pos`
)

func (a *audit) Users(ctx context.Context, after user.ID, limit int) ([]persistence.AuditedUser, error) {
	users, err := a.users(ctx, clamp(uint64(after)), limit)
	if err != nil {
		return nil, fmt.Errorf("postgres: audit users after %d: %w", after, fault(err))
	}
	return users, nil
}

func (a *audit) users(ctx context.Context, after int64, limit int) ([]persistence.AuditedUser, error) {
	rows, err := a.tx.Query(ctx, selectAudited, after, limit)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by Users
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(ids) == 0 {
		return nil, err //nolint:wrapcheck // wrapped by Users
	}
	users := make([]persistence.AuditedUser, len(ids))
	at := make(map[user.ID]*persistence.AuditedUser, len(ids))
	asked := make([]user.ID, len(ids))
	for i, id := range ids {
		asked[i] = user.ID(id) //nolint:gosec // stored as one
		users[i].User = asked[i]
		at[asked[i]] = &users[i]
	}
	accounts, err := readAccounts(ctx, a.tx, asked)
	if err != nil {
		return nil, err
	}
	for id, account := range accounts {
		at[id].Account = account
	}
	var b pgx.Batch
	b.Queue(auditTombstones, ids).Query(func(rows pgx.Rows) error {
		var id uint64
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			at[user.ID(id)].Deleted = true
			return nil
		})
		return err //nolint:wrapcheck // wrapped by Users
	})
	b.Queue(auditRecords, ids).Query(func(rows pgx.Rows) error {
		return eachRecord(rows, func(r persistence.Record) { at[r.User].Records = append(at[r.User].Records, r) })
	})
	b.Queue(auditSnapshots, ids).Query(func(rows pgx.Rows) error {
		var s persistence.Snapshot
		_, err := pgx.ForEachRow(rows, []any{(*uint64)(&s.User), &s.Seq, &s.State}, func() error {
			one := s
			at[s.User].Snapshot, s.State = &one, nil
			return nil
		})
		return err //nolint:wrapcheck // wrapped by Users
	})
	for i, list := range lists() {
		b.Queue(`SELECT f.user_id, f.id FROM `+list+` f WHERE f.user_id = ANY ($1) ORDER BY f.user_id, f.id`, ids).Query(func(rows pgx.Rows) error {
			var id, other uint64
			_, err := pgx.ForEachRow(rows, []any{&id, &other}, func() error {
				u := at[user.ID(id)]
				of := [...]*[]uint64{&u.Following, &u.Followers, &u.Crew, &u.Studios}[i]
				*of = append(*of, other)
				return nil
			})
			return err //nolint:wrapcheck // wrapped by Users
		})
	}
	return users, a.tx.SendBatch(ctx, &b).Close() //nolint:wrapcheck // wrapped by Users
}

func (a *audit) OneSided(ctx context.Context, f func(persistence.OneSidedEdge) error) error {
	rows, err := a.tx.Query(ctx, auditOneSided)
	if err == nil {
		var e persistence.OneSidedEdge
		_, err = pgx.ForEachRow(rows, []any{(*uint64)(&e.Source), (*uint64)(&e.Target), &e.InFollowing}, func() error { return f(e) })
	}
	if err != nil {
		return fmt.Errorf("postgres: audit one-sided edges: %w", fault(err))
	}
	return nil
}

func (a *audit) Lane(ctx context.Context, lane uint8, after uint64, limit int) ([]persistence.Record, error) {
	records, err := readRecords(ctx, a.tx, readLane, laneArgs(lane, after, limit)...)
	if err != nil {
		return nil, fmt.Errorf("postgres: audit lane %d after %d: %w", lane, after, fault(err))
	}
	return records, nil
}

func (a *audit) Heads(ctx context.Context) ([persistence.LaneCount]uint64, error) {
	h, err := readHeads(ctx, a.tx)
	if err != nil {
		return h, fmt.Errorf("postgres: audit the heads of the lanes: %w", fault(err))
	}
	return h, nil
}

func (a *audit) Marks(ctx context.Context, tail persistence.TailName) ([persistence.LaneCount]uint64, error) {
	marks, err := readMarks(ctx, a.tx, tail)
	if err != nil {
		return marks, fmt.Errorf("postgres: audit the marks of tail %s: %w", tail, fault(err))
	}
	return marks, nil
}

func (a *audit) Parked(ctx context.Context) ([]persistence.Parked, error) {
	parked, err := readParked(ctx, a.tx, auditParked)
	if err != nil {
		return nil, fmt.Errorf("postgres: audit the parked effects: %w", fault(err))
	}
	return parked, nil
}

func (a *audit) Severings(ctx context.Context) ([]persistence.Severing, error) {
	severings, err := readSeverings(ctx, a.tx)
	if err != nil {
		return nil, fmt.Errorf("postgres: audit the severings: %w", fault(err))
	}
	return severings, nil
}
