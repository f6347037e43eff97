package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"time"

	_ "modernc.org/sqlite" // the driver that Kith uses too

	"kith/actors/user"
)

// baselineSchema is what the baseline needs of Kith's tables: one table of
// follows that serves both directions, since both have lists.
const baselineSchema = `
CREATE TABLE users (
	id INTEGER PRIMARY KEY, uid BLOB NOT NULL, username TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, picture TEXT NOT NULL,
	followers INTEGER NOT NULL, following INTEGER NOT NULL, streams INTEGER NOT NULL, videos INTEGER NOT NULL,
	created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX users_uid ON users (uid);
CREATE UNIQUE INDEX users_username ON users (username);
CREATE TABLE follows (user_id INTEGER NOT NULL, target_id INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (user_id, target_id)) STRICT, WITHOUT ROWID;
CREATE INDEX follows_target ON follows (target_id, at);
`

// Both statements of a lookup go by unique indexes and the primary key.
const (
	baselineLookup = `SELECT c.id, u.id, u.uid, u.username, u.name, u.role, u.picture, u.followers, u.following, u.streams, u.videos, u.created_at, u.updated_at,
			EXISTS (SELECT 1 FROM follows WHERE user_id = c.id AND target_id = u.id)
		FROM users c CROSS JOIN users u WHERE c.uid = ? AND u.username = ?`
	baselineExists   = `SELECT EXISTS (SELECT 1 FROM users WHERE uid = ?)`
	baselineFollow   = `INSERT INTO follows (user_id, target_id, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
	baselineFollowed = `UPDATE users SET followers = followers + 1 WHERE id = ? RETURNING followers, following`
	baselineFollows  = `UPDATE users SET following = following + 1 WHERE id = ?`
)

// baselineStore is the baseline's database: one connection that writes, some that
// read, the statements prepared. Its settings are those of Kith's.
type baselineStore struct {
	reads, writes *sql.DB

	lookupUser, existsUser         *sql.Stmt // on reads
	insertFollow, countTarget, own *sql.Stmt // on writes
}

func baselineDSN(path, more string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=temp_store(MEMORY)" + more
}

// openBaseline opens a database that fillBaseline made.
func openBaseline(ctx context.Context, path string) (*baselineStore, error) {
	readers := max(4, 2*runtime.NumCPU())
	s := &baselineStore{}
	var err error
	if s.reads, err = openSQL(baselineDSN(path, "&_pragma=query_only(1)&_pragma=cache_size(-16384)"), readers); err != nil {
		return nil, err
	}
	if s.writes, err = openSQL(baselineDSN(path, "&_txlock=immediate&_pragma=cache_size(-65536)&_pragma=wal_autocheckpoint(8192)"), 1); err != nil {
		return nil, errors.Join(err, s.reads.Close())
	}
	for _, p := range []struct {
		db   *sql.DB
		stmt **sql.Stmt
		text string
	}{
		{s.reads, &s.lookupUser, baselineLookup},
		{s.reads, &s.existsUser, baselineExists},
		{s.writes, &s.insertFollow, baselineFollow},
		{s.writes, &s.countTarget, baselineFollowed},
		{s.writes, &s.own, baselineFollows},
	} {
		if *p.stmt, err = p.db.PrepareContext(ctx, p.text); err != nil {
			return nil, errors.Join(fmt.Errorf("prepare: %w", err), s.close())
		}
	}
	return s, nil
}

func openSQL(dsn string, conns int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func (s *baselineStore) close() error { return errors.Join(s.writes.Close(), s.reads.Close()) }

// lookup implements bareStore.
func (s *baselineStore) lookup(ctx context.Context, caller user.UID, username string) (id user.ID, c user.Card, following bool, err error) {
	var (
		uid              []byte
		created, updated int64
	)
	err = s.lookupUser.QueryRowContext(ctx, caller[:], username).Scan(&id, &c.ID, &uid, &c.Username, &c.Name, &c.Role, &c.Picture,
		&c.Followers, &c.Following, &c.Streams, &c.Videos, &created, &updated, &following)
	if err != nil {
		return 0, c, false, fmt.Errorf("look a user up: %w", err)
	}
	copy(c.UID[:], uid)
	c.CreatedAt, c.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	return id, c, following, nil
}

// exists implements bareStore.
func (s *baselineStore) exists(ctx context.Context, uid user.UID) (bool, error) {
	var found bool
	if err := s.existsUser.QueryRowContext(ctx, uid[:]).Scan(&found); err != nil {
		return false, fmt.Errorf("look for a user: %w", err)
	}
	return found, nil
}

// follow implements bareStore.
func (s *baselineStore) follow(ctx context.Context, caller user.ID, target *user.Card) (created bool, err error) {
	tx, err := s.writes.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("follow: begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	result, err := tx.StmtContext(ctx, s.insertFollow).ExecContext(ctx, caller, target.ID, time.Now().UnixMicro())
	if err != nil {
		return false, fmt.Errorf("follow: insert: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, err //nolint:wrapcheck // SQLite always knows
	}
	if _, err := tx.StmtContext(ctx, s.own).ExecContext(ctx, caller); err != nil {
		return false, fmt.Errorf("follow: count the follower's: %w", err)
	}
	if err := tx.StmtContext(ctx, s.countTarget).QueryRowContext(ctx, target.ID).Scan(&target.Followers, &target.Following); err != nil {
		return false, fmt.Errorf("follow: count the target's: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("follow: commit: %w", err)
	}
	return true, nil
}

// fillBaseline makes the baseline's database of people who have ids.
func fillBaseline(ctx context.Context, path string, people *population) (err error) {
	db, err := openSQL(baselineDSN(path, "&_txlock=immediate"), 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("fill the baseline: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, baselineSchema); err != nil {
		return fmt.Errorf("fill the baseline: make the tables: %w", err)
	}
	insertUser, err := tx.PrepareContext(ctx, `INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return fmt.Errorf("fill the baseline: %w", err)
	}
	insertFollow, err := tx.PrepareContext(ctx, baselineFollow)
	if err != nil {
		return fmt.Errorf("fill the baseline: %w", err)
	}
	n, at := len(people.People), people.At.UnixMicro()
	for i := range people.People {
		c := people.card(i)
		if _, err := insertUser.ExecContext(ctx, c.ID, c.UID[:], c.Username, c.Name, c.Role, c.Picture, c.Followers, c.Following, c.Streams, c.Videos, at, at); err != nil {
			return fmt.Errorf("fill the baseline: insert a user: %w", err)
		}
		for _, o := range people.Offsets {
			if _, err := insertFollow.ExecContext(ctx, c.ID, people.People[(i+o)%n].ID, at); err != nil {
				return fmt.Errorf("fill the baseline: insert a follow: %w", err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("fill the baseline: %w", err)
	}
	return nil
}
