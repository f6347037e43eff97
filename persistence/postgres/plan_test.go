package postgres_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
)

// hotStatement says how a statement is to be run.
type hotStatement struct {
	args    string // as SQL
	indexes string // all that it uses, and no others
	rows    int    // that a step of it may look at; 0: planPage
	one     string // a table of one row, which need not have an index
}

// planPage is the page that the statements are asked for, and one more, by which
// they learn that there is another.
const planPage = 100

// hotStatements are those that run for requests, effects, or activations, on the
// users who have most.
func hotStatements() map[string]hotStatement {
	list := func(f func(i int) string) string {
		parts := make([]string, planPage)
		for i := range parts {
			parts[i] = f(i)
		}
		return "'{" + strings.Join(parts, ",") + "}'"
	}
	ids := list(func(i int) string { return strconv.Itoa(7 + i**planUsers/planPage) })
	fill := func(value string) string { return list(func(int) string { return value }) }
	late := fmt.Sprintf("%07d", *planUsers*3/4)
	session := `md5('session7')::uuid`
	return map[string]hotStatement{
		"takeIDs":          {args: `64`, one: "counters"},
		"selectAccounts":   {args: ids, indexes: "users_pkey profiles_pkey"},
		"selectByUsername": {args: `'user_0000077'`, indexes: "users_username profiles_pkey"},
		"selectByUID":      {args: `'07000000-0000-0000-0000-000000000001'`, indexes: "users_uid profiles_pkey"},
		"takeClaims":       {args: `7, now(), '{1,2}', '{new,new@example.org}'`},
		"lockClaims":       {args: `7`, indexes: "claims_user"},
		"keepClaim":        {args: `1, 'user_0000077', now()`, indexes: "claims_pkey"},
		"tieClaim":         {args: `1, 'user_0000077'`, indexes: "claims_pkey"},
		"dropClaim":        {args: `1, 'user_0000077'`, indexes: "claims_pkey"},
		"selectDeletedAt":  {args: `7`, indexes: "deleted_users_pkey"},
		"selectLoose":      {args: `now(), 100`, indexes: "claims_loose"},
		"selectHolder":     {args: `1, 'user_0000077'`, indexes: "claims_pkey"},

		"listFollowing":   {args: `5, 1000, 20`, indexes: "following_newest users_pkey"},
		"listFollowers":   {args: `1, 9223372036854775807, 100`, indexes: "followers_newest users_pkey"},
		"listCrew":        {args: `2, 9223372036854775807, 100`, indexes: "followed_crew_newest"},
		"listStudios":     {args: `2, 9223372036854775807, 100`, indexes: "followed_studios_newest"},
		"selectRelations": {args: `1, ` + ids, indexes: "following_pkey followers_pkey"},

		"listActivities": {args: `3, 9223372036854775807, 101`, indexes: "journal_activity journal_pkey"},
		"hasActivities":  {args: `3, 9000`, indexes: "journal_activity"},
		"selectEvent":    {args: `3, '0190a1b2-c3d4-7e5f-8718-000000000007'`, indexes: "journal_event"},

		"selectPassword": {args: `7`, indexes: "credentials_pkey"},
		"insertSession":  {args: `md5('new')::uuid, 7, 0, '{}', now(), now(), now()`, indexes: "users_pkey"},
		"selectSession":  {args: session, indexes: "sessions_pkey"},
		"rotateSession":  {args: session + `, 0, now(), now(), now(), 8`, indexes: "sessions_pkey"},
		"lockUser":       {args: `7`, indexes: "users_pkey"},
		"removeSessions": {args: session + `, 9`, indexes: "sessions_pkey sessions_user"},
		"noteEnded":      {args: `'{0190a1b2-c3d4-7e5f-8718-000000000007}', '{2030-01-01}', '{1}'`, one: "counters"},
		"selectEnded":    {args: `5, 100`, indexes: "ended_sessions_pkey"},
		"sweepSessions":  {args: `now() + interval '1 year', 100`, indexes: "sessions_expiry sessions_pkey"},
		"sweepEnded":     {args: `now() + interval '1 year', 100`, indexes: "ended_sessions_until ended_sessions_pkey"},

		"selectIdentities":    {args: ids, indexes: "users_pkey deleted_users_pkey"},
		"selectAccountsAfter": {args: late + `, 100`, indexes: "users_pkey profiles_pkey"},
		"searchUsernames":     {args: `'user', '', 'user{', 100`, indexes: "users_username"},
		"searchNames":         {args: `'a', 'user_` + late + `', '{', 100`, indexes: "name_prefixes_pkey users_username"},
		"selectLiveIDs":       {args: `5, 8192`, indexes: "users_pkey", rows: 8192},

		"selectStates":  {args: ids, indexes: "users_pkey deleted_users_pkey snapshots_pkey"},
		"selectTails":   {args: ids, indexes: "users_pkey deleted_users_pkey snapshots_pkey journal_user", rows: planPage * 40},
		"selectRecords": {args: `3, 5, 100`, indexes: "journal_user"},
		"readLane":      {args: `5, 1::bigint << 56, 100`, indexes: "journal_pkey"},
		"selectHeads":   {indexes: "journal_pkey"},
		"saveSnapshots": {args: `'{7,9}', '{20,20}', '{a,b}'`, indexes: "users_pkey"},
		"eraseEvents":   {args: `3, 100`, indexes: "journal_activity|journal_feed journal_pkey"},
		"EraseUser 1":   {args: `7`, indexes: "deleted_users_pkey"},
		"EraseUser 2":   {args: `7`, indexes: "snapshots_pkey"},
		"EraseUser 3":   {args: `7`, indexes: "notifications_seen_pkey"},

		"selectVersions": {args: ids, indexes: "users_pkey deleted_users_pkey"},
		"selectHeld":     {args: `'{7,8}', '{1,2}', '{user_0000077,user7@example.org}'`, indexes: "claims_pkey"},
		"selectKnown":    {args: `'{3,4}', '{0190a1b2-c3d4-7e5f-8718-000000000001,0190a1b2-c3d4-7e5f-8718-000000000001}'`, indexes: "journal_event"},
		"namesBefore 1":  {args: ids, indexes: "users_pkey"},
		"deleteSessions": {args: `'{7,8}'`, indexes: "sessions_user users_pkey"},

		"selectParked":     {args: `7, 100`, indexes: "parked_pkey"},
		"Park 1":           {args: `'{7,8}', '{1,2}', '{1,2}', '{now,now}', '{a,b}'`},
		"Unpark 1":         {args: `'{7,8}', '{1,2}', '{1,2}'`, indexes: "parked_pkey"},
		"selectNeighbours": {args: `1, ` + late + `, 100`, indexes: "following_pkey followers_pkey"},
		"CloseSevering 1":  {args: `2, 100`, indexes: "following_pkey|following_newest"},

		"selectFollowed": {args: `2`, indexes: "following_newest|following_pkey users_pkey", rows: planReads + planDegree + 1},
		"selectAuthors":  {args: `2, ` + ids, indexes: "following_pkey users_pkey profiles_pkey"},
		"selectEvents":   {args: ids + `, ` + fill("infinity") + `, ` + fill("9223372036854775807") + `, 1`, indexes: "journal_feed"},
		"selectDoings":   {args: ids + `, ` + fill("infinity") + `, ` + fill("9223372036854775807") + `, 1`, indexes: "journal_feed"},
		"selectJournal":  {args: `3, 9000, 100`, indexes: "journal_user"},
		"selectPlaces":   {args: ids, indexes: "journal_pkey"},
		"countUnread":    {args: `1, 99`, indexes: "followers_newest users_pkey notifications_seen_pkey"},
		"markSeen":       {args: `1, 20`, indexes: "journal_user users_pkey"},
	}
}

