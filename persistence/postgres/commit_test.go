package postgres_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
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
