package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
	"kith/test/services"
)

// elsewhere is a place in a lane that the tests leave alone.
const elsewhere = int64(5) << 56

func TestATurnThatBreaksOffHalfwayLeavesNoGap(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	rows := register(t, db, node, 1, 65)
	// A record that should not be there: the second of a's turn is taken.
	exec(t, dial(t, url), `INSERT INTO journal (place, user_id, seq, kind, at, payload) VALUES ($1, 1, 3, 4, now(), '')`, elsewhere+1000)
	broken := next(&rows[0], persistence.KindFollowed, persistence.KindFollowed)
	whole := next(&rows[1], persistence.KindFollowed)
	outcomes, err := commit(t, db, node, broken, whole)
	if err != nil {
		t.Fatal(err)
	}
	if outcomes[0].Status != persistence.Stale || outcomes[1].Status != persistence.Committed {
		t.Fatalf("outcomes %+v", outcomes)
	}
	if records := lane(t, db, 1); len(records) != 3 || whole.Records[0].Pos != 3 {
		t.Fatalf("the lane holds %+v; the committed record was told %d", records, whole.Records[0].Pos)
	}
}

func TestTurnsThatMeetRowsThatShouldNotBeThereFailAlone(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	const users = 100
	ids := make([]user.ID, users)
	for i := range ids {
		ids[i] = user.ID(i + 1)
	}
	rows := register(t, db, node, ids...)
	c := dial(t, url)
	bad := []int{0, 17, 18, 63, 99}
	for _, i := range bad {
		exec(t, c, `INSERT INTO journal (place, user_id, seq, kind, at, payload) VALUES ($1, $2, 2, 4, now(), '')`, elsewhere+1000+int64(i), ids[i])
	}
	turns := make([]*persistence.Turn, users)
	for i := range rows {
		turns[i] = next(&rows[i], persistence.KindFollowed)
		turns[i].Following = []persistence.Edge{{ID: 7, At: time.UnixMicro(1), Seq: 2}}
	}
	marks := []persistence.Mark{{Tail: persistence.TailEffects, Lane: 3, Pos: 9}}
	outcomes, err := db.Commit(t.Context(), persistence.Batch{Node: node, Turns: turns, Marks: marks})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		want := persistence.Committed
		if slices.Contains(bad, i) {
			want = persistence.Stale
		}
		if o.Status != want {
			t.Errorf("turn %d: status %d, want %d", i, o.Status, want)
		}
		if edges := ask[int](t, c, `SELECT count(*) FROM following WHERE user_id = $1`, ids[i]); (edges == 1) != (want == persistence.Committed) {
			t.Errorf("turn %d: %d edges", i, edges)
		}
	}
	for n := range uint8(persistence.LaneCount) {
		if n != 5 {
			for _, r := range lane(t, db, n) {
				if r.Seq == 2 && turns[r.User-1].Records[0].Pos != r.Pos {
					t.Errorf("user %d: the record is at %d and was told %d", r.User, r.Pos, turns[r.User-1].Records[0].Pos)
				}
			}
		}
	}
	if saved, err := db.Marks(t.Context(), persistence.TailEffects); err != nil || saved[3] != 9 {
		t.Errorf("mark %d, error %v", saved[3], err)
	}
	// What comes after goes on behind it.
	mustCommit(t, db, node, next(&rows[1], persistence.KindFollowed))
}

func TestAPositionGivenTwiceFailsItsBatch(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	rows := register(t, db, node, 1, 2)
	// Someone else has written behind the head that is remembered.
	exec(t, dial(t, url), `INSERT INTO journal (place, user_id, seq, kind, at, payload) VALUES ($1, 129, 1, 1, now(), '')`, int64(1)<<56|2)
	before := rows[0]
	turns := []*persistence.Turn{next(&rows[0], persistence.KindFollowed), next(&rows[1], persistence.KindFollowed)}
	_, err := commit(t, db, node, turns...)
	wantError(t, err, persistence.ErrNotCommitted)
	if errors.Is(err, persistence.ErrFenced) {
		t.Errorf("%v: the node is the owner", err)
	}
	if v := version(t, db, 2); v != 1 {
		t.Fatalf("the neighbour is at version %d", v)
	}
	// The heads are read again.
	mustCommit(t, db, node, turns...)
	if r := lane(t, db, 1); len(r) != 3 || r[2].User != before.ID || turns[0].Records[0].Pos != 3 {
		t.Errorf("the lane holds %+v", r)
	}
}

