package sqlite_test

import (
	"strings"
	"testing"

	"kith/persistence/sqlite"
)

func TestHotStatementsUseIndexesAndSortNothing(t *testing.T) {
	t.Parallel()
	db := open(t)
	for name, sql := range sqlite.HotStatements() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := db.Plan(t, sql)
			if len(plan) == 0 {
				t.Fatal("no plan")
			}
			if strings.Contains(sql, "LIMIT ?") {
				t.Error("it is prepared anew whenever it runs: see prepare")
			}
			for _, step := range plan {
				// The ids asked for are scanned; so are the list of lanes and a page found by an index.
				scan := strings.HasPrefix(step, "SCAN") && !strings.Contains(step, "VIRTUAL TABLE") && step != "SCAN lane" && step != "SCAN page" && step != "SCAN CONSTANT ROW"
				if scan || strings.Contains(step, "TEMP B-TREE") || strings.Contains(step, "AUTOMATIC") {
					t.Errorf("step %q of\n\t%s", step, strings.Join(plan, "\n\t"))
				}
			}
		})
	}
}
