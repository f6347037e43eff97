package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/persistence"
)

// insertSession locks the user's row, so that a deletion is before it or after.
const insertSession = `WITH there AS (SELECT u.id FROM users u WHERE u.id = $2 FOR KEY SHARE)
	INSERT INTO sessions (id, user_id, generation, rotations, created_at, expires_at, access_until)
	SELECT $1, id, $3, $4, $5, $6, $7 FROM there`

// CreateSession implements persistence.Credentials.
func (db *DB) CreateSession(ctx context.Context, s persistence.Session) error {
	rotations := s.Rotations
	if rotations == nil {
		rotations = []time.Time{} // nil is NULL
	}
	tag, err := db.writes.Exec(ctx, insertSession, s.ID, int64(s.User), int64(s.Generation), rotations, s.CreatedAt, s.ExpiresAt, s.AccessUntil) //nolint:gosec // ids fit
	if err == nil && tag.RowsAffected() == 0 {
		err = persistence.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("postgres: create a session of user %d: %w", s.User, settled(db.wrote(err)))
	}
	return nil
}

const selectSession = `SELECT s.user_id, s.generation, s.rotations, s.created_at, s.expires_at, s.access_until FROM sessions s WHERE s.id = $1`

// Session implements persistence.Credentials.
func (db *DB) Session(ctx context.Context, id [16]byte) (persistence.Session, error) {
	s, err := scanSession(id, db.reads.QueryRow(ctx, selectSession, id))
	if err != nil {
		return persistence.Session{}, fmt.Errorf("postgres: read a session: %w", fault(err))
	}
	return s, nil
}

func scanSession(id [16]byte, row pgx.Row) (persistence.Session, error) {
	s := persistence.Session{ID: id}
	if err := row.Scan((*uint64)(&s.User), &s.Generation, &s.Rotations, &s.CreatedAt, &s.ExpiresAt, &s.AccessUntil); err != nil {
		return persistence.Session{}, missing(err)
	}
	if len(s.Rotations) == 0 {
		s.Rotations = nil
	}
	for i, at := range s.Rotations {
		s.Rotations[i] = at.UTC()
	}
	s.CreatedAt, s.ExpiresAt, s.AccessUntil = s.CreatedAt.UTC(), s.ExpiresAt.UTC(), s.AccessUntil.UTC()
	return s, nil
}

// rotateSession waits for whoever else rotates the session, and looks at its
// generation again.
const rotateSession = `UPDATE sessions s SET generation = s.generation + 1, rotations = (s.rotations || $3::timestamptz)[greatest(1, cardinality(s.rotations) + 2 - $6):],
	expires_at = $4, access_until = greatest(s.access_until, $5) WHERE s.id = $1 AND s.generation = $2
	RETURNING s.user_id, s.generation, s.rotations, s.created_at, s.expires_at, s.access_until`

// RotateSession implements persistence.Credentials.
func (db *DB) RotateSession(ctx context.Context, r persistence.Rotation) (s persistence.Session, rotated bool, err error) {
	s, err = scanSession(r.ID, db.writes.QueryRow(ctx, rotateSession, r.ID, int64(r.From), r.At, r.ExpiresAt, r.AccessUntil, persistence.MaxRotations))
	if rotated = err == nil; errors.Is(err, persistence.ErrNotFound) {
		// From the same pool, which is that of the primary.
		s, err = scanSession(r.ID, db.writes.QueryRow(ctx, selectSession, r.ID))
	}
	if err != nil {
		return persistence.Session{}, false, fmt.Errorf("postgres: rotate a session: %w", settled(db.wrote(err)))
	}
	return s, rotated, nil
}

