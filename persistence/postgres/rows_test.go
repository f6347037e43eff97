package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

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
