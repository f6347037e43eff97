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

// BenchmarkRegister commits registrations, 512 a batch.
func BenchmarkRegister(b *testing.B) {
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
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += 512 {
		turns := make([]*persistence.Turn, 512)
		for i := range turns {
			n := done + i
			a := user.Account{Card: user.Card{
				ID: user.ID(n + 1), UID: user.UID{13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)},
				Username: fmt.Sprintf("user%d", n), Name: fmt.Sprintf("Jane%x Doering%x", n*7919%5003, n*104729%4001),
			}}
			turns[i] = next(&a, []byte("registered, with about forty bytes of it"))
		}
		if _, err := db.Commit(b.Context(), persistence.Batch{Node: node, Turns: turns}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSearch asks for pages of 20 of the 10,000 users whose names begin alike.
func BenchmarkSearch(b *testing.B) {
	db, _, accounts := benchDB(b)
	for _, q := range []string{"user77", "user7777", "n", "some", "nobody"} {
		b.Run(q, func(b *testing.B) {
			query, _ := persistence.ParseSearch(q)
			after := persistence.SearchCursor{ByName: query.Word != "user77", Username: accounts[5000].Username}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := db.Search(b.Context(), query, after, 20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
