package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// World is what Load writes: users with ids from 1 on.
type World struct {
	Users int
	// Turn returns all that ever happened to a user, as one turn at version 0 that
	// deletes and erases nothing. Load asks twice for each, not in order of ids, in
	// a goroutine of its own.
	Turn func(id user.ID) (*persistence.Turn, error)
	// ClaimedAt is when the claims of the turns were made.
	ClaimedAt time.Time
	// Tails are those that have nothing left to do.
	Tails []persistence.TailName
	// Progress, if not nil, is told of every user, twice.
	Progress func(users int)
}

const (
	loadCache  = "cache_size(-262144)" // 256 MiB
	loadCommit = 100_000               // rows of a transaction
	loadRows   = 16                    // of one statement
	loadAhead  = 1024                  // turns that wait to be written; full: no more are made
)

// Load makes a database at path, where none may be, with the rows that are there
// after each user has claimed what its turn needs and the turns have been
// committed in the order of ids. It is many times as fast: every table is written
// in the order of its key, and what cannot be is indexed at the end.
//
// The database is there, and durable, when Load returns nil, and else not at all.
func Load(ctx context.Context, path string, w World) (err error) {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("sqlite: load %s: %w", path, cmp.Or(err, os.ErrExist))
	}
	part := path + ".part"
	defer func() {
		if err != nil {
			err = fmt.Errorf("sqlite: load %s: %w", path, err)
		}
		for _, suffix := range []string{"", "-journal", "-wal", "-shm", ".lock"} {
			if e := os.Remove(part + suffix); e != nil && !errors.Is(e, os.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}()
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err //nolint:wrapcheck // wrapped above
	}
	if err := Migrate(ctx, part); err != nil {
		return err
	}
	if err := fill(ctx, part, &w); err != nil {
		return err
	}
	if err := syncFile(part); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err //nolint:wrapcheck // wrapped above
	}
	return syncFile(filepath.Dir(path))
}

// syncFile makes a file, or the names in a folder, durable.
func syncFile(path string) (err error) {
	f, err := os.Open(path) //nolint:gosec // named by the operator
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync() //nolint:wrapcheck // names the file
}

// fill fills the tables of a database that nobody else knows of. A crash leaves
// nothing of use, so it keeps no journal and waits for no disk.
func fill(ctx context.Context, path string, w *World) (err error) {
	c, err := connect(ctx, dsn(path, defaultBusy, "locking_mode(EXCLUSIVE)", "journal_mode(OFF)", "synchronous(OFF)", loadCache))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	l := &loader{world: w, conn: c, account: &DB{defaults: user.DefaultPreferences()}}
	indexes, err := l.dropIndexes(ctx)
	if err != nil {
		return err
	}
	if err := l.begin(ctx); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		run  func(context.Context) error
	}{{"users", l.users}, {"claims", l.tieNames}, {"search prefixes", l.prefixes}, {"journal", l.journal}, {"marks", l.finish}} {
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	if err := l.commit(ctx); err != nil {
		return err
	}
	for _, sql := range indexes {
		if _, err := c.exec(ctx, sql); err != nil {
			return fmt.Errorf("index: %w", err)
		}
	}
	// The mode is kept in the file.
	if _, err := c.exec(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return fmt.Errorf("set the journal mode: %w", err)
	}
	return nil
}

// loader is a load on its way.
type loader struct {
	world   *World
	conn    *conn
	account *DB // encodes accounts
	rows    int // since the last commit
	heads   heads
	claims  []loadedClaim
	names   []loadedName
}

type loadedClaim struct {
	persistence.Claim
	id user.ID
}

type loadedName struct{ username, name string }

// dropIndexes drops the indexes whose order is not that in which the rows come,
// and returns what makes them again.
func (l *loader) dropIndexes(ctx context.Context) (again []string, err error) {
	var drop []string
	err = l.conn.query(ctx, `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('users', 'claims', 'journal') ORDER BY rowid`,
		func(row []driver.Value) error {
			drop, again = append(drop, "DROP INDEX "+text(row[0])), append(again, text(row[1]))
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read the indexes: %w", err)
	}
	for _, sql := range drop {
		if _, err := l.conn.exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("drop an index: %w", err)
		}
	}
	return again, nil
}