func TestABatchHasOneTurnOfAUser(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	node := acquire(t, db)
	rows := register(t, db, node, 1)
	_, err := commit(t, db, node, next(&rows[0], persistence.KindFollowed), next(&rows[0], persistence.KindFollowed))
	wantError(t, err, persistence.ErrNotCommitted)
	if v := version(t, db, 1); v != 1 {
		t.Errorf("version %d", v)
	}
}

func TestAnEmptyBatchFindsOutWhetherTheFenceHolds(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	node := acquire(t, db)
	if _, err := commit(t, db, node); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Raise(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	_, err := commit(t, db, node)
	wantError(t, err, persistence.ErrFenced)
}

func TestAValueThatCannotBeStoredFailsItsTurnAlone(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	node := acquire(t, db)
	rows := register(t, db, node, 1, 2)
	bad := next(&rows[0], persistence.KindProfileUpdated)
	bad.Account.Bio = "no text of PostgreSQL holds a \x00"
	outcomes, err := commit(t, db, node, bad, next(&rows[1], persistence.KindFollowed))
	if err != nil || outcomes[0].Status != persistence.Stale || outcomes[1].Status != persistence.Committed {
		t.Errorf("outcomes %+v, error %v", outcomes, err)
	}
}

func TestAnEventTwiceInATurnIsAConflict(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	node := acquire(t, db)
	rows := register(t, db, node, 1, 2, 3)
	twice := next(&rows[0], persistence.KindActivityRecorded, persistence.KindActivityRecorded)
	twice.Records[0].EventID, twice.Records[1].EventID = "e", "e"
	stale := next(&rows[1], persistence.KindActivityDeleted)
	stale.Erase = []string{"f", "f"}
	mustCommit(t, db, node, next(&rows[2], persistence.KindFollowed))
	outcomes, err := commit(t, db, node, twice, stale, next(&rows[2], persistence.KindFollowed))
	if err != nil {
		t.Fatal(err)
	}
	if o := outcomes[0]; o.Status != persistence.EventConflict || len(o.Conflicts) != 1 || o.Conflicts[0] != (persistence.EventConflictDetail{EventID: "e", Status: user.EventRecorded}) {
		t.Errorf("recorded twice: %+v", o)
	}
	if o := outcomes[1]; o.Status != persistence.EventConflict || o.Conflicts[0] != (persistence.EventConflictDetail{EventID: "f", Status: user.EventMissing}) {
		t.Errorf("erased twice: %+v", o)
	}
	if outcomes[2].Status != persistence.Committed || version(t, db, 1) != 1 {
		t.Errorf("outcomes %+v", outcomes)
	}
}

func TestTheRowKnowsTheNewestActivity(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	a := register(t, db, node, 1)[0]
	c := dial(t, url)
	check := func(what string, second int64) {
		t.Helper()
		if at := ask[int64](t, c, `SELECT coalesce(extract(epoch FROM last_activity_at)::bigint, -1) FROM users WHERE id = 1`); at != second {
			t.Errorf("%s: %d, want %d", what, at, second)
		}
	}
	does := func(event string, second int64) *persistence.Turn {
		turn := next(&a, persistence.KindActivityRecorded)
		turn.Records[0].EventID, turn.Records[0].At = event, time.Unix(second, 0)
		return turn
	}
	check("without activity", -1)
	mustCommit(t, db, node, does("e1", 7))
	check("after the first", 7)
	mustCommit(t, db, node, next(&a, persistence.KindFollowed))
	check("after something else", 7)
	mustCommit(t, db, node, next(&a, persistence.KindProfileUpdated))
	check("after a change of the row", 7)
	erased := does("e2", 9)
	erased.Erase = []string{"e2"}
	mustCommit(t, db, node, erased)
	check("after one that was erased at once", 7)
	mustCommit(t, db, node, does("e3", 9))
	check("after another", 9)
}

func TestADeletionTakesAlongASessionThatBeginsMeanwhile(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	rows := register(t, db, node, 1, 2)
	const begin = `INSERT INTO sessions (id, user_id, generation, rotations, created_at, expires_at, access_until) VALUES (gen_random_uuid(), $1, 0, '{}', now(), now(), now())`
	c := dial(t, url)
	exec(t, c, begin, 2)
	exec(t, c, `BEGIN`)
	exec(t, c, `SELECT 1 FROM users WHERE id = 1 FOR KEY SHARE`)
	exec(t, c, begin, 1)
	done := make(chan error)
	go func() {
		_, err := commit(t, db, node, next(&rows[0], persistence.KindDeleted))
		done <- err
	}()
	waitForLock(t, url)
	exec(t, c, `COMMIT`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := ask[int](t, c, `SELECT count(*) FROM sessions WHERE user_id = 1`); n != 0 {
		t.Errorf("%d sessions of a deleted user", n)
	}
	if n := ask[int](t, c, `SELECT count(*) FROM sessions`); n != 1 {
		t.Errorf("%d sessions of the other", n)
	}
	if at := ask[time.Time](t, c, `SELECT deleted_at FROM deleted_users WHERE id = 1`); !at.Equal(time.UnixMicro(1)) {
		t.Errorf("deleted at %v, want the time of the record", at)
	}
}

const insertClaim = `INSERT INTO claims (kind, value, user_id, at, loose) VALUES ($1, $2, $3, now(), true)`

// renames returns a turn that needs a claim of an email.
func renames(a *user.Account, email string) *persistence.Turn {
	a.Email = email
	turn := next(a, persistence.KindProfileUpdated)
	turn.Claims = []persistence.Claim{{Kind: persistence.ClaimEmail, Value: user.EmailKey(email)}}
	return turn
}

func TestAClaimThatIsTouchedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		want persistence.TurnStatus
	}{
		"renewed":  {`UPDATE claims SET at = now() WHERE kind = 2`, persistence.Committed},
		"given up": {`DELETE FROM claims WHERE kind = 2`, persistence.ClaimMissing},
		"and another of the user's, which is not needed": {`UPDATE claims SET at = now()`, persistence.Committed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, url := open(t)
			node := acquire(t, db)
			rows := register(t, db, node, 1, 2)
			beside := dial(t, url)
			exec(t, beside, insertClaim, 2, "a@b.c", 1)
			exec(t, beside, insertClaim, 1, "user1", 1)
			exec(t, beside, `BEGIN`)
			exec(t, beside, c.sql)
			type result struct {
				outcomes []persistence.Outcome
				err      error
			}
			done := make(chan result)
			go func() {
				o, err := commit(t, db, node, renames(&rows[0], "a@b.c"), next(&rows[1], persistence.KindFollowed))
				done <- result{o, err}
			}()
			waitForLock(t, url)
			exec(t, beside, `COMMIT`)
			r := <-done
			if r.err != nil || r.outcomes[0].Status != c.want || r.outcomes[1].Status != persistence.Committed {
				t.Fatalf("outcomes %+v, error %v, want %d", r.outcomes, r.err, c.want)
			}
			if loose := ask[int](t, beside, `SELECT count(*) FROM claims WHERE loose`); c.want == persistence.Committed && loose != 0 {
				t.Errorf("%d claims that the row bears are loose", loose)
			}
		})
	}
}