// coldStatements are the others, by why their plans do not matter.
func coldStatements() map[string][]string {
	return map[string][]string{
		"it is composed: see the test of a batch of everything": {"compose 1"},
		"its tables have a few rows": {
			"fenceRow", "selectLeased", "Acquire 2", "Acquire 3", "Acquire 4", "Renew 1", "Raise 1", // nodes and lanes
			"readMarks 1", "forgetMarks", "setMarks", // tails
			"PutSeverings 1", "CloseSevering 2", "readSeverings 1",
			"selectEnds", "saveEnd", "forgetEnds", "selectRefill", "beginRefill", "saveRefill", "endRefill", // of the broker
		},
		"it counts all there is, of what should not be": {"ParkedTargets 1"},
		"it is of an audit, which goes through everything": {
			"selectAudited", "auditTombstones", "auditRecords", "auditSnapshots", "users 1", "auditOneSided", "auditParked",
		},
		"it is of a load, which writes everything": {"loadInUse", "loadIndexes", "loadMarks", "loadNextID"},
		"it reads no table of ours":                {"patient", "reach 1", "setLocal 1", "Acquire 1", "migrate 1", "selectTables", "current 1"},
	}
}

func TestEveryStatementIsHotOrCold(t *testing.T) {
	t.Parallel()
	found := statements(t)
	known := make(map[string]int)
	for name := range hotStatements() {
		known[name]++
	}
	for _, names := range coldStatements() {
		for _, name := range names {
			known[name]++
		}
	}
	for name, text := range found {
		if known[name] != 1 {
			t.Errorf("statement %q is listed %d times: %.80s", name, known[name], text)
		}
	}
	for name := range known {
		if _, ok := found[name]; !ok {
			t.Errorf("there is no statement %q", name)
		}
	}
}