// The statements that end sessions.
const (
	// lockUser keeps the user from being deleted meanwhile, which would remove the
	// same sessions in another order.
	lockUser = `SELECT 1 FROM users u WHERE u.id = $1 FOR KEY SHARE`
	// removeSessions goes by their ids, so that no two of those who remove sessions
	// wait for each other. Indexes: the primary key and sessions_user.
	removeSessions = `DELETE FROM sessions WHERE id = ANY (ARRAY(SELECT s.id FROM sessions s WHERE s.id = $1 OR s.user_id = $2 ORDER BY s.id FOR UPDATE))
	RETURNING id, access_until`
	// noteEnded locks the row of counters until the transaction ends: so numbers
	// become visible in their order, and none is ever added before one that was
	// read. A session that is there for a shorter time moves to the end of the
	// list, where those who read along find it.
	noteEnded = `WITH n AS (UPDATE counters SET next_ended = next_ended + cardinality($1::uuid[]) RETURNING next_ended)
	INSERT INTO ended_sessions AS e (seq, id, until) SELECT n.next_ended - x.back, x.id, x.until
	FROM n CROSS JOIN unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) AS x (id, until, back)
	ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, until = excluded.until WHERE excluded.until > e.until`
)

// EndSessions implements persistence.Credentials.
func (db *DB) EndSessions(ctx context.Context, e persistence.SessionEnd) ([]persistence.EndedSession, error) {
	var ended []persistence.EndedSession
	err := db.write(ctx, func(tx pgx.Tx) error {
		ended = []persistence.EndedSession{{ID: e.ID, Until: e.Until}}
		var (
			b   pgx.Batch
			one persistence.EndedSession
		)
		if e.AllOf > 0 {
			b.Queue(lockUser, int64(e.AllOf)) //nolint:gosec // ids fit
		}
		b.Queue(removeSessions, e.ID, int64(e.AllOf)).Query(func(rows pgx.Rows) error { //nolint:gosec // ids fit; no user has id 0
			_, err := pgx.ForEachRow(rows, []any{&one.ID, &one.Until}, func() error {
				if one.Until = one.Until.UTC(); one.Until.Before(e.Until) {
					one.Until = e.Until
				}
				if one.ID == e.ID {
					ended[0] = one
				} else {
					ended = append(ended, one)
				}
				return nil
			})
			return err //nolint:wrapcheck // wrapped below
		})
		if err := tx.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("remove the sessions: %w", err)
		}
		ids, until, back := make([][16]byte, len(ended)), make([]time.Time, len(ended)), make([]int64, len(ended))
		for i, one := range ended {
			ids[i], until[i], back[i] = one.ID, one.Until, int64(len(ended)-i)
		}
		if _, err := tx.Exec(ctx, noteEnded, ids, until, back); err != nil {
			return fmt.Errorf("note the ended sessions: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: end sessions: %w", err)
	}
	return ended, nil
}

const selectEnded = `SELECT e.seq, e.id, e.until FROM ended_sessions e WHERE e.seq > $1 ORDER BY e.seq LIMIT $2`

// EndedSessions implements persistence.Credentials.
func (db *DB) EndedSessions(ctx context.Context, after uint64, limit int) ([]persistence.EndedSession, uint64, error) {
	var (
		ended []persistence.EndedSession
		next  = after
		one   persistence.EndedSession
	)
	rows, err := db.reads.Query(ctx, selectEnded, clamp(after), limit)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&next, &one.ID, &one.Until}, func() error {
			one.Until = one.Until.UTC()
			ended = append(ended, one)
			return nil
		})
	}
	if err != nil {
		return nil, 0, fmt.Errorf("postgres: read the ended sessions: %w", fault(err))
	}
	return ended, next, nil
}

// The sweeps, from the indexes sessions_expiry and ended_sessions_until. They wait
// for nobody: what is locked stays for the next one.
const (
	sweepSessions = `DELETE FROM sessions WHERE id = ANY (ARRAY(
	SELECT s.id FROM sessions s WHERE s.expires_at <= $1 ORDER BY s.expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sweepEnded = `DELETE FROM ended_sessions WHERE seq = ANY (ARRAY(
	SELECT e.seq FROM ended_sessions e WHERE e.until <= $1 ORDER BY e.until LIMIT $2 FOR UPDATE SKIP LOCKED))`
)

// SweepSessions implements persistence.Credentials.
func (db *DB) SweepSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	var swept int64
	for _, sql := range [...]string{sweepSessions, sweepEnded} {
		tag, err := db.writes.Exec(ctx, sql, now, limit)
		if err != nil {
			return int(swept), fmt.Errorf("postgres: sweep sessions: %w", settled(db.wrote(err)))
		}
		swept += tag.RowsAffected()
	}
	return int(swept), nil
}
