package sqlite_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/sqlite"
)

func TestASearchReadsARangeOfAnIndexInItsOrder(t *testing.T) {
	t.Parallel()
	db := open(t)
	for name, statement := range sqlite.SearchStatements() {
		plan := strings.Join(db.Plan(t, statement), "; ")
		if strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "AUTOMATIC") {
			t.Errorf("%s: %s", name, plan)
		}
		want := map[string]string{
			"usernames": "SEARCH users USING COVERING INDEX users_username (username>? AND username<?)",
			"names":     "SEARCH p USING PRIMARY KEY (prefix=? AND username>? AND username<?); SEARCH u USING COVERING INDEX users_username (username=?)",
			"remove":    "SEARCH name_prefixes USING PRIMARY KEY (prefix=? AND username=?)",
		}[name]
		if plan != want {
			t.Errorf("%s: plan %q, want %q", name, plan, want)
		}
	}
	if plan := strings.Join(db.Plan(t, sqlite.LiveStatement), "; "); !strings.Contains(plan, "COVERING INDEX") {
		t.Errorf("live ids: %s", plan)
	}
}

// before3 takes a database back to before there was a search.
func before3(t *testing.T, path string) {
	t.Helper()
	old, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"DROP TABLE name_prefixes", "DELETE FROM goose_db_version WHERE version_id >= 3"} {
		if _, err := old.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUsersFromBeforeThereWasASearchAreFound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	node, err := db.Acquire(t.Context(), "node", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	const users = 1100 // more than two pages of the migration
	var turns []*persistence.Turn
	for i := range users {
		a := user.Account{Card: user.Card{
			ID: user.ID(i + 1), UID: user.UID{14: byte(i >> 8), 15: byte(i)}, Username: fmt.Sprintf("user%04d", i), Name: fmt.Sprintf("Zoë Nr%d", i), Version: 1,
		}}
		turns = append(turns, &persistence.Turn{User: a.ID, Account: a, Records: []persistence.Record{{User: a.ID, Seq: 1, Kind: persistence.KindRegistered, At: time.UnixMicro(1)}}})
	}
	if _, err := db.Commit(t.Context(), persistence.Batch{Node: node, Turns: turns}); err != nil {
		t.Fatal(err)
	}
	rows := db.Query(t, `SELECT count(*) FROM name_prefixes`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	before3(t, path)
	db = openAt(t, sqlite.Config{Path: path})
	if got := db.Query(t, `SELECT count(*) FROM name_prefixes`); got != rows || rows < users {
		t.Errorf("%d rows, want %d", got, rows)
	}
	for _, q := range []string{"ZOË", "nr"} {
		query, _ := persistence.ParseSearch(q)
		var found []string
		cursor := persistence.SearchCursor{}
		for {
			hits, err := db.Search(t.Context(), query, cursor, 100)
			if err != nil {
				t.Fatal(err)
			}
			if len(hits) == 0 {
				break
			}
			for _, h := range hits {
				found = append(found, h.At.Username)
			}
			cursor = hits[len(hits)-1].At
		}
		if len(found) != users || !slices.IsSorted(found) {
			t.Errorf("%q finds %d users, want %d", q, len(found), users)
		}
	}
}
