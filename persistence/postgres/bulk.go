package postgres

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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

// loadAhead is how many turns wait to be written; full: no more are made.
const loadAhead = 1024

// Load fills a database with the rows that are there after each user has claimed
// what its turn needs and the turns have been committed in the order of ids. It
// makes the tables if there are none, and fails with an error matching
// fs.ErrExist if anybody ever registered, or a server ever ran, there. It is many
// times as fast as commits: every table is written in the order of its key, and
// what cannot be is indexed at the end.
//
// It is one transaction: everything is there, and durable, when Load returns nil,
// and else nothing.
func Load(ctx context.Context, databaseURL string, w World) error {
	if err := w.load(ctx, databaseURL); err != nil {
		return fmt.Errorf("postgres: load a world: %w", err)
	}
	return nil
}

func (w *World) load(ctx context.Context, databaseURL string) error {
	t, err := reach(ctx, databaseURL)
	switch {
	case err != nil:
		return err
	case t.bouncer:
		return ErrBouncer
	}
	if err := t.prepare(ctx); err != nil {
		return err
	}
	conn, err := t.connect(ctx, forMigrations)
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	l := &loader{world: w, conn: conn, account: &DB{defaults: user.DefaultPreferences()}}
	return pgx.BeginFunc(ctx, conn, func(pgx.Tx) error { return l.run(ctx) }) //nolint:wrapcheck // wrapped by Load
}

// loader is a load on its way.
type loader struct {
	world   *World
	conn    *pgx.Conn
	account *DB // encodes accounts
	heads   heads
	claims  []loadedClaim
	names   []loadedName
}

type loadedClaim struct {
	persistence.Claim
	id user.ID
}

type loadedName struct{ username, name string }

const (
	loadedTables = `users, profiles, credentials, claims, name_prefixes, journal, tails, following, followers, followed_crew, followed_studios`
	loadLock     = `LOCK TABLE counters, nodes, deleted_users, snapshots, sessions, ` + loadedTables
	// loadInUse asks for what there is as soon as anybody has done anything.
	loadInUse = `SELECT next_user > 1 OR EXISTS (SELECT 1 FROM nodes) OR EXISTS (SELECT 1 FROM claims) OR EXISTS (SELECT 1 FROM journal) FROM counters`
	// loadEmpty makes the tables anew, which COPY needs to write rows as old ones.
	loadEmpty = `TRUNCATE ` + loadedTables
	// loadIndexes finds the indexes whose order is not that in which the rows come.
	loadIndexes = `SELECT x.indexrelid::regclass::text, pg_get_indexdef(x.indexrelid) FROM pg_index x
	WHERE x.indrelid = ANY (string_to_array($1, ', ')::regclass[]) AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = x.indexrelid)`
	loadMemory = `SET LOCAL maintenance_work_mem = '256MB'`
	loadMarks  = `INSERT INTO tails (name, lane, pos) SELECT t.name, x.n - 1, x.pos FROM unnest($1::text[]) AS t (name)
	CROSS JOIN unnest($2::bigint[]) WITH ORDINALITY AS x (pos, n) WHERE x.pos > 0`
	loadNextID = `UPDATE counters SET next_user = $1`
)

func (l *loader) run(ctx context.Context) error {
	again, err := l.clear(ctx)
	if err != nil {
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
	for _, sql := range append(again, "ANALYZE "+loadedTables) {
		if _, err := l.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("index: %w", err)
		}
	}
	return nil
}

// clear finds out that the database is new, empties the tables all the same, and
// drops the indexes. It returns what makes them again.
func (l *loader) clear(ctx context.Context) (again []string, err error) {
	if _, err := l.conn.Exec(ctx, loadLock); err != nil {
		return nil, fmt.Errorf("lock the tables: %w", err)
	}
	var used bool
	if err := l.conn.QueryRow(ctx, loadInUse).Scan(&used); err != nil {
		return nil, fmt.Errorf("look whether anything is there: %w", err)
	}
	if used {
		return nil, fmt.Errorf("the database is in use: %w", fs.ErrExist)
	}
	rows, err := l.conn.Query(ctx, loadIndexes, loadedTables)
	if err != nil {
		return nil, fmt.Errorf("read the indexes: %w", err)
	}
	var (
		drop             []string
		name, definition string
	)
	if _, err := pgx.ForEachRow(rows, []any{&name, &definition}, func() error {
		drop, again = append(drop, "DROP INDEX "+name), append(again, definition)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the indexes: %w", err)
	}
	for _, sql := range append(drop, loadEmpty, loadMemory) {
		if _, err := l.conn.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("prepare the tables: %w", err)
		}
	}
	return again, nil
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
	_, err = check([]*persistence.Turn{t})
	return t, err
}