func TestClaimsAreTiedToTheRowThatBearsThem(t *testing.T) {
	t.Parallel()
	url := services.Database(t)
	db := openAt(t, postgres.Config{URL: url, Quarantine: time.Hour})
	node := acquire(t, db)
	c := dial(t, url)
	a := someone(1)
	a.Email = "Old@B.c"
	exec(t, c, insertClaim, 1, "user1", 1)
	exec(t, c, insertClaim, 2, "old@b.c", 1)
	exec(t, c, insertClaim, 3, "issuer subject", 1)
	tied := func(want string) {
		t.Helper()
		if got := ask[string](t, c, `SELECT coalesce(string_agg(value, ', ' ORDER BY kind, value), '') FROM claims WHERE NOT loose`); got != want {
			t.Errorf("tied are %q, want %q", got, want)
		}
	}
	tied("")
	turn := next(&a, persistence.KindRegistered)
	turn.Claims = []persistence.Claim{{Kind: persistence.ClaimUsername, Value: "user1"}, {Kind: persistence.ClaimEmail, Value: "old@b.c"}, {Kind: persistence.ClaimEmail, Value: "old@b.c"}}
	mustCommit(t, db, node, turn)
	tied("user1, old@b.c, issuer subject")
	exec(t, c, insertClaim, 2, "new@b.c", 1)
	mustCommit(t, db, node, renames(&a, "new@B.c"))
	tied("user1, new@b.c, issuer subject")
	mustCommit(t, db, node, next(&a, persistence.KindDeleted))
	tied("")
	if until := ask[time.Time](t, c, `SELECT at FROM claims WHERE kind = 1`); !until.Equal(time.UnixMicro(1).Add(time.Hour)) {
		t.Errorf("the name is kept until %v", until)
	}
	if n := ask[int](t, c, `SELECT count(*) FROM claims WHERE at < '2000-01-01'`); n != 1 {
		t.Errorf("%d claims are dated by the quarantine, want that of the name", n)
	}
}

