package sqlite_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/persistence/sqlite"
)

// BenchmarkFeed reads the newest page of 50, one from the middle of the histories,
// and what was missed by whoever has missed nothing, of readers who follow 200,
// 1,000 and 5,000.
func BenchmarkFeed(b *testing.B) {
	w := persistencetest.FeedWorld{Reads: []int{200, 1000, 5000}, Authors: 5000, Events: 40}
	path := filepath.Join(b.TempDir(), "kith.db")
	if err := sqlite.Load(b.Context(), path, sqlite.World{Users: w.Users(), Turn: w.Turn, ClaimedAt: w.Start()}); err != nil {
		b.Fatal(err)
	}
	db, err := sqlite.Open(b.Context(), sqlite.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	heads, err := db.Heads(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	all := func(*persistence.Author) func(*persistence.Record) bool {
		return func(*persistence.Record) bool { return true }
	}
	run := func(name string, n int, read func() (int, error), want int) {
		b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
			before := cpu(b)
			for b.Loop() {
				if records, err := read(); err != nil || records != want {
					b.Fatalf("%d records, error %v", records, err)
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
	for i, n := range w.Reads {
		reader := user.ID(i + 1)
		for name, before := range map[string]persistence.FeedPlace{"newest": {}, "middle": w.Middle()} {
			run(name, n, func() (int, error) {
				page, err := db.Feed(b.Context(), reader, before, 50, all)
				return len(page.Records), err
			}, 50)
		}
		run("missed", n, func() (int, error) {
			missed, err := db.Missed(b.Context(), reader, heads, 50)
			return len(missed.Records), err
		}, 0)
	}
}

// cpu returns the CPU time of this process, which does all of the work.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
