package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"

	"kith/actors/user"
	"kith/persistence"
)

// Commit implements persistence.Journal. Besides Lane and Pos it sets, in
// committed turns, Kind and Payload of a record that the same turn erased to
// what is stored.
func (db *DB) Commit(ctx context.Context, b persistence.Batch) ([]persistence.Outcome, error) {
	if err := check(b.Turns); err != nil {
		return nil, fmt.Errorf("sqlite: commit: %w: %w", persistence.ErrNotCommitted, err)
	}
	outcomes := make([]persistence.Outcome, len(b.Turns))
	heads := make([]uint64, len(b.Turns)) // of each turn's lane, before the turn
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		if err := fence(ctx, t, b.Node); err != nil {
			return err
		}
		for i, turn := range b.Turns {
			heads[i] = t.heads[persistence.LaneOf(turn.User)]
			var err error
			if outcomes[i], err = db.turn(ctx, t, turn); err != nil {
				return fmt.Errorf("turn of user %d at version %d: %w", turn.User, turn.Version, err)
			}
		}
		return saveMarks(ctx, t, b.Marks)
	})
	if errors.Is(err, persistence.ErrFenced) {
		err = notCommitted(err)
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: commit %d turns: %w", len(b.Turns), err)
	}
	for i, turn := range b.Turns {
		if outcomes[i].Status == persistence.Committed {
			settle(turn, heads[i])
		}
	}
	return outcomes, nil
}

// check refuses what no caller may ask for, before anything is written.
func check(turns []*persistence.Turn) error {
	for _, t := range turns {
		if len(t.Records) == 0 {
			return fmt.Errorf("turn of user %d at version %d: no records", t.User, t.Version)
		}
		for i := range t.Records {
			if r := &t.Records[i]; r.User != t.User || r.Seq != t.Version+1+uint64(i) {
				return fmt.Errorf("turn of user %d at version %d: record %d is of user %d at %d", t.User, t.Version, i, r.User, r.Seq)
			}
		}
		if t.Account.ID != t.User || t.Account.Version != t.Version+uint64(len(t.Records)) {
			return fmt.Errorf("turn of user %d at version %d: its row is of user %d at version %d", t.User, t.Version, t.Account.ID, t.Account.Version)
		}
	}
	return nil
}

// settle tells the records of a committed turn where they are, and what they are.
func settle(turn *persistence.Turn, head uint64) {
	lane := persistence.LaneOf(turn.User)
	for i := range turn.Records {
		r := &turn.Records[i]
		r.Lane, r.Pos = lane, head+1+uint64(i)
		if erasedAtOnce(turn, r) {
			r.Kind, r.Payload = persistence.KindActivityErased, nil
		}
	}
}

// erasedAtOnce reports whether the turn that records r erases it too.
func erasedAtOnce(turn *persistence.Turn, r *persistence.Record) bool {
	return len(turn.Erase) > 0 && r.Kind == persistence.KindActivityRecorded && slices.Contains(turn.Erase, r.EventID)
}

// fence fails unless n is the node at its stored epoch. It reads within the
// transaction, so that a raise is before all of it or after.
func fence(ctx context.Context, t *tx, n persistence.Node) error {
	current := false
	err := t.query(ctx, `SELECT 1 FROM nodes WHERE id = ? AND epoch = ?`, func([]driver.Value) error {
		current = true
		return nil
	}, n.ID, int64(n.Epoch)) //nolint:gosec // epochs fit
	if err != nil {
		return fmt.Errorf("read the epoch: %w", err)
	}
	if !current {
		return fmt.Errorf("node %s at epoch %d: %w", n.ID, n.Epoch, persistence.ErrFenced)
	}
	return nil
}

// turn writes one turn if its guards hold. When the op runs alone, since the
// first run failed, a turn that breaks a constraint is undone by itself: rows
// that should not be there hold up nobody else.
func (db *DB) turn(ctx context.Context, t *tx, turn *persistence.Turn) (persistence.Outcome, error) {
	if !t.alone {
		return db.writeTurn(ctx, t, turn)
	}
	if _, err := t.exec(ctx, "SAVEPOINT turn"); err != nil {
		return persistence.Outcome{}, err
	}
	heads := t.heads
	o, err := db.writeTurn(ctx, t, turn)
	if err != nil {
		if code(err) != codeConstraint {
			return o, err
		}
		if _, e := t.exec(ctx, "ROLLBACK TO turn"); e != nil {
			return o, e
		}
		t.heads = heads
		o = persistence.Outcome{Status: persistence.Stale}
		db.cfg.Logger.Error("a turn met rows that should not be there; it was refused as stale", "user_id", turn.User, "version", turn.Version, "error", err)
	}
	_, err = t.exec(ctx, "RELEASE turn")
	return o, err
}

