package postgres_test

import (
	"fmt"
	"testing"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/persistence/postgres"
	"kith/test/services"
)

// BenchmarkFeed reads the newest page of 50, one from the middle of the histories,
// and what was missed by whoever has missed nothing, of readers who follow 200,
// 1,000 and 5,000. It reports the CPU of this process and of the server's.
func BenchmarkFeed(b *testing.B) {
	w := persistencetest.FeedWorld{Reads: []int{200, 1000, 5000}, Authors: 5000, Events: 40}
	url := services.Database(b)
	if err := postgres.Load(b.Context(), url, postgres.World{Users: w.Users(), Turn: w.Turn, ClaimedAt: w.Start()}); err != nil {
		b.Fatal(err)
	}
	exec(b, dial(b, url), `VACUUM ANALYZE`)
	db := openAt(b, postgres.Config{URL: url})
	heads, err := db.Heads(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	all := func(*persistence.Author) func(*persistence.Record) bool {
		return func(*persistence.Record) bool { return true }
	}
	run := func(name string, n int, read func() (int, error), want int) {
		b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
			for range 10 { // connects, and plans for any arguments
				if records, err := read(); err != nil || records != want {
					b.Fatalf("%d records, error %v", records, err)
				}
			}
			cpu := backend(b, url)
			serverBefore, clientBefore := cpu(), clientCPU(b)
			for b.Loop() {
				if _, err := read(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu()-serverBefore)/1e3/float64(b.N), "server-µs/op")
			b.ReportMetric(float64(clientCPU(b)-clientBefore)/1e3/float64(b.N), "client-µs/op")
		})
	}
	for i, n := range w.Reads {
		reader := user.ID(i + 1)
		for name, before := range map[string]persistence.FeedPlace{"newest": {}, "middle": w.Middle()} {
			run(name, n, func() (int, error) {
				page, err := db.Feed(b.Context(), reader, before, 50, all)
				return len(page.Records), err //nolint:wrapcheck // fails the benchmark
			}, 50)
		}
		run("missed", n, func() (int, error) {
			missed, err := db.Missed(b.Context(), reader, heads, 50)
			return len(missed.Records), err //nolint:wrapcheck // fails the benchmark
		}, 0)
	}
}
