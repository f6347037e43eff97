package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/sqlite"
)

const benchUsers = 10_000

// benchDB returns a database with registered users, ids from 1.
func benchDB(b *testing.B) (*sqlite.DB, persistence.Node, []user.Account) {
	b.Helper()
	db, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "kith.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	node, err := db.Acquire(b.Context(), "node", time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	accounts := make([]user.Account, benchUsers)
	for first := 0; first < benchUsers; first += 500 {
		turns := make([]*persistence.Turn, 0, 500)
		for i := first; i < first+500; i++ {
			a := &accounts[i]
			a.ID = user.ID(i + 1)
			a.UID = user.UID{0: 1, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}
			a.Username, a.Name, a.Role = fmt.Sprintf("user%d", i), "Some Name", user.RoleUser
			a.Preferences = user.DefaultPreferences()
			turns = append(turns, next(a, []byte("registered, with about forty bytes of it")))
			*a = turns[len(turns)-1].Account
		}
		if _, err := db.Commit(b.Context(), persistence.Batch{Node: node, Turns: turns}); err != nil {
			b.Fatal(err)
		}
	}
	return db, node, accounts
}

// BenchmarkFollow commits follows with both their sides, 256 follows and so 512
// turns a batch.
func BenchmarkFollow(b *testing.B) {
	db, node, accounts := benchDB(b)
	at := time.UnixMicro(1).UTC()
	turns := make([]*persistence.Turn, 0, 512)
	done := 0
	b.ReportAllocs()
	b.ResetTimer()
	for done < b.N {
		turns = turns[:0]
		for i := range 256 {
			n := done + i
			a, t := &accounts[n%(benchUsers/2)], &accounts[benchUsers/2+(n*7+n/benchUsers)%(benchUsers/2)]
			at = at.Add(time.Microsecond)
			turns = append(turns,
				&persistence.Turn{
					User: a.ID, Version: a.Version, Account: *a, Following: []persistence.Edge{{ID: uint64(t.ID), At: at, Seq: a.Version + 1}},
					Records: []persistence.Record{{User: a.ID, Seq: a.Version + 1, Kind: persistence.KindFollowed, At: at, Payload: []byte{8, 1, 2, 3}}},
				},
				&persistence.Turn{
					User: t.ID, Version: t.Version, Account: *t, Followers: []persistence.Edge{{ID: uint64(a.ID), At: at, Seq: t.Version + 1}},
					Records: []persistence.Record{{User: t.ID, Seq: t.Version + 1, Kind: persistence.KindFollowerAdded, At: at, Payload: []byte{8, 1, 2, 3, 4, 5, 6}}},
				})
			a.Version, t.Version = a.Version+1, t.Version+1
			turns[len(turns)-2].Account.Version, turns[len(turns)-1].Account.Version = a.Version, t.Version
		}
		outcomes, err := db.Commit(b.Context(), persistence.Batch{Node: node, Turns: turns})
		if err != nil {
			b.Fatal(err)
		}
		for i, o := range outcomes {
			if o.Status != persistence.Committed {
				b.Fatalf("turn %d of user %d: status %d", i, turns[i].User, o.Status)
			}
		}
		done += 256
	}
}

// BenchmarkLoad activates users with two records after a snapshot, 512 a call.
func BenchmarkLoad(b *testing.B) {
	db, node, accounts := benchDB(b)
	snapshots := make([]persistence.Snapshot, 0, benchUsers)
	for i := range accounts {
		snapshots = append(snapshots, persistence.Snapshot{User: accounts[i].ID, Seq: 1, State: make([]byte, 600)})
	}
	if err := db.SaveSnapshots(b.Context(), snapshots); err != nil {
		b.Fatal(err)
	}
	for range 2 {
		for first := 0; first < benchUsers; first += 500 {
			turns := make([]*persistence.Turn, 0, 500)
			for i := first; i < first+500; i++ {
				turns = append(turns, next(&accounts[i], []byte("some payload of a record")))
				accounts[i] = turns[len(turns)-1].Account
			}
			if _, err := db.Commit(b.Context(), persistence.Batch{Node: node, Turns: turns}); err != nil {
				b.Fatal(err)
			}
		}
	}
	ids := make([]user.ID, 512)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += len(ids) {
		for i := range ids {
			ids[i] = user.ID((done+i)*97%benchUsers + 1)
		}
		histories, err := db.Load(b.Context(), ids)
		if err != nil {
			b.Fatal(err)
		}
		for _, h := range histories {
			if h.Err != nil || h.Version != 3 || len(h.Records) != 2 {
				b.Fatalf("history %+v", h)
			}
		}
	}
}