func (db *DB) writeTurn(ctx context.Context, t *tx, turn *persistence.Turn) (persistence.Outcome, error) {
	status, conflicts, err := guard(ctx, t, turn)
	if err != nil || status != persistence.Committed {
		return persistence.Outcome{Status: status, Conflicts: conflicts}, err
	}
	before, err := nameBefore(ctx, t, turn)
	if err != nil {
		return persistence.Outcome{}, err
	}
	ok, err := db.writeAccount(ctx, t, turn)
	if err != nil {
		return persistence.Outcome{}, err
	}
	if !ok {
		return persistence.Outcome{Status: persistence.Stale}, nil
	}
	if err := writePrefixes(ctx, t, turn, before); err != nil {
		return persistence.Outcome{}, err
	}
	if err := writeRecords(ctx, t, turn); err != nil {
		return persistence.Outcome{}, err
	}
	if err := writeEdges(ctx, t, turn); err != nil {
		return persistence.Outcome{}, err
	}
	if turn.PasswordHash != "" {
		if _, err := t.exec(ctx, `INSERT INTO credentials (user_id, password_hash) VALUES (?, ?)
			ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash`, int64(turn.User), turn.PasswordHash); err != nil { //nolint:gosec // ids fit
			return persistence.Outcome{}, fmt.Errorf("write the credentials: %w", err)
		}
	}
	if changesNames(turn) {
		if err := db.tieClaims(ctx, t, turn); err != nil {
			return persistence.Outcome{}, err
		}
	}
	return persistence.Outcome{Status: persistence.Committed}, nil
}

// writeAccount writes the user's row, or moves it to deleted_users. It reports
// false, and has changed nothing, when the journal is not Version long.
func (db *DB) writeAccount(ctx context.Context, t *tx, turn *persistence.Turn) (bool, error) {
	id, a := int64(turn.User), &turn.Account //nolint:gosec // ids fit
	switch {
	case turn.Version == 0 && !turn.Deleted:
		// guard has seen that the id is free.
		if err := db.insertAccount(ctx, t, insertUser, a, lastActivity(turn)); err != nil {
			return false, fmt.Errorf("insert the row: %w", err)
		}
		return true, nil
	case !turn.Deleted:
		ok, err := db.updateAccount(ctx, t, a, turn.Version, lastActivity(turn))
		if err != nil {
			return false, fmt.Errorf("update the row: %w", err)
		}
		return ok, nil
	}
	if turn.Version > 0 {
		n, err := t.exec(ctx, `DELETE FROM users WHERE id = ? AND version = ?`, id, int64(turn.Version)) //nolint:gosec // versions fit
		if err != nil {
			return false, fmt.Errorf("delete the row: %w", err)
		}
		if n == 0 {
			return false, nil
		}
	}
	at := turn.Records[len(turn.Records)-1].At.UnixMicro()
	if err := db.insertAccount(ctx, t, insertDeletedUser, a, at); err != nil {
		return false, fmt.Errorf("archive the row: %w", err)
	}
	if _, err := t.exec(ctx, `DELETE FROM credentials WHERE user_id = ?`, id); err != nil {
		return false, fmt.Errorf("delete the credentials: %w", err)
	}
	if _, err := t.exec(ctx, `DELETE FROM sessions WHERE user_id = ?`, id); err != nil {
		return false, fmt.Errorf("delete the sessions: %w", err)
	}
	return true, nil
}

// lastActivity returns the time of the turn's newest behaviour event that stays,
// or NULL.
func lastActivity(turn *persistence.Turn) driver.Value {
	for i := len(turn.Records) - 1; i >= 0; i-- {
		if r := &turn.Records[i]; r.Kind == persistence.KindActivityRecorded && !erasedAtOnce(turn, r) {
			return r.At.UnixMicro()
		}
	}
	return nil
}

// laneShift is where the lane is in journal.place; positions fit below.
const laneShift = 56

func place(lane uint8, pos uint64) int64 { return int64(lane)<<laneShift | int64(pos) } //nolint:gosec // positions stay below 2^56

const insertRecord = `INSERT INTO journal (place, user_id, seq, kind, at, event_id, payload) VALUES (?, ?, ?, ?, ?, ?, ?)`

// eraseEvent uses the index journal_event.
const eraseEvent = `UPDATE journal SET kind = 12, payload = x'' WHERE user_id = ? AND event_id = ? AND kind = 11`

