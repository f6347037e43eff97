package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/sqlite"
)

// loaded is a small world in which the orders of ids, usernames and uids differ.
func loaded(users int) sqlite.World {
	at := time.UnixMicro(1_700_000_000_000_000).UTC()
	turn := func(id user.ID) (*persistence.Turn, error) {
		n := uint64(id)
		a := user.Account{Card: user.Card{
			ID: id, UID: user.UID{byte(255 - n%256), byte(n >> 8)}, Username: fmt.Sprintf("u%d", n*7919%1000), Name: fmt.Sprintf("Ann B%d", n%5),
			Role: user.RoleUser, Privacy: user.DefaultPrivacy(), CreatedAt: at, UpdatedAt: at, Following: 3, Version: 4,
		}}
		t := &persistence.Turn{
			User: id, Account: a, PasswordHash: "hash",
			Claims: []persistence.Claim{{Kind: persistence.ClaimUsername, Value: a.Username}},
			// Not in order, and not of one time.
			Following: []persistence.Edge{{ID: n + 9, At: at, Seq: 3}, {ID: n + 2, At: at.Add(time.Duration(n) * time.Second), Seq: 1}, {ID: n + 5, At: at, Seq: 2}},
			Followers: []persistence.Edge{{ID: n + 1, At: at, Seq: 2}},
			Crew:      []persistence.Edge{{ID: 8, At: at, Seq: 4}},
			Studios:   []persistence.Edge{{ID: 9, At: at, Seq: 1}},
		}
		for i, kind := range []persistence.Kind{persistence.KindRegistered, persistence.KindActivityRecorded, persistence.KindProfileUpdated, persistence.KindFollowed} {
			r := persistence.Record{User: id, Seq: uint64(i) + 1, Kind: kind, At: at.Add(time.Duration(i) * time.Second), Payload: []byte{byte(i)}}
			if kind == persistence.KindActivityRecorded {
				r.EventID, r.Payload = "e", nil
			}
			t.Records = append(t.Records, r)
		}
		return t, nil
	}
	return sqlite.World{Users: users, Turn: turn, ClaimedAt: at, Tails: []persistence.TailName{persistence.TailEffects, persistence.TailBroker}}
}

// What is loaded is what the commits of the same turns leave, in every table, with
// every index.
func TestLoadLeavesWhatCommitsLeave(t *testing.T) {
	t.Parallel()
	const users = 300
	w := loaded(users)
	fast, slow := filepath.Join(t.TempDir(), "kith.db"), filepath.Join(t.TempDir(), "kith.db")
	steps := 0
	w.Progress = func(n int) { steps += n }
	if err := sqlite.Load(t.Context(), fast, w); err != nil {
		t.Fatal(err)
	}
	if steps != 2*users {
		t.Errorf("%d steps of progress, want %d", steps, 2*users)
	}

	db := openAt(t, sqlite.Config{Path: slow, Now: func() time.Time { return w.ClaimedAt }})
	node, err := db.Acquire(t.Context(), "n", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.NextIDs(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	batch := persistence.Batch{Node: node}
	for id := user.ID(1); id <= users; id++ {
		turn, err := w.Turn(id)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Claim(t.Context(), id, turn.Claims); err != nil {
			t.Fatal(err)
		}
		batch.Turns = append(batch.Turns, turn)
	}
	outcomes, err := db.Commit(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Status != persistence.Committed {
			t.Fatalf("turn %d: status %d", i, o.Status)
		}
	}
	heads, err := db.Heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	batch.Turns = nil
	for _, tail := range w.Tails {
		for lane, pos := range heads {
			batch.Marks = append(batch.Marks, persistence.Mark{Tail: tail, Lane: uint8(lane), Pos: pos})
		}
	}
	if _, err := db.Commit(t.Context(), batch); err != nil {
		t.Fatal(err)
	}

	got, want := dump(t, fast), dump(t, slow)
	for table, rows := range want {
		if table == "nodes" || table == "lanes" { // nobody has held the lanes of what was loaded
			continue
		}
		if !reflect.DeepEqual(got[table], rows) {
			t.Errorf("table %s: %.500v\nwant %.500v", table, got[table], rows)
		}
	}
	if len(want["journal"]) != 4*users || len(want["name_prefixes"]) == 0 || len(got) != len(want) {
		t.Errorf("%d records, %d prefixes; %d tables, want %d", len(want["journal"]), len(want["name_prefixes"]), len(got), len(want))
	}

	loadedDB := openAt(t, sqlite.Config{Path: fast})
	if mode := loadedDB.Query(t, `SELECT journal_mode = 'wal' FROM pragma_journal_mode`); mode != 1 {
		t.Error("the loaded database has no write-ahead log")
	}
	if n := loadedDB.Query(t, `SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'`); n != 0 {
		t.Errorf("the integrity check finds %d faults", n)
	}
}

// dump returns the rows of all tables, in the order of their keys, and the schema.
func dump(t *testing.T, path string) map[string][]string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	tables := make(map[string][]string)
	rows := func(query string) (all []string) {
		found, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := found.Close(); err != nil {
				t.Error(err)
			}
		}()
		columns, err := found.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, pointers := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		for found.Next() {
			if err := found.Scan(pointers...); err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprint(values...))
		}
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	for _, table := range rows(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'goose_db_version' AND name NOT LIKE 'sqlite%'`) {
		// A key has at most three columns.
		tables[table] = rows(`SELECT * FROM ` + table + ` ORDER BY 1, 2` + strings.Repeat(", 3", min(1, len(rows(`SELECT 1 FROM pragma_table_info('`+table+`') WHERE cid = 2`)))))
	}
	tables["schema"] = rows(`SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2`)
	return tables
}

// A world that is not whole leaves nothing, and what is there stays as it is.
func TestLoadIsAllOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "kith.db")
	missing := errors.New("missing")
	for name, spoil := range map[string]func(*persistence.Turn) error{
		"a turn that is not there":   func(*persistence.Turn) error { return missing },
		"a deletion":                 func(t *persistence.Turn) error { t.Deleted = true; return nil },
		"a later turn":               func(t *persistence.Turn) error { t.Version = 1; return nil },
		"another user's records":     func(t *persistence.Turn) error { t.Records[1].User++; return nil },
		"an edge that is removed":    func(t *persistence.Turn) error { t.Crew[0].Removed = true; return nil },
		"a name that is taken twice": func(t *persistence.Turn) error { t.Claims[0].Value, t.Account.Username = "u919", "u919"; return nil }, // of user 1
	} {
		w := loaded(50)
		turn := w.Turn
		w.Turn = func(id user.ID) (*persistence.Turn, error) {
			made, err := turn(id)
			if id == 40 {
				err = spoil(made)
			}
			return made, err
		}
		if err := sqlite.Load(t.Context(), path, w); err == nil {
			t.Errorf("%s: it is loaded", name)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Fatalf("%s: %v is left (%v)", name, left, err)
		}
	}
	if err := sqlite.Load(t.Context(), path, loaded(1)); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Load(t.Context(), path, loaded(2)); !errors.Is(err, os.ErrExist) {
		t.Errorf("over another database: %v", err)
	}
}