func (l *loader) begin(ctx context.Context) error {
	if _, err := l.conn.exec(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return nil
}

func (l *loader) commit(ctx context.Context) error {
	l.rows = 0
	if _, err := l.conn.exec(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// wrote counts rows, and bounds the transaction.
func (l *loader) wrote(ctx context.Context, rows int) error {
	if l.rows += rows; l.rows < loadCommit {
		return nil
	}
	return errors.Join(l.commit(ctx), l.begin(ctx))
}

// each calls f with the turns of ids, which are made ahead of it.
func (l *loader) each(ctx context.Context, ids iter.Seq[user.ID], f func(*persistence.Turn) error) error {
	type made struct {
		turn *persistence.Turn
		err  error
	}
	ahead, stop := make(chan made, loadAhead), make(chan struct{})
	go func() {
		defer close(ahead)
		for id := range ids {
			turn, err := l.turn(id)
			select {
			case ahead <- made{turn, err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() {
		close(stop)
		for range ahead { // until it has ended
		}
	}()
	for m := range ahead {
		err := cmp.Or(m.err, ctx.Err())
		if err == nil {
			err = f(m.turn)
		}
		if err != nil {
			return err
		}
		if l.world.Progress != nil {
			l.world.Progress(1)
		}
	}
	return nil
}

// turn returns the turn of a user, if it is one that can be loaded.
func (l *loader) turn(id user.ID) (*persistence.Turn, error) {
	t, err := l.world.Turn(id)
	if err != nil {
		return nil, fmt.Errorf("turn of user %d: %w", id, err)
	}
	if t.User != id || t.Version != 0 || t.Deleted || len(t.Erase) > 0 {
		return nil, fmt.Errorf("turn of user %d: it is of user %d at version %d, or deletes", id, t.User, t.Version)
	}
	return t, check([]*persistence.Turn{t})
}

// users writes the tables that begin with a user's id.
func (l *loader) users(ctx context.Context) error {
	following, followers := l.table("following", "user_id, id, at, seq"), l.table("followers", "user_id, id, at, seq")
	crew, studios := l.table("followed_crew", "user_id, id, at, seq"), l.table("followed_studios", "user_id, id, at, seq")
	credentials := l.table("credentials", "user_id, password_hash")
	ids := func(yield func(user.ID) bool) {
		for id := user.ID(1); id <= user.ID(l.world.Users) && yield(id); id++ { //nolint:gosec // not negative
		}
	}
	err := l.each(ctx, ids, func(t *persistence.Turn) error {
		if err := l.account.insertAccount(ctx, &tx{conn: l.conn}, insertUser, &t.Account, lastActivity(t)); err != nil {
			return fmt.Errorf("row of user %d: %w", t.User, err)
		}
		for _, list := range []struct {
			to    *bulk
			edges []persistence.Edge
		}{{following, t.Following}, {followers, t.Followers}, {crew, t.Crew}, {studios, t.Studios}} {
			for _, e := range slices.SortedFunc(slices.Values(list.edges), func(a, b persistence.Edge) int { return cmp.Compare(a.ID, b.ID) }) {
				if e.Removed {
					return fmt.Errorf("user %d: an edge is removed that never was", t.User)
				}
				if err := list.to.add(ctx, int64(t.User), int64(e.ID), e.At.UnixMicro(), int64(e.Seq)); err != nil { //nolint:gosec // ids fit
					return fmt.Errorf("edges of user %d: %w", t.User, err)
				}
			}
		}
		if t.PasswordHash != "" {
			if err := credentials.add(ctx, int64(t.User), t.PasswordHash); err != nil { //nolint:gosec // ids fit
				return fmt.Errorf("credentials of user %d: %w", t.User, err)
			}
		}
		for _, c := range t.Claims {
			l.claims = append(l.claims, loadedClaim{c, t.User})
		}
		l.names = append(l.names, loadedName{t.Account.Username, t.Account.Name})
		return l.wrote(ctx, 1)
	})
	return errors.Join(err, following.flush(ctx), followers.flush(ctx), crew.flush(ctx), studios.flush(ctx), credentials.flush(ctx))
}

// tieNames writes the claims, each tied to its user's row.
func (l *loader) tieNames(ctx context.Context) error {
	slices.SortFunc(l.claims, func(a, b loadedClaim) int { return compareClaims(a.Claim, b.Claim) })
	to := l.table("claims", "kind, value, user_id, at, loose")
	for _, c := range l.claims {
		if err := to.add(ctx, int64(c.Kind), c.Value, int64(c.id), l.world.ClaimedAt.UnixMicro(), int64(0)); err != nil { //nolint:gosec // ids fit
			return err
		}
	}
	l.claims = nil
	return to.flush(ctx)
}

// prefixes writes by what names users are found.
func (l *loader) prefixes(ctx context.Context) error {
	slices.SortFunc(l.names, func(a, b loadedName) int { return strings.Compare(a.username, b.username) })
	found := make(map[string][]int32) // ascending, as the usernames are
	for i, n := range l.names {
		for _, prefix := range persistence.SearchPrefixes(n.name) {
			found[prefix] = append(found[prefix], int32(i))
		}
	}
	to := l.table("name_prefixes", "prefix, username")
	for _, prefix := range slices.Sorted(maps.Keys(found)) {
		for _, i := range found[prefix] {
			if err := to.add(ctx, prefix, l.names[i].username); err != nil {
				return err
			}
		}
	}
	l.names = nil
	return to.flush(ctx)
}

// journal writes the records, lane by lane.
func (l *loader) journal(ctx context.Context) error {
	to := l.table("journal", "place, user_id, seq, kind, at, event_id, payload")
	ids := func(yield func(user.ID) bool) {
		for lane := range user.ID(persistence.LaneCount) {
			for id := lane; id <= user.ID(l.world.Users); id += persistence.LaneCount { //nolint:gosec // not negative
				if id > 0 && !yield(id) {
					return
				}
			}
		}
	}
	err := l.each(ctx, ids, func(t *persistence.Turn) error {
		lane := persistence.LaneOf(t.User)
		for i := range t.Records {
			r := &t.Records[i]
			payload := r.Payload
			if payload == nil {
				payload = []byte{} // nil is NULL
			}
			var event driver.Value
			if r.EventID != "" {
				event = r.EventID
			}
			l.heads[lane]++
			if err := to.add(ctx, place(lane, l.heads[lane]), int64(r.User), int64(r.Seq), int64(r.Kind), r.At.UnixMicro(), event, payload); err != nil { //nolint:gosec // all fit
				return fmt.Errorf("record %d of user %d: %w", r.Seq, r.User, err)
			}
		}
		return nil
	})
	return errors.Join(err, to.flush(ctx))
}

// finish writes how far everything is.
func (l *loader) finish(ctx context.Context) error {
	for _, tail := range l.world.Tails {
		for lane, pos := range l.heads {
			if pos == 0 {
				continue
			}
			if err := saveMarks(ctx, &tx{conn: l.conn}, []persistence.Mark{{Tail: tail, Lane: uint8(lane), Pos: pos}}); err != nil {
				return err
			}
		}
	}
	_, err := l.conn.exec(ctx, `UPDATE ids SET next = ?`, int64(l.world.Users)+1)
	return err
}

// bulk inserts rows into a table, several with a statement.
type bulk struct {
	l           *loader
	insert, row string
	full        string // a statement of loadRows rows
	columns     int
	args        []driver.Value
}

func (l *loader) table(name, columns string) *bulk {
	n := strings.Count(columns, ",") + 1
	b := &bulk{l: l, columns: n, insert: "INSERT INTO " + name + " (" + columns + ") VALUES ", row: "(?" + strings.Repeat(", ?", n-1) + ")"}
	b.full = b.statement(loadRows)
	return b
}

func (b *bulk) statement(rows int) string {
	return b.insert + b.row + strings.Repeat(", "+b.row, rows-1)
}

func (b *bulk) add(ctx context.Context, values ...driver.Value) error {
	if b.args = append(b.args, values...); len(b.args) < loadRows*b.columns {
		return nil
	}
	return b.write(ctx, b.full)
}

// flush writes what add has not.
func (b *bulk) flush(ctx context.Context) error {
	if len(b.args) == 0 {
		return nil
	}
	return b.write(ctx, b.statement(len(b.args)/b.columns))
}

func (b *bulk) write(ctx context.Context, sql string) error {
	rows := len(b.args) / b.columns
	_, err := b.l.conn.exec(ctx, sql, b.args...)
	clear(b.args)
	if b.args = b.args[:0]; err != nil {
		return err
	}
	return b.l.wrote(ctx, rows)
}
