package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// CreateSession implements persistence.Credentials.
func (db *DB) CreateSession(ctx context.Context, s persistence.Session) error {
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.exec(ctx, `INSERT INTO sessions (id, user_id, generation, rotations, created_at, expires_at, access_until)
			SELECT ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM users WHERE id = ?)`,
			s.ID[:], int64(s.User), int64(s.Generation), encodeTimes(s.Rotations), //nolint:gosec // ids fit
			s.CreatedAt.UnixMicro(), s.ExpiresAt.UnixMicro(), s.AccessUntil.UnixMicro(), int64(s.User)) //nolint:gosec // ids fit
		if err == nil && n == 0 {
			err = persistence.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlite: create a session of user %d: %w", s.User, err)
	}
	return nil
}

const selectSession = `SELECT id, user_id, generation, rotations, created_at, expires_at, access_until FROM sessions WHERE id = ?`

// Session implements persistence.Credentials.
func (db *DB) Session(ctx context.Context, id [16]byte) (persistence.Session, error) {
	var s persistence.Session
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) (err error) {
		s, err = readSession(ctx, c, id)
		return err
	})
	if err != nil {
		return persistence.Session{}, fmt.Errorf("sqlite: read a session: %w", err)
	}
	return s, nil
}

func readSession(ctx context.Context, c *conn, id [16]byte) (s persistence.Session, err error) {
	found := false
	err = c.query(ctx, selectSession, func(row []driver.Value) error {
		found = true
		s = persistence.Session{
			ID: id, User: user.ID(number(row[1])), Generation: uint32(number(row[2])), Rotations: decodeTimes(blob(row[3])), //nolint:gosec // stored from a uint32
			CreatedAt: moment(row[4]), ExpiresAt: moment(row[5]), AccessUntil: moment(row[6]),
		}
		return nil
	}, id[:])
	if err == nil && !found {
		err = persistence.ErrNotFound
	}
	return s, err
}

// RotateSession implements persistence.Credentials. The writer is alone, so that
// what was read holds when it is written.
func (db *DB) RotateSession(ctx context.Context, r persistence.Rotation) (s persistence.Session, rotated bool, err error) {
	err = db.writer.do(ctx, func(ctx context.Context, t *tx) (err error) {
		rotated = false
		if s, err = readSession(ctx, t.conn, r.ID); err != nil || s.Generation != r.From {
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
		_, err = t.exec(ctx, `UPDATE sessions SET generation = ?, rotations = ?, expires_at = ?, access_until = ? WHERE id = ?`,
			int64(s.Generation), encodeTimes(s.Rotations), s.ExpiresAt.UnixMicro(), s.AccessUntil.UnixMicro(), r.ID[:])
		return err
	})
	if err != nil {
		return persistence.Session{}, false, fmt.Errorf("sqlite: rotate a session: %w", err)
	}
	return s, rotated, nil
}

// EndSessions implements persistence.Credentials. Indexes: the primary key and
// sessions_user.
func (db *DB) EndSessions(ctx context.Context, e persistence.SessionEnd) ([]persistence.EndedSession, error) {
	var ended []persistence.EndedSession
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		ended = []persistence.EndedSession{{ID: e.ID, Until: e.Until}}
		err := t.query(ctx, `SELECT id, access_until FROM sessions WHERE id = ?1 OR (?2 > 0 AND user_id = ?2)`, func(row []driver.Value) error {
			one := persistence.EndedSession{ID: [16]byte(blob(row[0])), Until: e.Until}
			if until := moment(row[1]); until.After(one.Until) {
				one.Until = until
			}
			if one.ID == e.ID {
				ended[0] = one
			} else {
				ended = append(ended, one)
			}
			return nil
		}, e.ID[:], int64(e.AllOf)) //nolint:gosec // ids fit
		if err != nil {
			return fmt.Errorf("read the sessions: %w", err)
		}
		for _, one := range ended {
			if err := endSession(ctx, t, one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: end sessions: %w", err)
	}
	return ended, nil
}

// endSession puts a session on the list. One that is there for a shorter time
// goes to its end, where those who read along find it.
func endSession(ctx context.Context, t *tx, e persistence.EndedSession) error {
	if _, err := t.exec(ctx, `DELETE FROM sessions WHERE id = ?`, e.ID[:]); err != nil {
		return fmt.Errorf("remove a session: %w", err)
	}
	if _, err := t.exec(ctx, `DELETE FROM ended_sessions WHERE id = ? AND until < ?`, e.ID[:], e.Until.UnixMicro()); err != nil {
		return fmt.Errorf("prolong an ended session: %w", err)
	}
	if _, err := t.exec(ctx, `INSERT INTO ended_sessions (id, until) VALUES (?, ?) ON CONFLICT (id) DO NOTHING`, e.ID[:], e.Until.UnixMicro()); err != nil {
		return fmt.Errorf("note an ended session: %w", err)
	}
	return nil
}

// EndedSessions implements persistence.Credentials. There is one writer, so that
// entries become visible in the order of seq.
func (db *DB) EndedSessions(ctx context.Context, after uint64, limit int) ([]persistence.EndedSession, uint64, error) {
	var ended []persistence.EndedSession
	next := after
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.query(ctx, `SELECT seq, id, until FROM ended_sessions WHERE seq > ? ORDER BY seq LIMIT +?`, func(row []driver.Value) error {
			next = number(row[0])
			ended = append(ended, persistence.EndedSession{ID: [16]byte(blob(row[1])), Until: moment(row[2])})
			return nil
		}, int64(after), int64(limit)) //nolint:gosec // positions fit
	})
	if err != nil {
		return nil, 0, fmt.Errorf("sqlite: read the ended sessions: %w", err)
	}
	return ended, next, nil
}

// SweepSessions implements persistence.Credentials. Indexes: sessions_expiry and
// ended_sessions_until.
func (db *DB) SweepSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	var swept int64
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		swept = 0
		for _, sql := range [...]string{
			`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT +?)`,
			`DELETE FROM ended_sessions WHERE seq IN (SELECT seq FROM ended_sessions WHERE until <= ? ORDER BY until LIMIT +?)`,
		} {
			n, err := t.exec(ctx, sql, now.UnixMicro(), int64(limit))
			if err != nil {
				return err
			}
			swept += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("sqlite: sweep sessions: %w", err)
	}
	return int(swept), nil
}

func encodeTimes(times []time.Time) []byte {
	b := make([]byte, 0, 8*len(times))
	for _, at := range times {
		b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMicro()))
	}
	return b
}

func decodeTimes(b []byte) []time.Time {
	var times []time.Time
	for ; len(b) >= 8; b = b[8:] {
		times = append(times, time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC()) //nolint:gosec // and back
	}
	return times
}
