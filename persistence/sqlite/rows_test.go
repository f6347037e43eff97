package sqlite_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/sqlite"
)

// laneMates returns the rows of two registered users of one lane.
func laneMates(t *testing.T, db *sqlite.DB) (persistence.Node, user.Account, user.Account) {
	t.Helper()
	_, a := newUser(t, db)
	if _, err := db.NextIDs(t.Context(), persistence.LaneCount-1); err != nil {
		t.Fatal(err)
	}
	node, b := newUser(t, db)
	if persistence.LaneOf(a.ID) != persistence.LaneOf(b.ID) {
		t.Fatalf("users %d and %d are in different lanes", a.ID, b.ID)
	}
	return node, a, b
}

func TestATurnThatBreaksOffHalfwayLeavesNoGap(t *testing.T) {
	t.Parallel()
	db := open(t)
	node, a, b := laneMates(t, db)
	// A record that should not be there: the second of a's turn is taken.
	const elsewhere = int64(5) << 56
	db.Exec(t, `INSERT INTO journal (place, user_id, seq, kind, at, payload) VALUES (?, ?, ?, 4, 1, x'')`, elsewhere+1000, int64(a.ID), int64(a.Version+2))
	broken := next(&a, nil)
	second := broken.Records[0]
	second.Seq++
	broken.Records = append(broken.Records, second)
	broken.Account.Version++
	whole := next(&b, nil)
	outcomes, err := commit(t, db, node, broken, whole)
	if err != nil {
		t.Fatal(err)
	}
	if outcomes[0].Status != persistence.Stale || outcomes[1].Status != persistence.Committed {
		t.Fatalf("outcomes %+v", outcomes)
	}
	records, err := db.ReadLane(t.Context(), persistence.LaneOf(a.ID), 0, 100)
	if err != nil || len(records) != 3 || records[2].Pos != 3 || whole.Records[0].Pos != 3 {
		t.Fatalf("the lane holds %+v, error %v; the committed record was told %d", records, err, whole.Records[0].Pos)
	}
}

func TestAHistoryOfTheRightLengthMayStillNotBeWhole(t *testing.T) {
	t.Parallel()
	db := open(t)
	node, a := newUser(t, db)
	for range 3 {
		turn := next(&a, nil)
		mustCommit(t, db, node, turn)
		a = turn.Account
	}
	db.Break(t, a.ID, 2)
	db.Exec(t, `UPDATE users SET version = version - 1 WHERE id = ?`, int64(a.ID))
	h, err := db.Load(t.Context(), []user.ID{a.ID})
	if err != nil || h[0].Err == nil {
		t.Fatalf("records 1, 3 and 4 pass for a journal of 3: %+v, error %v", h[0], err)
	}
}

func TestRecordsOfNobodyAreNotALoadedHistory(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, a := newUser(t, db)
	db.Exec(t, `DELETE FROM users WHERE id = ?`, int64(a.ID))
	h, err := db.Load(t.Context(), []user.ID{a.ID})
	if err != nil || h[0].Err == nil {
		t.Fatalf("history %+v, error %v", h[0], err)
	}
}

// does returns a turn with one behaviour event at that second.
func does(a *user.Account, event string, second int64) *persistence.Turn {
	turn := next(a, []byte("what "+event+" says"))
	turn.Records[0].Kind, turn.Records[0].EventID, turn.Records[0].At = persistence.KindActivityRecorded, event, time.Unix(second, 0).UTC()
	return turn
}

func TestTheRowKnowsTheNewestActivity(t *testing.T) {
	t.Parallel()
	db := open(t)
	node, a := newUser(t, db)
	newest := func() int64 {
		t.Helper()
		return db.Query(t, fmt.Sprintf("SELECT coalesce(last_activity_at, -1) FROM users WHERE id = %d", a.ID))
	}
	take := func(turn *persistence.Turn) {
		t.Helper()
		mustCommit(t, db, node, turn)
		a = turn.Account
	}
	if at := newest(); at != -1 {
		t.Errorf("without activity: %d", at)
	}
	take(does(&a, "e1", 7))
	if at := newest(); at != 7e6 {
		t.Errorf("after the first: %d", at)
	}
	take(next(&a, nil))
	if at := newest(); at != 7e6 {
		t.Errorf("after something else: %d", at)
	}
	erased := does(&a, "e2", 9)
	erased.Erase = []string{"e2"}
	take(erased)
	if at := newest(); at != 7e6 {
		t.Errorf("after one that was erased at once: %d", at)
	}
	take(does(&a, "e3", 9))
	if at := newest(); at != 9e6 {
		t.Errorf("after another: %d", at)
	}
}

func TestWhatIsErasedAtOnceNeverReachesTheDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	db := openAt(t, sqlite.Config{Path: path})
	node, a := newUser(t, db)
	kept := does(&a, "kept", 7)
	mustCommit(t, db, node, kept)
	a = kept.Account
	gone := does(&a, "gone", 8)
	gone.Erase = []string{"gone"}
	mustCommit(t, db, node, gone)
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, []byte("what kept says")) || bytes.Contains(log, []byte("what gone says")) {
		t.Error("the log lacks what was kept, or holds what was erased")
	}
}

func TestWhatIsErasedIsGoneFromTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	db := openAt(t, sqlite.Config{Path: path})
	node, a := newUser(t, db)
	const marker = "content that must go, "
	for _, size := range []int{1, 400} { // within its page, and over several
		turn := does(&a, fmt.Sprintf("e%d", size), 7)
		turn.Records[0].Payload = bytes.Repeat([]byte(marker), size)
		mustCommit(t, db, node, turn)
		a = turn.Account
		turn = next(&a, nil)
		turn.Records[0].Kind, turn.Erase = persistence.KindActivityDeleted, []string{fmt.Sprintf("e%d", size)}
		mustCommit(t, db, node, turn)
		a = turn.Account
	}
	if err := db.Close(); err != nil { // moves the log into the database
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte(marker)) {
		t.Error("the file still holds what was erased")
	}
}

func TestADeletionTakesTheSessionsAlong(t *testing.T) {
	t.Parallel()
	db := open(t)
	node, a, b := laneMates(t, db)
	for i, id := range []user.ID{a.ID, a.ID, b.ID} {
		s := persistence.Session{ID: [16]byte{byte(i)}, User: id, CreatedAt: time.UnixMicro(1), ExpiresAt: time.UnixMicro(2)}
		if err := db.CreateSession(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	deletion := next(&a, nil)
	deletion.Records[0].Kind, deletion.Deleted = persistence.KindDeleted, true
	mustCommit(t, db, node, deletion)
	if n := db.Query(t, fmt.Sprintf("SELECT count(*) + 100 * sum(user_id = %d) FROM sessions", b.ID)); n != 101 {
		t.Errorf("sessions left: %d in all and %d of the other", n%100, n/100)
	}
	if at := db.Query(t, fmt.Sprintf("SELECT deleted_at FROM deleted_users WHERE id = %d", a.ID)); at != 1 {
		t.Errorf("deleted at %d, want the time of the record", at)
	}
}