func TestNamesAreFoundByTheBeginningsOfTheirWords(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	c := dial(t, url)
	rows := register(t, db, node, 1, 2)
	check := func(a *user.Account, name string) {
		t.Helper()
		want := strings.Join(persistence.SearchPrefixes(name), " ")
		if got := ask[string](t, c, `SELECT coalesce(string_agg(prefix, ' ' ORDER BY prefix), '') FROM name_prefixes WHERE username = $1`, a.Username); got != want {
			t.Errorf("%q is found by %q, want %q", name, got, want)
		}
	}
	check(&rows[0], "Some Name")
	rows[0].Name = "Söme Other"
	turn := next(&rows[0], persistence.KindProfileUpdated)
	mustCommit(t, db, node, turn)
	check(&rows[0], "Söme Other")
	check(&rows[1], "Some Name")
	mustCommit(t, db, node, next(&rows[0], persistence.KindProfileUpdated)) // the name stays
	check(&rows[0], "Söme Other")
	stale := *turn
	stale.Account.Name = "Stale"
	if o, err := commit(t, db, node, &stale); err != nil || o[0].Status != persistence.Stale {
		t.Fatalf("%+v, %v", o, err)
	}
	check(&rows[0], "Söme Other")
	mustCommit(t, db, node, next(&rows[0], persistence.KindDeleted), next(&rows[1], persistence.KindFollowed))
	check(&rows[0], "")
	check(&rows[1], "Some Name")
}

func TestRegisteredAndDeletedAtOnceIsATombstone(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	a := someone(1)
	turn := next(&a, persistence.KindRegistered, persistence.KindDeleted)
	mustCommit(t, db, node, turn)
	h, err := db.Load(t.Context(), []user.ID{1})
	if err != nil || !h[0].Deleted || h[0].Err != nil {
		t.Fatalf("%+v, error %v", h[0], err)
	}
	c := dial(t, url)
	if n := ask[int](t, c, `SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM profiles) + (SELECT count(*) FROM name_prefixes)`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if o, err := commit(t, db, node, turn); err != nil || o[0].Status != persistence.Stale {
		t.Errorf("again: %+v, %v", o, err)
	}
}

func TestASnapshotIsNotSavedBehindADeletion(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	register(t, db, node, 1, 2)
	c := dial(t, url)
	exec(t, c, `BEGIN`)
	exec(t, c, `DELETE FROM users WHERE id = 1`)
	done := make(chan error)
	ctx := context.WithoutCancel(t.Context())
	go func() {
		done <- db.SaveSnapshots(ctx, []persistence.Snapshot{{User: 2, Seq: 1, State: []byte("s")}, {User: 1, Seq: 1, State: []byte("s")}, {User: 1, Seq: 3}})
	}()
	waitForLock(t, url)
	exec(t, c, `COMMIT`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if who := ask[int64](t, c, `SELECT sum(user_id) FROM snapshots`); who != 2 {
		t.Errorf("snapshots of users that sum up to %d", who)
	}
}

func TestAHistoryOfTheRightLengthMayStillNotBeWhole(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	a := register(t, db, node, 1)[0]
	mustCommit(t, db, node, next(&a, persistence.KindFollowed, persistence.KindFollowed, persistence.KindFollowed))
	exec(t, dial(t, url), `DELETE FROM journal WHERE seq = 2`)
	exec(t, dial(t, url), `UPDATE users SET version = version - 1`)
	if h, err := db.Load(t.Context(), []user.ID{1}); err != nil || h[0].Err == nil {
		t.Fatalf("records 1, 3 and 4 pass for a journal of 3: %+v, error %v", h[0], err)
	}
}

func TestRecordsOfNobodyAreNotALoadedHistory(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	register(t, db, acquire(t, db), 1)
	exec(t, dial(t, url), `DELETE FROM users`)
	if h, err := db.Load(t.Context(), []user.ID{1, 1}); err != nil || h[0].Err == nil || h[1].Err == nil {
		t.Fatalf("history %+v, error %v", h, err)
	}
}

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
