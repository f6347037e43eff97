package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strconv"

	"kith/actors/user"
	"kith/persistence"
)

// errGap is why a history is not whole.
var errGap = errors.New("sqlite: the journal is not whole")

// Load implements persistence.Journal: four queries over all ids, in one read
// transaction.
func (db *DB) Load(ctx context.Context, ids []user.ID) ([]persistence.History, error) {
	histories := make([]persistence.History, len(ids))
	at := make(map[user.ID]*persistence.History, len(ids))
	for i, id := range ids {
		histories[i].User = id
		at[id] = &histories[i]
	}
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.read(ctx, func() error { return load(ctx, c, ids, at) })
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: load %d histories: %w", len(ids), err)
	}
	for i, id := range ids { // an id asked for twice
		if h := at[id]; h != &histories[i] {
			histories[i] = *h
		}
	}
	return histories, nil
}

// The cross joins fix the nesting: the ids outside, an index inside. So the
// records of a user come in order of seq, from journal_user.
const (
	selectVersions   = `SELECT u.id, u.version FROM json_each(?) e CROSS JOIN users u ON u.id = e.value`
	selectTombstones = `SELECT d.id FROM json_each(?) e CROSS JOIN deleted_users d ON d.id = e.value`
	selectSnapshots  = `SELECT s.user_id, s.seq, s.state FROM json_each(?) e CROSS JOIN snapshots s ON s.user_id = e.value`
	selectTails      = `SELECT ` + recordColumns + ` FROM json_each(?) e CROSS JOIN journal j ON j.user_id = e.value ->> 0 AND j.seq > e.value ->> 1`
	selectRecords    = `SELECT ` + recordColumns + ` FROM journal j WHERE j.user_id = ? AND j.seq > ? ORDER BY j.seq LIMIT +?`
)

func load(ctx context.Context, c *conn, ids []user.ID, at map[user.ID]*persistence.History) error {
	asked := ints(ids)
	err := c.query(ctx, selectVersions, func(row []driver.Value) error {
		at[user.ID(number(row[0]))].Version = number(row[1])
		return nil
	}, asked)
	if err != nil {
		return fmt.Errorf("read the versions: %w", err)
	}
	err = c.query(ctx, selectTombstones, func(row []driver.Value) error {
		at[user.ID(number(row[0]))].Deleted = true
		return nil
	}, asked)
	if err != nil {
		return fmt.Errorf("read the tombstones: %w", err)
	}
	err = c.query(ctx, selectSnapshots, func(row []driver.Value) error {
		h := at[user.ID(number(row[0]))]
		if seq := number(row[1]); seq <= h.Version && !h.Deleted {
			h.Snapshot = &persistence.Snapshot{User: h.User, Seq: seq, State: blob(row[2])}
		}
		return nil
	}, asked)
	if err != nil {
		return fmt.Errorf("read the snapshots: %w", err)
	}
	err = c.query(ctx, selectTails, func(row []driver.Value) error {
		r := scanRecord(row)
		h := at[r.User]
		h.Records = append(h.Records, r)
		return nil
	}, tails(ids, at))
	if err != nil {
		return fmt.Errorf("read the records: %w", err)
	}
	for _, h := range at {
		whole(h)
	}
	return nil
}

// tails encodes, for each user who is not deleted, the id and the seq after which
// the journal is needed.
func tails(ids []user.ID, at map[user.ID]*persistence.History) string {
	b := make([]byte, 0, 2+16*len(ids))
	b = append(b, '[')
	for _, id := range ids {
		h := at[id]
		if h.Deleted || h.Records != nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = strconv.AppendUint(b, uint64(id), 10)
		b = append(b, ',')
		if h.Snapshot == nil {
			b = append(b, '0')
		} else {
			b = strconv.AppendUint(b, h.Snapshot.Seq, 10)
		}
		b = append(b, ']')
	}
	return string(append(b, ']'))
}

// whole sets Err unless the records go on from the snapshot to the version.
func whole(h *persistence.History) {
	if h.Deleted {
		*h = persistence.History{User: h.User, Deleted: true}
		return
	}
	next := uint64(1)
	if h.Snapshot != nil {
		next = h.Snapshot.Seq + 1
	}
	for i := range h.Records {
		if h.Records[i].Seq != next {
			h.Err = fmt.Errorf("user %d: record %d where %d is due: %w", h.User, h.Records[i].Seq, next, errGap)
			return
		}
		next++
	}
	if next != h.Version+1 {
		h.Err = fmt.Errorf("user %d: the journal ends at %d, the row is at %d: %w", h.User, next-1, h.Version, errGap)
	}
}

const recordColumns = `j.place, j.user_id, j.seq, j.kind, j.at, j.event_id, j.payload`

func scanRecord(row []driver.Value) persistence.Record {
	p := number(row[0])
	return persistence.Record{
		Lane: uint8(p >> laneShift), Pos: p & (1<<laneShift - 1), User: user.ID(number(row[1])), Seq: number(row[2]),
		Kind: persistence.Kind(number(row[3])), At: moment(row[4]), EventID: text(row[5]), Payload: blob(row[6]), //nolint:gosec // stored from a Kind
	}
}

