package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
)

// everyPart returns a batch that needs all parts of the statement but one of the
// two for plain rows.
func everyPart(tb testing.TB, db *postgres.DB, node persistence.Node, first user.ID) []*persistence.Turn {
	tb.Helper()
	rows := register(tb, db, node, first, first+1, first+2, first+3)
	recorded := next(&rows[0], persistence.KindActivityRecorded)
	recorded.Records[0].EventID = "old"
	edge := func(removed bool, ids ...uint64) (edges []persistence.Edge) {
		for _, id := range ids {
			edges = append(edges, persistence.Edge{ID: id, Removed: removed, Seq: id, At: time.UnixMicro(1)})
		}
		return edges
	}
	recorded.Following, recorded.Followers, recorded.Crew, recorded.Studios = edge(false, 1, 2), edge(false, 1, 2), edge(false, 1, 2), edge(false, 1, 2)
	mustCommit(tb, db, node, recorded)
	plain := next(&rows[0], persistence.KindActivityRecorded, persistence.KindActivityDeleted)
	plain.Records[0].EventID, plain.Erase = "new", []string{"old"}
	both := slices.Concat(edge(true, 1), edge(false, 3))
	plain.Following, plain.Followers, plain.Crew, plain.Studios = both, both, both, both
	rows[1].Name = "Another"
	changed := next(&rows[1], persistence.KindProfileUpdated)
	fresh := someone(first + 4)
	registered := next(&fresh, persistence.KindRegistered)
	registered.PasswordHash = "argon"
	registered.Claims = []persistence.Claim{{Kind: persistence.ClaimUsername, Value: fresh.Username}}
	return []*persistence.Turn{plain, changed, registered, next(&rows[2], persistence.KindDeleted), next(&rows[3], persistence.KindFollowed)}
}

// TestNoCommitReadsAWholeTable: neither on tables that are young, nor on those
// that were analyzed as such and have grown since.
func TestNoCommitReadsAWholeTable(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	c := dial(t, url)
	for round := range 3 {
		turns := everyPart(t, db, node, user.ID(round*100+1))
		exec(t, c, insertClaim, 1, turns[2].Account.Username, turns[2].User)
		b := persistence.Batch{Node: node, Turns: turns, Marks: []persistence.Mark{{Tail: persistence.TailEffects, Lane: 1, Pos: 1}}}
		text, plan := db.PlanOf(t, b)
		for _, table := range []string{"users", "deleted_users", "profiles", "credentials", "journal", "claims", "name_prefixes", "following", "followers", "followed_crew", "followed_studios", "tails"} {
			if !strings.Contains(text, " "+table+" ") {
				t.Errorf("the statement does not touch %s", table)
			}
		}
		for _, step := range plan {
			for _, scan := range []string{"Seq Scan", "Hash Join", "Merge Join", "Hash Semi", "Hash Anti"} {
				if strings.Contains(step, scan) && !strings.Contains(step, "Function") {
					t.Errorf("round %d: %s", round, step)
				}
			}
			// Tests of a set are hashed: as a list they would be read for every row.
			if strings.Contains(step, "SubPlan") && strings.Contains(step, "IS TRUE") && !strings.Contains(step, "hashed SubPlan") {
				t.Errorf("round %d: %s", round, step)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
		outcomes, err := db.Commit(t.Context(), b)
		if err != nil || slices.ContainsFunc(outcomes, func(o persistence.Outcome) bool { return o.Status != persistence.Committed }) {
			t.Fatalf("outcomes %+v, error %v", outcomes, err)
		}
		if round == 1 {
			exec(t, c, `ANALYZE`)
		}
	}
}

func TestAFollowIsWrittenByAShortStatement(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	node := acquire(t, db)
	rows := register(t, db, node, 1)
	turn := next(&rows[0], persistence.KindFollowed)
	turn.Following = []persistence.Edge{{ID: 2, Seq: 2}}
	text, plan := db.PlanOf(t, persistence.Batch{Node: node, Turns: []*persistence.Turn{turn}})
	for _, no := range []string{"profiles", "claims", "deleted", "event_id", "name_", "DELETE", "INTO followers"} {
		if strings.Contains(text, no) {
			t.Errorf("a follow touches %q:\n%s", no, text)
		}
	}
	if writes := fmt.Sprint(plan); strings.Count(writes, "Insert on") != 2 || strings.Count(writes, "Update on") != 1 {
		t.Errorf("the plan is\n%s", strings.Join(plan, "\n"))
	}
}