// users writes the tables that begin with a user's id.
func (l *loader) users(ctx context.Context) error {
	users := newCopier(l.conn, "users", `id, uid, username, name, role, picture, followers, following, streams, videos, privacy,
		created_at, updated_at, version, crew_members, studios, last_activity_at`)
	profiles := newCopier(l.conn, "profiles", "user_id, email, bio, preferences")
	credentials := newCopier(l.conn, "credentials", "user_id, password_hash")
	tables := []*copier{users, profiles, credentials}
	rows := len(tables)
	for _, list := range lists() {
		tables = append(tables, newCopier(l.conn, list, "user_id, id, seq, at"))
	}
	edges := tables[rows:]
	ids := func(yield func(user.ID) bool) {
		for id := user.ID(1); id <= user.ID(l.world.Users) && yield(id); id++ { //nolint:gosec // not negative
		}
	}
	err := l.each(ctx, ids, func(t *persistence.Turn) error {
		if err := l.row(users.row(), profiles.row(), t); err != nil {
			return fmt.Errorf("row of user %d: %w", t.User, err)
		}
		for i, list := range [...][]persistence.Edge{t.Following, t.Followers, t.Crew, t.Studios} {
			if err := l.edges(edges[i], t.User, list); err != nil {
				return err
			}
		}
		if t.PasswordHash != "" {
			r := credentials.row()
			r.uint8(uint64(t.User))
			r.text(t.PasswordHash)
		}
		for _, c := range t.Claims {
			l.claims = append(l.claims, loadedClaim{c, t.User})
		}
		l.names = append(l.names, loadedName{t.Account.Username, t.Account.Name})
		for _, to := range tables {
			if err := to.end(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, to := range tables {
		if err := to.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) row(users, profiles *array, t *persistence.Turn) error {
	a := &t.Account
	prefs, err := l.account.encodePreferences(&a.Preferences)
	if err != nil {
		return err
	}
	users.uint8(uint64(a.ID))
	users.blob(a.UID[:])
	for _, s := range [...]string{a.Username, a.Name, string(a.Role), a.Picture} {
		users.text(s)
	}
	for _, n := range [...]int64{a.Followers, a.Following, a.Streams, a.Videos} {
		users.int8(n)
	}
	users.int2(privacyBits(a.Privacy))
	users.time(a.CreatedAt)
	users.time(a.UpdatedAt)
	users.uint8(a.Version)
	users.int8(a.CrewMembers)
	users.int8(a.Studios)
	users.optionalTime(lastActivity(t))
	profiles.uint8(uint64(a.ID))
	profiles.text(a.Email)
	profiles.text(a.Bio)
	profiles.json(prefs)
	return nil
}

func (l *loader) edges(to *copier, id user.ID, list []persistence.Edge) error {
	for _, e := range slices.SortedFunc(slices.Values(list), func(a, b persistence.Edge) int { return cmp.Compare(a.ID, b.ID) }) {
		if e.Removed {
			return fmt.Errorf("user %d: an edge is removed that never was", id)
		}
		r := to.row()
		r.uint8(uint64(id))
		r.uint8(e.ID)
		r.uint8(e.Seq)
		r.time(e.At)
	}
	return nil
}

// tieNames writes the claims, each tied to its user's row.
func (l *loader) tieNames(ctx context.Context) error {
	slices.SortFunc(l.claims, func(a, b loadedClaim) int { return compareClaims(a.Claim, b.Claim) })
	to := newCopier(l.conn, "claims", "kind, value, user_id, at, loose")
	for _, c := range l.claims {
		r := to.row()
		r.int2(int16(c.Kind))
		r.text(c.Value)
		r.uint8(uint64(c.id))
		r.time(l.world.ClaimedAt)
		r.blob([]byte{0}) // false
		if err := to.end(ctx); err != nil {
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
	to := newCopier(l.conn, "name_prefixes", "prefix, username")
	for _, prefix := range slices.Sorted(maps.Keys(found)) {
		for _, i := range found[prefix] {
			r := to.row()
			r.text(prefix)
			r.text(l.names[i].username)
			if err := to.end(ctx); err != nil {
				return err
			}
		}
	}
	l.names = nil
	return to.flush(ctx)
}

// journal writes the records, lane by lane.
func (l *loader) journal(ctx context.Context) error {
	to := newCopier(l.conn, "journal", "place, user_id, seq, at, kind, event_id, payload")
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
			r, row := &t.Records[i], to.row()
			l.heads[lane]++
			row.int8(place(lane, l.heads[lane]))
			row.uint8(uint64(r.User))
			row.uint8(r.Seq)
			row.time(r.At)
			row.int2(int16(r.Kind))
			if r.EventID == "" {
				row.null()
			} else {
				row.text(r.EventID)
			}
			row.blob(r.Payload)
			if err := to.end(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return to.flush(ctx)
}

// finish writes how far everything is.
func (l *loader) finish(ctx context.Context) error {
	heads := make([]int64, len(l.heads))
	for lane, pos := range l.heads {
		heads[lane] = int64(pos) //nolint:gosec // positions fit
	}
	if _, err := l.conn.Exec(ctx, loadMarks, l.world.Tails, heads); err != nil {
		return err //nolint:wrapcheck // wrapped by run
	}
	_, err := l.conn.Exec(ctx, loadNextID, int64(l.world.Users)+1)
	return err //nolint:wrapcheck // wrapped by run
}
