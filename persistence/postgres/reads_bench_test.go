package postgres_test

import (
	"testing"

	"kith/actors/user"
	"kith/persistence"
)

// BenchmarkReads measures the reads of a request in a world of -plan.users, each
// time of another user. It reports the CPU of this process and of the server's.
func BenchmarkReads(b *testing.B) {
	db, url := planDB(b)
	ids := make([]user.ID, 100)
	some := func(i int) user.ID { return user.ID((i*7919)%*planUsers + 1) }
	for name, read := range map[string]func(i int) (int, error){
		"Accounts of 100": func(i int) (int, error) {
			for k := range ids {
				ids[k] = some(100*i + k)
			}
			found, err := db.Accounts(b.Context(), ids)
			return len(found), err //nolint:wrapcheck // fails the benchmark
		},
		"Accounts of 1": func(i int) (int, error) {
			found, err := db.Accounts(b.Context(), []user.ID{some(i)})
			return len(found), err //nolint:wrapcheck // fails the benchmark
		},
		"List of 20": func(i int) (int, error) {
			found, err := db.List(b.Context(), persistence.EdgeFollowers, planStar, uint64(some(i))+100, 20)
			return len(found), err //nolint:wrapcheck // fails the benchmark
		},
		"Relations of 100": func(i int) (int, error) {
			for k := range ids {
				ids[k] = some(100*i + k)
			}
			found, err := db.Relations(b.Context(), some(i), ids)
			return len(found), err //nolint:wrapcheck // fails the benchmark
		},
		"Events of 20": func(i int) (int, error) {
			page, err := db.Events(b.Context(), planActor, uint64(i%planEvents)+100, 20, nil)
			return len(page.Records), err //nolint:wrapcheck // fails the benchmark
		},
		"Search of 20": func(i int) (int, error) {
			found, err := db.Search(b.Context(), persistence.SearchQuery{Username: "an", Word: "an"}, persistence.SearchCursor{}, 20)
			return len(found), err //nolint:wrapcheck // fails the benchmark
		},
	} {
		b.Run(name, func(b *testing.B) {
			for i := range 10 { // connects, and plans for any arguments
				if n, err := read(i); err != nil || n == 0 {
					b.Fatal(n, err)
				}
			}
			cpu := backend(b, url)
			serverBefore, clientBefore, i := cpu(), clientCPU(b), 10
			for b.Loop() {
				if _, err := read(i); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64(cpu()-serverBefore)/1e3/float64(b.N), "server-µs/op")
			b.ReportMetric(float64(clientCPU(b)-clientBefore)/1e3/float64(b.N), "client-µs/op")
		})
	}
}
