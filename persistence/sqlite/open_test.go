package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kith/persistence"
	"kith/persistence/sqlite"
)

func TestOnlyTheOwnerMayReadTheFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a name? with 100% #odd=chars & ü.db")
	db := openAt(t, sqlite.Config{Path: path})
	newUser(t, db)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 4 { // the database, its log, the log's index, the lock
		t.Errorf("%d files", len(files))
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", f.Name(), info.Mode().Perm())
		}
	}
}

func TestASecondOpenIsRefusedUntilTheFirstIsClosed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	first := openAt(t, sqlite.Config{Path: path})
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	wantError(t, err, sqlite.ErrLocked)
	wantError(t, sqlite.Migrate(t.Context(), path), sqlite.ErrLocked)
	newUser(t, first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, sqlite.Config{Path: path})
}

func TestADatabaseThatAnotherProgramHoldsIsLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	if err := sqlite.Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	db := openAt(t, sqlite.Config{Path: path, BusyTimeout: time.Millisecond})
	other := openSQL(t, path)
	tx, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	_, err = db.NextIDs(t.Context(), 1)
	wantError(t, err, persistence.ErrNotCommitted)
	if _, err := db.Heads(t.Context()); err != nil { // reads go on
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.NextIDs(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
}

func TestANewerDatabaseIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	if err := sqlite.Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	other := openSQL(t, path)
	if _, err := other.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	wantError(t, err, sqlite.ErrNewer)
	wantError(t, sqlite.Migrate(t.Context(), path), sqlite.ErrNewer)
	v, err := sqlite.Status(t.Context(), path)
	if err != nil || v.Current != 9999 || v.Latest >= 9999 {
		t.Errorf("status %+v, error %v", v, err)
	}
}

func TestWhatIsNoKithDatabaseIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	foreign := filepath.Join(t.TempDir(), "other.db")
	other := openSQL(t, foreign)
	if _, err := other.ExecContext(t.Context(), "CREATE TABLE users (id INTEGER PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(text, bytes.Repeat([]byte("dear diary, "), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short.txt")
	if err := os.WriteFile(short, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{foreign, text, short} {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sqlite.Open(t.Context(), sqlite.Config{Path: path})
		wantError(t, err, sqlite.ErrForeign)
		_, err = sqlite.Status(t.Context(), path)
		wantError(t, err, sqlite.ErrForeign)
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, after) {
			t.Errorf("%s was changed", path)
		}
	}
}

func TestADamagedDatabaseIsNamed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	if err := sqlite.Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < 4096; i++ { // the schema, behind the header
		content[i] = 0xa5
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Open(t.Context(), sqlite.Config{Path: path})
	wantError(t, err, sqlite.ErrCorrupt)
}

func TestAPathThatCannotBeIsAnError(t *testing.T) {
	t.Parallel()
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "no", "such", "dir", "kith.db")})
	wantError(t, err, fs.ErrNotExist)
	_, err = sqlite.Status(t.Context(), filepath.Join(t.TempDir(), "kith.db"))
	wantError(t, err, fs.ErrNotExist)
}

func TestMigrateIsUpToDateAndMayRunTwice(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := sqlite.Status(t.Context(), path)
	if err != nil || v.Current != 0 || v.Latest == 0 {
		t.Fatalf("status of an empty file %+v, error %v", v, err)
	}
	for range 2 {
		if err := sqlite.Migrate(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	db := openAt(t, sqlite.Config{Path: path})
	if v, err = sqlite.Status(t.Context(), path); err != nil || v.Current != v.Latest { // while it is in use
		t.Fatalf("status %+v, error %v", v, err)
	}
	newUser(t, db)
}

func TestEveryCommitIsSynced(t *testing.T) {
	t.Parallel()
	db := open(t)
	const full = 2
	if n := db.Query(t, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"); n != 1 {
		t.Error("the journal mode is not WAL")
	}
	if n := db.Query(t, "PRAGMA synchronous"); n != full {
		t.Errorf("synchronous is %d, want %d", n, full)
	}
}

func TestClosedIsClosed(t *testing.T) {
	t.Parallel()
	db := open(t)
	if err := errors.Join(db.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err := db.NextIDs(t.Context(), 1)
	wantError(t, err, sqlite.ErrClosed)
	wantError(t, err, persistence.ErrNotCommitted)
	_, err = db.Heads(t.Context())
	wantError(t, err, sqlite.ErrClosed)
	_, err = db.Snapshot(t.Context())
	wantError(t, err, sqlite.ErrClosed)
}

func TestCloseWritesWhatWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	db := openAt(t, sqlite.Config{Path: path})
	release := db.Hold(t)
	results := make(chan error, 10)
	for range cap(results) {
		go func() {
			_, err := db.NextIDs(context.WithoutCancel(t.Context()), 1)
			results <- err
		}()
	}
	for db.Queued() < cap(results) {
		wait(t)
	}
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	release()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if first, err := openAt(t, sqlite.Config{Path: path}).NextIDs(t.Context(), 1); err != nil || first != 11 {
		t.Errorf("next id %d, error %v, want 11", first, err)
	}
}

func openSQL(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
