package sqlite_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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

func TestUsersFromBeforeThereWasASearchAreFound(t *testing.T) {
	t.Parallel()
	const users = 1100 // more than two pages of the migration
	path := filepath.Join(t.TempDir(), "kith.db")
	var rows int64
	err := sqlite.AtVersion(t.Context(), path, 2, func(db *sql.DB) error {
		for i := range users {
			name := fmt.Sprintf("Zoë Nr%d", i)
			rows += int64(len(persistence.SearchPrefixes(name)))
			_, err := db.ExecContext(t.Context(), `INSERT INTO users (id, uid, username, name, role, picture, followers, following, streams, videos,
				privacy, created_at, updated_at, version, email, bio, crew_members, studios)
				VALUES (?, ?, ?, ?, 'user', '', 0, 0, 0, 0, 5, 1, 1, 1, '', '', 0, 0)`, i+1, fmt.Appendf(nil, "%016d", i), fmt.Sprintf("user%04d", i), name)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	db := openAt(t, sqlite.Config{Path: path})
	if got := db.Query(t, `SELECT count(*) FROM name_prefixes`); got != rows {
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
