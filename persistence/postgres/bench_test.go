package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
)

const benchUsers = 10_000

// benchDB returns a database with registered users, ids from 1.
func benchDB(b *testing.B) (*postgres.DB, string, persistence.Node, []user.Account) {
	b.Helper()
	db, url := open(b)
	node := acquire(b, db)
	accounts := make([]user.Account, 0, benchUsers)
	for first := 1; first < benchUsers; first += 500 {
		ids := make([]user.ID, 500)
		for i := range ids {
			ids[i] = user.ID(first + i)
		}
		accounts = append(accounts, register(b, db, node, ids...)...)
	}
	return db, url, node, accounts
}

// BenchmarkFollow commits follows with both their sides, 256 follows and so 512
// turns a batch. It reports the CPU of this process and of the server's process
// that carries the batches, per follow.
func BenchmarkFollow(b *testing.B) {
	db, url, node, accounts := benchDB(b)
	cpu := backend(b, url)
	at := time.UnixMicro(1).UTC()
	turns := make([]*persistence.Turn, 0, 512)
	done := 0
	b.ReportAllocs()
	b.ResetTimer()
	serverBefore, clientBefore := cpu(), clientCPU(b)
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
		mustCommit(b, db, node, turns...)
		done += 256
	}
	b.StopTimer()
	b.ReportMetric(float64(cpu()-serverBefore)/1e3/float64(done), "server-µs/op")
	b.ReportMetric(float64(clientCPU(b)-clientBefore)/1e3/float64(done), "client-µs/op")
}

// clientCPU returns the CPU time of this process.
func clientCPU(tb testing.TB) time.Duration {
	tb.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// backend returns what the CPU time is of all of the server's processes that
// serve a database.
func backend(tb testing.TB, url string) func() time.Duration {
	tb.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		tb.Fatal(err)
	}
	rows, err := c.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err != nil {
		tb.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Close(ctx); err != nil {
		tb.Fatal(err)
	}
	return func() (total time.Duration) {
		for _, pid := range pids {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
			if err != nil {
				tb.Fatal(err)
			}
			ns, err := strconv.ParseInt(strings.Fields(string(stat))[0], 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			total += time.Duration(ns)
		}
		return total
	}
}

// BenchmarkEvents records behaviour events, singly of 512 users a batch, and a
// hundred of each of 40 users.
func BenchmarkEvents(b *testing.B) {
	for name, shape := range map[string]struct{ users, events int }{"singly": {512, 1}, "by the hundred": {40, 100}} {
		b.Run(name, func(b *testing.B) {
			db, url, node, accounts := benchDB(b)
			cpu := backend(b, url)
			payload := []byte("a hundred bytes of a behaviour event, which holds the id of a movie, its title and where it was seen")
			turns := make([]*persistence.Turn, 0, shape.users)
			done := 0
			b.ReportAllocs()
			b.ResetTimer()
			serverBefore, clientBefore := cpu(), clientCPU(b)
			for done < b.N {
				turns = turns[:0]
				for i := range shape.users {
					a := &accounts[(done/shape.events+i)%benchUsers]
					t := &persistence.Turn{User: a.ID, Version: a.Version}
					for range shape.events {
						a.Version++
						t.Records = append(t.Records, persistence.Record{
							User: a.ID, Seq: a.Version, Kind: persistence.KindActivityRecorded, At: time.UnixMicro(int64(done)).UTC(),
							EventID: "0190a1b2-c3d4-e5f6-0718-" + strconv.FormatUint(a.Version, 16), Payload: payload,
						})
					}
					t.Account = *a
					turns = append(turns, t)
				}
				mustCommit(b, db, node, turns...)
				done += shape.users * shape.events
			}
			b.StopTimer()
			b.ReportMetric(float64(cpu()-serverBefore)/1e3/float64(done), "server-µs/op")
			b.ReportMetric(float64(clientCPU(b)-clientBefore)/1e3/float64(done), "client-µs/op")
		})
	}
}

// BenchmarkLoad activates users with two records after a snapshot, 512 a call.
func BenchmarkLoad(b *testing.B) {
	db, url, node, accounts := benchDB(b)
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
				turns = append(turns, next(&accounts[i], persistence.KindActivityDeleted))
			}
			mustCommit(b, db, node, turns...)
		}
	}
	ids := make([]user.ID, 512)
	if _, err := db.Load(b.Context(), ids); err != nil { // connects
		b.Fatal(err)
	}
	cpu := backend(b, url)
	b.ReportAllocs()
	b.ResetTimer()
	serverBefore, clientBefore, done := cpu(), clientCPU(b), 0
	for ; done < b.N; done += len(ids) {
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
	b.StopTimer()
	b.ReportMetric(float64(cpu()-serverBefore)/1e3/float64(done), "server-µs/op")
	b.ReportMetric(float64(clientCPU(b)-clientBefore)/1e3/float64(done), "client-µs/op")
}
