package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

// errGap is why a history is not whole.
var errGap = errors.New("postgres: the journal is not whole")

// querier is a connection, a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// The queries of Load. The ids are the outer side, an index is inside: so the
// records of a user come in order of seq, from journal_user. A snapshot above the
// version is not used.
const (
	selectStates = `SELECT x.id, u.version, d.id IS NOT NULL, s.seq, s.state FROM unnest($1::bigint[]) AS x (id)
	LEFT JOIN users u ON u.id = x.id LEFT JOIN deleted_users d ON d.id = x.id LEFT JOIN snapshots s ON s.user_id = u.id AND s.seq <= u.version`
	selectTails = `SELECT ` + recordColumns + ` FROM unnest($1::bigint[]) AS x (id)
	LEFT JOIN users u ON u.id = x.id LEFT JOIN snapshots s ON s.user_id = u.id AND s.seq <= u.version
	CROSS JOIN LATERAL (SELECT * FROM journal j WHERE j.user_id = x.id AND j.seq > coalesce(s.seq, 0) ORDER BY j.seq) j
	WHERE NOT EXISTS (SELECT 1 FROM deleted_users d WHERE d.id = x.id)`
	selectRecords = `SELECT ` + recordColumns + ` FROM journal j WHERE j.user_id = $1 AND j.seq > $2 ORDER BY j.seq LIMIT $3`
)

// Load implements persistence.Journal: two queries over all ids in one round
// trip, which see one state.
func (db *DB) Load(ctx context.Context, ids []user.ID) ([]persistence.History, error) {
	histories := make([]persistence.History, len(ids))
	if len(ids) == 0 {
		return histories, nil
	}
	at := make(map[user.ID]*persistence.History, len(ids))
	asked := make([]int64, 0, len(ids))
	for i, id := range ids {
		histories[i].User = id
		if _, twice := at[id]; !twice {
			at[id] = &histories[i]
			asked = append(asked, int64(id)) //nolint:gosec // ids fit
		}
	}
	if err := fault(load(ctx, db.reads, asked, at)); err != nil {
		return nil, fmt.Errorf("postgres: load %d histories: %w", len(ids), err)
	}
	for _, h := range at {
		whole(h)
	}
	for i, id := range ids { // an id asked for twice
		if h := at[id]; h != &histories[i] {
			histories[i] = *h
		}
	}
	return histories, nil
}

