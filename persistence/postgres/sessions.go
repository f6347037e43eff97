package postgres

import (
	"context"
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
		return fmt.Errorf("postgres: create a session of user %d: %w", s.User, settled(fault(err)))
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

// RotateSession implements persistence.Credentials. The row is locked, so that
// what was read holds when it is written.
func (db *DB) RotateSession(ctx context.Context, r persistence.Rotation) (s persistence.Session, rotated bool, err error) {
	err = db.write(ctx, func(tx pgx.Tx) (err error) {
		rotated = false
		if s, err = scanSession(r.ID, tx.QueryRow(ctx, selectSession+` FOR UPDATE`, r.ID)); err != nil || s.Generation != r.From {
			return err
		}
		s.Generation++
		if len(s.Rotations) == persistence.MaxRotations {
			s.Rotations = s.Rotations[1:]
		}
		s.Rotations = append(s.Rotations, time.UnixMicro(r.At.UnixMicro()).UTC())
		s.ExpiresAt = r.ExpiresAt
		if r.AccessUntil.After(s.AccessUntil) {
			s.AccessUntil = r.AccessUntil
		}
		rotated = true
		_, err = tx.Exec(ctx, `UPDATE sessions SET generation = $2, rotations = $3, expires_at = $4, access_until = $5 WHERE id = $1`,
			r.ID, int64(s.Generation), s.Rotations, s.ExpiresAt, s.AccessUntil)
		return err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return persistence.Session{}, false, fmt.Errorf("postgres: rotate a session: %w", err)
	}
	return s, rotated, nil
}

// The statements that end sessions. Indexes: the primary key and sessions_user.
const (
	// reserveEnded locks the row of counters until the transaction ends: so numbers
	// become visible in their order, and none is ever added before one that was
	// read.
	reserveEnded = `UPDATE counters SET next_ended = next_ended + $1 RETURNING next_ended - $1`
	removeOne    = `DELETE FROM sessions s WHERE s.id = $1 RETURNING s.id, s.access_until`
	removeAll    = `DELETE FROM sessions s WHERE s.user_id = $1 RETURNING s.id, s.access_until`
	// noteEnded moves one that is there for a shorter time to the end of the list,
	// where those who read along find it.
	noteEnded = `INSERT INTO ended_sessions AS e (seq, id, until) SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[])
	ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, until = excluded.until WHERE excluded.until > e.until`
)

// EndSessions implements persistence.Credentials.
func (db *DB) EndSessions(ctx context.Context, e persistence.SessionEnd) ([]persistence.EndedSession, error) {
	var ended []persistence.EndedSession
	err := db.write(ctx, func(tx pgx.Tx) error {
		ended = []persistence.EndedSession{{ID: e.ID, Until: e.Until}}
		removed := func(sql string, key any) error {
			rows, err := tx.Query(ctx, sql, key)
			if err != nil {
				return err //nolint:wrapcheck // wrapped below
			}
			var (
				one   [16]byte
				until time.Time
			)
			_, err = pgx.ForEachRow(rows, []any{&one, &until}, func() error {
				if until = until.UTC(); until.Before(e.Until) {
					until = e.Until
				}
				if one == e.ID {
					ended[0].Until = until
				} else {
					ended = append(ended, persistence.EndedSession{ID: one, Until: until})
				}
				return nil
			})
			return err //nolint:wrapcheck // wrapped below
		}
		if err := removed(removeOne, e.ID); err != nil {
			return fmt.Errorf("remove a session: %w", err)
		}
		if e.AllOf > 0 {
			if err := removed(removeAll, int64(e.AllOf)); err != nil { //nolint:gosec // ids fit
				return fmt.Errorf("remove the sessions: %w", err)
			}
		}
		return note(ctx, tx, ended)
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: end sessions: %w", err)
	}
	return ended, nil
}

func note(ctx context.Context, tx pgx.Tx, ended []persistence.EndedSession) error {
	var first int64
	if err := tx.QueryRow(ctx, reserveEnded, int64(len(ended))).Scan(&first); err != nil {
		return fmt.Errorf("number the ended sessions: %w", err)
	}
	seqs, ids, until := make([]int64, len(ended)), make([][16]byte, len(ended)), make([]time.Time, len(ended))
	for i, one := range ended {
		seqs[i], ids[i], until[i] = first+int64(i), one.ID, one.Until
	}
	if _, err := tx.Exec(ctx, noteEnded, seqs, ids, until); err != nil {
		return fmt.Errorf("note the ended sessions: %w", err)
	}
	return nil
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

// The sweeps, from the indexes sessions_expiry and ended_sessions_until.
const (
	sweepSessions = `DELETE FROM sessions WHERE id = ANY (ARRAY(SELECT s.id FROM sessions s WHERE s.expires_at <= $1 ORDER BY s.expires_at LIMIT $2))`
	sweepEnded    = `DELETE FROM ended_sessions WHERE seq = ANY (ARRAY(SELECT e.seq FROM ended_sessions e WHERE e.until <= $1 ORDER BY e.until LIMIT $2))`
)

// SweepSessions implements persistence.Credentials.
func (db *DB) SweepSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	var swept int64
	for _, sql := range [...]string{sweepSessions, sweepEnded} {
		tag, err := db.writes.Exec(ctx, sql, now, limit)
		if err != nil {
			return int(swept), fmt.Errorf("postgres: sweep sessions: %w", settled(fault(err)))
		}
		swept += tag.RowsAffected()
	}
	return int(swept), nil
}