// Records implements persistence.Journal. Index: journal_user.
func (db *DB) Records(ctx context.Context, id user.ID, after uint64, limit int) ([]persistence.Record, error) {
	records, err := db.records(ctx, selectRecords, int64(id), clamp(after), int64(limit)) //nolint:gosec // ids fit
	if err != nil {
		return nil, fmt.Errorf("sqlite: read records of user %d after %d: %w", id, after, err)
	}
	return records, nil
}

// ReadLane implements persistence.Journal: one range of the table.
func (db *DB) ReadLane(ctx context.Context, lane uint8, after uint64, limit int) ([]persistence.Record, error) {
	records, err := db.records(ctx, readLane, laneArgs(lane, after, limit)...)
	if err != nil {
		return nil, fmt.Errorf("sqlite: read lane %d after %d: %w", lane, after, err)
	}
	return records, nil
}

const readLane = `SELECT ` + recordColumns + ` FROM journal j WHERE j.place > ? AND j.place < ? ORDER BY j.place LIMIT +?`

func laneArgs(lane uint8, after uint64, limit int) []driver.Value {
	return []driver.Value{place(lane, min(after, 1<<laneShift-1)), place(lane+1, 0), int64(limit)}
}

func (db *DB) records(ctx context.Context, sql string, args ...driver.Value) ([]persistence.Record, error) {
	var records []persistence.Record
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) (err error) {
		records, err = readRecords(ctx, c, sql, args...)
		return err
	})
	return records, err
}

func readRecords(ctx context.Context, c *conn, sql string, args ...driver.Value) ([]persistence.Record, error) {
	var records []persistence.Record
	err := c.query(ctx, sql, func(row []driver.Value) error {
		records = append(records, scanRecord(row))
		return nil
	}, args...)
	return records, err
}

// Heads implements persistence.Journal.
func (db *DB) Heads(ctx context.Context) ([persistence.LaneCount]uint64, error) {
	var h heads
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) (err error) {
		h, err = readHeads(ctx, c)
		return err
	})
	if err != nil {
		return h, fmt.Errorf("sqlite: read the heads of the lanes: %w", err)
	}
	return h, nil
}

// selectHeads looks up the end of each lane's range.
const selectHeads = `WITH RECURSIVE lane (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM lane WHERE n < 63)
	SELECT (SELECT place FROM journal WHERE place > n << 56 AND place < (n + 1) << 56 ORDER BY place DESC LIMIT 1) FROM lane`

func readHeads(ctx context.Context, c *conn) (heads, error) {
	var h heads
	err := c.query(ctx, selectHeads, func(row []driver.Value) error {
		if row[0] != nil {
			p := number(row[0])
			h[p>>laneShift] = p & (1<<laneShift - 1)
		}
		return nil
	})
	return h, err
}

// SaveSnapshots implements persistence.Journal.
func (db *DB) SaveSnapshots(ctx context.Context, snapshots []persistence.Snapshot) error {
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		for i := range snapshots {
			s := &snapshots[i]
			state := s.State
			if state == nil {
				state = []byte{} // nil is NULL
			}
			if _, err := t.exec(ctx, `INSERT INTO snapshots (user_id, seq, state) SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM users WHERE id = ?)
				ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq, state = excluded.state WHERE excluded.seq > seq`,
				int64(s.User), int64(s.Seq), state, int64(s.User)); err != nil { //nolint:gosec // ids and versions fit
				return fmt.Errorf("snapshot of user %d at %d: %w", s.User, s.Seq, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlite: save %d snapshots: %w", len(snapshots), err)
	}
	return nil
}

// eraseEvents finds the events that have content in journal_activity.
const eraseEvents = `UPDATE journal SET kind = 12, payload = x'' WHERE place IN (
	SELECT place FROM journal WHERE user_id = ? AND kind IN (2, 11, 13) AND kind = 11 LIMIT +?)`

// EraseUser implements persistence.Journal. It refuses a user whose row exists.
func (db *DB) EraseUser(ctx context.Context, id user.ID, limit int) (done bool, err error) {
	err = db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		deleted := false
		err := t.query(ctx, `SELECT 1 FROM deleted_users WHERE id = ?`, func([]driver.Value) error {
			deleted = true
			return nil
		}, int64(id)) //nolint:gosec // ids fit
		if err != nil {
			return err
		}
		if !deleted {
			return errors.New("the user is not deleted")
		}
		n, err := t.exec(ctx, eraseEvents, int64(id), int64(limit)) //nolint:gosec // ids fit
		if err != nil {
			return err
		}
		done = n < int64(limit)
		if _, err = t.exec(ctx, `DELETE FROM snapshots WHERE user_id = ?`, int64(id)); err != nil { //nolint:gosec // ids fit
			return err
		}
		_, err = t.exec(ctx, `DELETE FROM notifications_seen WHERE user_id = ?`, int64(id)) //nolint:gosec // ids fit
		return err
	})
	if err != nil {
		return false, fmt.Errorf("sqlite: erase user %d: %w", id, err)
	}
	return done, nil
}

// clamp makes a bound of a caller one that SQLite can hold.
func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