// load sends the whole transaction at once.
func load(ctx context.Context, pool interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}, ids []int64, at map[user.ID]*persistence.History,
) error {
	var b pgx.Batch
	b.Queue(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
	b.Queue(selectStates, ids).Query(func(rows pgx.Rows) error {
		defer rows.Close()
		for rows.Next() {
			row := rows.RawValues()
			h := at[user.ID(rawInt(row[0]))]                              //nolint:gosec // an id
			h.Version, h.Deleted = uint64(rawInt(row[1])), row[2][0] == 1 //nolint:gosec // never negative
			if row[3] != nil {
				h.Snapshot = &persistence.Snapshot{User: h.User, Seq: uint64(rawInt(row[3])), State: slices.Clone(row[4])} //nolint:gosec // never negative
			}
		}
		return rows.Err() //nolint:wrapcheck // wrapped by Load
	})
	b.Queue(selectTails, ids).Query(func(rows pgx.Rows) error {
		return eachRecord(rows, func(r persistence.Record) {
			h := at[r.User]
			h.Records = append(h.Records, r)
		})
	})
	b.Queue(`COMMIT`)
	return pool.SendBatch(ctx, &b).Close() //nolint:wrapcheck // wrapped by Load
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

// recordColumns are what a Record is made of, in the order of scanRecord.
const recordColumns = `j.place, j.user_id, j.seq, j.kind, j.at, j.event_id, j.payload`

// scanRecord reads the current row of a query for recordColumns. It reads the
// columns as they came: a tenth of the time of Scan, for what is read in bulk.
func scanRecord(rows pgx.Rows) persistence.Record {
	row := rows.RawValues()
	p := uint64(rawInt(row[0])) //nolint:gosec // never negative
	return persistence.Record{
		Lane: uint8(p >> laneShift), Pos: p & (1<<laneShift - 1), User: user.ID(rawInt(row[1])), Seq: uint64(rawInt(row[2])), //nolint:gosec // never negative
		Kind: persistence.Kind(rawInt(row[3])), At: rawTime(row[4]), EventID: string(row[5]), Payload: slices.Clone(row[6]), //nolint:gosec // stored from a Kind
	}
}

// eachRecord calls f with each row of a query for recordColumns, and closes it.
func eachRecord(rows pgx.Rows, f func(persistence.Record)) error {
	defer rows.Close()
	for rows.Next() {
		f(scanRecord(rows))
	}
	return rows.Err() //nolint:wrapcheck // wrapped by the operation, which knows its key
}

// Records implements persistence.Journal. Index: journal_user.
func (db *DB) Records(ctx context.Context, id user.ID, after uint64, limit int) ([]persistence.Record, error) {
	records, err := readRecords(ctx, db.reads, selectRecords, int64(id), clamp(after), int64(limit)) //nolint:gosec // ids fit
	if err != nil {
		return nil, fmt.Errorf("postgres: read records of user %d after %d: %w", id, after, fault(err))
	}
	return records, nil
}

const readLane = `SELECT ` + recordColumns + ` FROM journal j WHERE j.place > $1 AND j.place < $2 ORDER BY j.place LIMIT $3`

func laneArgs(lane uint8, after uint64, limit int) []any {
	return []any{place(lane, min(after, 1<<laneShift-1)), place(lane+1, 0), int64(limit)}
}

// ReadLane implements persistence.Journal: one range of the primary key.
func (db *DB) ReadLane(ctx context.Context, lane uint8, after uint64, limit int) ([]persistence.Record, error) {
	records, err := readRecords(ctx, db.reads, readLane, laneArgs(lane, after, limit)...)
	if err != nil {
		return nil, fmt.Errorf("postgres: read lane %d after %d: %w", lane, after, fault(err))
	}
	return records, nil
}

func readRecords(ctx context.Context, q querier, sql string, args ...any) ([]persistence.Record, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the operation, which knows its key
	}
	var records []persistence.Record
	err = eachRecord(rows, func(r persistence.Record) { records = append(records, r) })
	return records, err
}

// selectHeads looks up the end of each lane's range.
const selectHeads = `SELECT (SELECT j.place FROM journal j WHERE j.place > lane << 56 AND j.place < (lane + 1) << 56 ORDER BY j.place DESC LIMIT 1)
	FROM generate_series(0::bigint, 63) AS lane`

// Heads implements persistence.Journal. Whoever raises an epoch waits for it, so
// it does not wait for reads.
func (db *DB) Heads(ctx context.Context) ([persistence.LaneCount]uint64, error) {
	h, err := readHeads(ctx, db.writes)
	if err != nil {
		return h, fmt.Errorf("postgres: read the heads of the lanes: %w", fault(err))
	}
	return h, nil
}

func readHeads(ctx context.Context, q querier) (heads, error) {
	var h heads
	rows, err := q.Query(ctx, selectHeads)
	if err != nil {
		return h, err //nolint:wrapcheck // wrapped by the operation
	}
	defer rows.Close()
	for rows.Next() {
		if row := rows.RawValues(); row[0] != nil {
			p := uint64(rawInt(row[0])) //nolint:gosec // never negative
			h[p>>laneShift] = p & (1<<laneShift - 1)
		}
	}
	return h, rows.Err() //nolint:wrapcheck // wrapped by the operation
}

// saveSnapshots locks the rows that it depends on, in order, so that a deletion is
// before all of it or after: after a deletion nothing of a user is stored anew.
const saveSnapshots = `WITH there AS MATERIALIZED (SELECT u.id FROM users u WHERE u.id = ANY ($1) ORDER BY u.id FOR KEY SHARE)
	INSERT INTO snapshots (user_id, seq, state) SELECT s.user_id, s.seq, s.state FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS s (user_id, seq, state)
	WHERE (s.user_id IN (SELECT id FROM there)) IS TRUE
	ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq, state = excluded.state WHERE excluded.seq > snapshots.seq`

// snapshotStep bounds the rows that one statement of SaveSnapshots locks.
const snapshotStep = 1000

// SaveSnapshots implements persistence.Journal, in steps when there are many.
func (db *DB) SaveSnapshots(ctx context.Context, snapshots []persistence.Snapshot) error {
	// Sorted, and of each user the newest: a statement does not write a row twice.
	sorted := slices.SortedFunc(slices.Values(snapshots), func(a, b persistence.Snapshot) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(b.Seq, a.Seq))
	})
	sorted = slices.CompactFunc(sorted, func(a, b persistence.Snapshot) bool { return a.User == b.User })
	for step := range slices.Chunk(sorted, snapshotStep) {
		ids, seqs, states := make([]int64, len(step)), make([]int64, len(step)), make([][]byte, len(step))
		for i, s := range step {
			ids[i], seqs[i], states[i] = int64(s.User), int64(s.Seq), s.State //nolint:gosec // ids and versions fit
			if s.State == nil {
				states[i] = []byte{} // nil is NULL
			}
		}
		if _, err := db.writes.Exec(ctx, saveSnapshots, ids, seqs, states); err != nil {
			return fmt.Errorf("postgres: save %d snapshots: %w", len(snapshots), db.wrote(err))
		}
	}
	return nil
}

// eraseEvents finds the events that have content in journal_activity.
const eraseEvents = `UPDATE journal SET kind = 12, payload = '' WHERE place = ANY (ARRAY(
	SELECT place FROM journal WHERE user_id = $1 AND kind IN (2, 11, 13) AND kind = 11 LIMIT $2))`

// EraseUser implements persistence.Journal. It refuses a user whose row exists.
// What was erased is in the files of the server until they are vacuumed.
func (db *DB) EraseUser(ctx context.Context, id user.ID, limit int) (done bool, err error) {
	err = db.write(ctx, func(tx pgx.Tx) error {
		var deleted bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM deleted_users WHERE id = $1)`, id).Scan(&deleted); err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		if !deleted {
			return errors.New("the user is not deleted")
		}
		tag, err := tx.Exec(ctx, eraseEvents, id, limit)
		if err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		done = tag.RowsAffected() < int64(limit)
		if _, err = tx.Exec(ctx, `DELETE FROM snapshots WHERE user_id = $1`, id); err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		_, err = tx.Exec(ctx, `DELETE FROM notifications_seen WHERE user_id = $1`, id)
		return err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return false, fmt.Errorf("postgres: erase user %d: %w", id, err)
	}
	return done, nil
}

// clamp makes a bound of a caller one that the server can hold.
func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