// At a million users every hot statement looks at its page, in the order of an
// index, and at nothing else: whether or not the planner knows the arguments, how
// long it believes lists to be, and where no settings help it.
func TestHotStatementsReadTheirPageFromAnIndex(t *testing.T) { //nolint:tparallel // those within go by the same statistics
	t.Parallel()
	db, url := planDB(t)
	node := acquire(t, db)
	found := statements(t)
	admin := dial(t, url)
	for i, fewer := range []float64{1, 10} {
		pretendAMillion(t, admin, fewer)
		t.Run(fmt.Sprintf("lists believed %g times as long, a batch of everything", fewer), func(t *testing.T) {
			_, plan := db.PlanOf(t, persistence.Batch{
				Node: node, Turns: everyPart(t, db, node, user.ID(*planUsers+100*i)+1),
				Marks: []persistence.Mark{{Tail: persistence.TailEffects, Lane: 1, Pos: 1}},
			})
			for _, step := range plan {
				if strings.Contains(step, "Seq Scan") {
					t.Errorf("%s\n%s", step, strings.Join(plan, "\n"))
				}
			}
		})
		for _, session := range []struct {
			what, mode string
			settings   map[string]string
		}{
			{"as set on a connection, for these arguments", "force_custom_plan", postgres.SessionSettings()},
			{"as set on a connection, for any arguments", "force_generic_plan", postgres.SessionSettings()},
			{"as the role has it behind pgbouncer, where nothing is prepared", "force_custom_plan", nil},
		} {
			t.Run(fmt.Sprintf("lists believed %g times as long, %s", fewer, session.what), func(t *testing.T) {
				c := dial(t, url)
				for name, value := range session.settings {
					exec(t, c, `SELECT set_config($1, $2, false)`, name, value)
				}
				exec(t, c, `SELECT set_config('plan_cache_mode', $1, false)`, session.mode)
				for name, s := range hotStatements() {
					if found[name] != "" { // else the other test fails
						s.check(t, name, planOf(t, c, found[name], s.args))
					}
				}
			})
		}
	}
}

// planNode is a step of a plan that was carried out.
type planNode struct {
	Type     string  `json:"Node Type"`
	Table    string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Rows     float64 `json:"Actual Rows"` // of each loop
	Loops    float64 `json:"Actual Loops"`
	Filtered float64 `json:"Rows Removed by Filter"`
	Missed   float64 `json:"Rows Removed by Index Recheck"`
	Hit      int     `json:"Shared Hit Blocks"` // with those of the steps below
	Read     int     `json:"Shared Read Blocks"`
	Plans    []*planNode
}

func (n *planNode) walk(f func(*planNode)) {
	f(n)
	for _, inner := range n.Plans {
		inner.walk(f)
	}
}

// planOf carries a statement out, and undoes it.
func planOf(tb testing.TB, c *pgx.Conn, sql, args string) (plan *planNode) {
	tb.Helper()
	exec(tb, c, `BEGIN`)
	exec(tb, c, `PREPARE planned AS `+sql)
	execute := `EXECUTE planned`
	if args != "" {
		execute += ` (` + args + `)`
	}
	text := ask[string](tb, c, `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) `+execute)
	exec(tb, c, `ROLLBACK`)
	exec(tb, c, `DEALLOCATE planned`)
	var plans []struct{ Plan *planNode }
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		tb.Fatal(err, text)
	}
	return plans[0].Plan
}

func (s hotStatement) check(t *testing.T, name string, plan *planNode) {
	t.Helper()
	limit := s.rows
	if limit == 0 {
		limit = planPage + 1
	}
	// A row is found through the levels of an index or two. More pages than that are
	// entries of an index that were looked at in vain. (Writing takes more.)
	if pages := plan.Hit + plan.Read; pages > 12*limit && plan.Type != "ModifyTable" {
		t.Errorf("%s looks at %d pages for at most %d rows", name, pages, limit)
	}
	used := make(map[string]bool)
	plan.walk(func(n *planNode) {
		if n.Index != "" {
			used[n.Index] = true
		}
		if n.Type == "Seq Scan" && n.Table != s.one {
			t.Errorf("%s reads all of %s", name, n.Table)
		}
		if rows := int((n.Rows + n.Filtered + n.Missed) * n.Loops); rows > limit {
			t.Errorf("%s looks at %d rows in a step %q, wanted at most %d", name, rows, n.Type, limit)
		}
		if strings.HasSuffix(n.Type, "Sort") && n.Rows > planPage {
			t.Errorf("%s sorts %.0f rows", name, n.Rows)
		}
	})
	for either := range strings.FieldsSeq(s.indexes) {
		n := len(used)
		for index := range strings.SplitSeq(either, "|") {
			delete(used, index)
		}
		if len(used) == n {
			t.Errorf("%s does not use the index %s", name, either)
		}
	}
	for index := range used {
		t.Errorf("%s uses the index %s", name, index)
	}
}
