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

// feedWorld has authors with 40 events each, in turn, and before them readers
// who follow some of the authors.
func feedWorld(reads []int, authors int) sqlite.World {
	at := time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)
	turn := func(id user.ID) (*persistence.Turn, error) {
		t := &persistence.Turn{User: id}
		record := func(kind persistence.Kind, after time.Duration) *persistence.Record {
			t.Records = append(t.Records, persistence.Record{User: id, Seq: uint64(len(t.Records)) + 1, Kind: kind, At: at.Add(after), Payload: []byte("some bytes of a record, as many as an event has")})
			return &t.Records[len(t.Records)-1]
		}
		record(persistence.KindRegistered, 0)
		if n := int(id) - 1; n < len(reads) {
			for k := range reads[n] {
				r := record(persistence.KindFollowed, 0)
				t.Following = append(t.Following, persistence.Edge{ID: uint64(len(reads) + 1 + k*authors/reads[n]), At: r.At, Seq: r.Seq})
			}
		} else {
			for k := range 40 {
				record(persistence.KindActivityRecorded, time.Duration(k*authors+n*7919%authors)*time.Second).EventID = fmt.Sprint(k)
			}
		}
		t.Account = user.Account{Card: user.Card{
			ID: id, UID: user.UID{0: byte(id), 1: byte(id >> 8), 15: 1}, Username: fmt.Sprintf("user%d", id), Name: "Some Name",
			Role: user.RoleUser, Privacy: user.DefaultPrivacy(), CreatedAt: at, UpdatedAt: at, Version: uint64(len(t.Records)),
		}, Preferences: user.DefaultPreferences()}
		return t, nil
	}
	return sqlite.World{Users: len(reads) + authors, Turn: turn, ClaimedAt: at}
}

// BenchmarkFeed reads the newest page of 50, one from the middle of the histories,
// and what was missed by whoever has missed nothing, of readers who follow 200,
// 1,000 and 5,000.
func BenchmarkFeed(b *testing.B) {
	reads := []int{200, 1000, 5000}
	path := filepath.Join(b.TempDir(), "kith.db")
	if err := sqlite.Load(b.Context(), path, feedWorld(reads, 5000)); err != nil {
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
	middle := persistence.FeedPlace{At: time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC).Add(20 * 5000 * time.Second), User: 1, Seq: 1}
	all := func(*persistence.Author) func(*persistence.Record) bool { return func(*persistence.Record) bool { return true } }
	for i, n := range reads {
		reader := user.ID(i + 1)
		for name, before := range map[string]persistence.FeedPlace{"newest": {}, "middle": middle} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if page, err := db.Feed(b.Context(), reader, before, 50, all); err != nil || len(page.Records) != 50 {
						b.Fatalf("%d records, error %v", len(page.Records), err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("missed/%d", n), func(b *testing.B) {
			for b.Loop() {
				if missed, err := db.Missed(b.Context(), reader, heads, 50); err != nil || len(missed.Records) != 0 {
					b.Fatalf("%d records, error %v", len(missed.Records), err)
				}
			}
		})
	}
}