func writeRecords(ctx context.Context, t *tx, turn *persistence.Turn) error {
	lane := persistence.LaneOf(turn.User)
	for i := range turn.Records {
		r := &turn.Records[i]
		kind, payload := r.Kind, r.Payload
		if erasedAtOnce(turn, r) {
			kind, payload = persistence.KindActivityErased, nil
		}
		if payload == nil {
			payload = []byte{} // nil is NULL
		}
		var event driver.Value
		if r.EventID != "" {
			event = r.EventID
		}
		t.heads[lane]++
		if _, err := t.exec(ctx, insertRecord, place(lane, t.heads[lane]), int64(r.User), int64(r.Seq), int64(kind), r.At.UnixMicro(), event, payload); err != nil { //nolint:gosec // all fit
			return fmt.Errorf("append record %d: %w", r.Seq, err)
		}
	}
	for _, id := range turn.Erase {
		// Matches nothing for what was inserted blank.
		if _, err := t.exec(ctx, eraseEvent, int64(turn.User), id); err != nil { //nolint:gosec // ids fit
			return fmt.Errorf("erase an event: %w", err)
		}
	}
	return nil
}

// edgeTable holds the statements of one follow list.
type edgeTable struct{ put, remove string }

func writeEdges(ctx context.Context, t *tx, turn *persistence.Turn) error {
	for _, list := range [...]struct {
		edges []persistence.Edge
		edgeTable
	}{
		{turn.Following, edgeTable{
			`INSERT INTO following (user_id, id, at, seq) VALUES (?, ?, ?, ?) ON CONFLICT (user_id, id) DO UPDATE SET at = excluded.at, seq = excluded.seq`,
			`DELETE FROM following WHERE user_id = ? AND id = ?`,
		}},
		{turn.Followers, edgeTable{
			`INSERT INTO followers (user_id, id, at, seq) VALUES (?, ?, ?, ?) ON CONFLICT (user_id, id) DO UPDATE SET at = excluded.at, seq = excluded.seq`,
			`DELETE FROM followers WHERE user_id = ? AND id = ?`,
		}},
		{turn.Crew, edgeTable{
			`INSERT INTO followed_crew (user_id, id, at, seq) VALUES (?, ?, ?, ?) ON CONFLICT (user_id, id) DO UPDATE SET at = excluded.at, seq = excluded.seq`,
			`DELETE FROM followed_crew WHERE user_id = ? AND id = ?`,
		}},
		{turn.Studios, edgeTable{
			`INSERT INTO followed_studios (user_id, id, at, seq) VALUES (?, ?, ?, ?) ON CONFLICT (user_id, id) DO UPDATE SET at = excluded.at, seq = excluded.seq`,
			`DELETE FROM followed_studios WHERE user_id = ? AND id = ?`,
		}},
	} {
		for i := range list.edges {
			e, err := &list.edges[i], error(nil)
			if e.Removed {
				_, err = t.exec(ctx, list.remove, int64(turn.User), int64(e.ID)) //nolint:gosec // ids fit
			} else {
				_, err = t.exec(ctx, list.put, int64(turn.User), int64(e.ID), e.At.UnixMicro(), int64(e.Seq)) //nolint:gosec // all fit
			}
			if err != nil {
				return fmt.Errorf("write an edge: %w", err)
			}
		}
	}
	return nil
}

func saveMarks(ctx context.Context, t *tx, marks []persistence.Mark) error {
	for _, m := range marks {
		if _, err := t.exec(ctx, `INSERT INTO tails (name, lane, pos) VALUES (?, ?, ?)
			ON CONFLICT (name, lane) DO UPDATE SET pos = excluded.pos WHERE excluded.pos > pos`, string(m.Tail), int64(m.Lane), int64(m.Pos)); err != nil { //nolint:gosec // positions fit
			return fmt.Errorf("save the mark of tail %s in lane %d: %w", m.Tail, m.Lane, err)
		}
	}
	return nil
}

// changesNames reports whether the turn can change which claims the row bears.
func changesNames(turn *persistence.Turn) bool {
	return turn.Deleted || len(turn.Claims) > 0 || slices.ContainsFunc(turn.Records, func(r persistence.Record) bool {
		return r.Kind == persistence.KindProfileUpdated
	})
}

// bears reports whether a row (nil: there is none) bears the value of a claim.
// An outside identity has no column: it holds as long as the user.
func bears(a *user.Account, c persistence.Claim) bool {
	if a == nil {
		return false
	}
	switch c.Kind {
	case persistence.ClaimUsername:
		return a.Username == c.Value
	case persistence.ClaimEmail:
		return user.EmailKey(a.Email) == c.Value
	case persistence.ClaimIdentity:
		return true
	}
	return false
}
