package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/persistence/sqlite"
)

// sqliteStore is a database that loses no record.
type sqliteStore struct{ *sqlite.DB }

// Break implements persistencetest.Store.
func (sqliteStore) Break(*testing.T, user.ID, uint64) {}

// TestBothEnginesDoTheSame gives this engine and that of SQLite the same batches,
// of turns that are right and of turns that are not, and compares what becomes of
// them and what is stored.
func TestBothEnginesDoTheSame(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	lite, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "kith.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lite.Close(); err != nil {
			t.Error(err)
		}
	})
	stores := [2]persistencetest.Store{store{db, url}, sqliteStore{lite}}
	node := acquire(t, db)
	if _, err := lite.Acquire(t.Context(), node.ID, time.Hour); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := &pair{T: t, ctx: context.Background(), stores: stores, node: node}
		p.begin()
		for range rapid.IntRange(1, 12).Draw(t, "batches") {
			p.batch()
		}
		p.compare()
	})
}

// pair is two databases and some users.
type pair struct {
	*rapid.T
	ctx    context.Context //nolint:containedctx // of a test
	stores [2]persistencetest.Store
	node   persistence.Node
	first  user.ID
	rows   []user.Account
	gone   []bool
}

func (p *pair) both(what string, f func(persistencetest.Store) any) any {
	p.Helper()
	a, b := f(p.stores[0]), f(p.stores[1])
	if diff := gocmp.Diff(b, a, cmpopts.EquateEmpty(), cmpopts.EquateErrors()); diff != "" {
		p.Fatalf("%s (-SQLite +PostgreSQL):\n%s", what, diff)
	}
	return a
}

func (p *pair) begin() {
	const users = 5
	first, _ := p.both("ids", func(s persistencetest.Store) any {
		id, err := s.NextIDs(p.ctx, users)
		if err != nil {
			p.Fatal(err)
		}
		return id
	}).(user.ID)
	p.first = first
	for i := range users {
		p.rows = append(p.rows, someone(first+user.ID(i)))
	}
	p.gone = make([]bool, users)
}

// email returns one of the emails that the users of this run fight for.
func (p *pair) email() string {
	return fmt.Sprintf("Mail%d-%d@b.c", p.first, rapid.IntRange(0, 3).Draw(p.T, "email"))
}

func (p *pair) claim(id user.ID, c persistence.Claim) {
	p.both("claim", func(s persistencetest.Store) any {
		err := s.Claim(p.ctx, id, []persistence.Claim{c})
		if err != nil && !errors.Is(err, persistence.ErrTaken) {
			p.Fatal(err)
		}
		return err == nil
	})
}

func (p *pair) batch() {
	var turns [2][]*persistence.Turn
	var who []int
	for i := range p.rows {
		if rapid.Bool().Draw(p.T, "takes part") {
			t := p.turn(i)
			other := *t
			other.Records = slices.Clone(t.Records)
			turns[0], turns[1] = append(turns[0], t), append(turns[1], &other)
			who = append(who, i)
		}
	}
	var marks []persistence.Mark
	for range rapid.IntRange(0, 2).Draw(p.T, "marks") {
		marks = append(marks, persistence.Mark{Tail: persistence.TailEffects, Lane: rapid.Uint8Range(0, 2).Draw(p.T, "lane"), Pos: rapid.Uint64Range(1, 100).Draw(p.T, "pos")})
	}
	n := 0
	outcomes, _ := p.both("outcomes", func(s persistencetest.Store) any {
		o, err := s.Commit(p.ctx, persistence.Batch{Node: p.node, Turns: turns[n], Marks: marks})
		if err != nil {
			p.Fatal(err)
		}
		n++
		return o
	}).([]persistence.Outcome)
	if diff := gocmp.Diff(turns[1], turns[0], cmpopts.EquateEmpty()); diff != "" {
		p.Fatalf("what the turns were told (-SQLite +PostgreSQL):\n%s", diff)
	}
	for i, o := range outcomes {
		if o.Status == persistence.Committed {
			p.rows[who[i]] = turns[0][i].Account
			p.gone[who[i]] = turns[0][i].Deleted
		}
	}
}

// turn makes a turn of a user, mostly one that is right.
func (p *pair) turn(i int) *persistence.Turn {
	a := p.rows[i]
	if rapid.IntRange(0, 9).Draw(p.T, "stale") == 0 {
		a.Version += rapid.Uint64Range(0, 3).Draw(p.T, "ahead") - min(1, a.Version)
	}
	t := &persistence.Turn{User: a.ID, Version: a.Version}
	record := func(kind persistence.Kind) *persistence.Record {
		a.Version++
		t.Records = append(t.Records, persistence.Record{
			User: a.ID, Seq: a.Version, Kind: kind, At: time.UnixMicro(int64(a.Version)).UTC(),
			Payload: rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(p.T, "payload"),
		})
		return &t.Records[len(t.Records)-1]
	}
	if a.Version == 0 {
		record(persistence.KindRegistered)
		if rapid.Bool().Draw(p.T, "claimed") {
			c := persistence.Claim{Kind: persistence.ClaimUsername, Value: a.Username}
			if rapid.Bool().Draw(p.T, "held") {
				p.claim(a.ID, c)
			}
			t.Claims = append(t.Claims, c)
		}
		if rapid.Bool().Draw(p.T, "password") {
			t.PasswordHash = "hash"
		}
	}
	for range rapid.IntRange(0, 4).Draw(p.T, "records") {
		p.step(&a, t, record)
	}
	if len(t.Records) == 0 {
		record(persistence.KindFollowed)
	}
	if rapid.IntRange(0, 19).Draw(p.T, "ends") == 0 {
		record(persistence.KindDeleted)
		t.Deleted = true
	}
	t.Account = a
	return t
}

// step adds one record, and what goes with it, to a turn.
func (p *pair) step(a *user.Account, t *persistence.Turn, record func(persistence.Kind) *persistence.Record) {
	event := func() string { return rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(p.T, "event") }
	switch rapid.IntRange(0, 7).Draw(p.T, "what") {
	case 0, 1, 2:
		list := rapid.IntRange(0, 3).Draw(p.T, "list")
		edges := [...]*[]persistence.Edge{&t.Following, &t.Followers, &t.Crew, &t.Studios}[list]
		kinds := [...][2]persistence.Kind{
			{persistence.KindFollowed, persistence.KindUnfollowed},
			{persistence.KindFollowerAdded, persistence.KindFollowerRemoved},
			{persistence.KindCrewFollowed, persistence.KindCrewUnfollowed},
			{persistence.KindStudioFollowed, persistence.KindStudioUnfollowed},
		}[list]
		e := persistence.Edge{ID: uint64(p.first) + rapid.Uint64Range(0, 5).Draw(p.T, "other"), Removed: rapid.IntRange(0, 2).Draw(p.T, "removed") == 0}
		if slices.ContainsFunc(*edges, func(other persistence.Edge) bool { return other.ID == e.ID }) {
			return // a turn changes a pair once
		}
		if e.Removed {
			record(kinds[1])
		} else {
			r := record(kinds[0])
			e.At, e.Seq = r.At, r.Seq
		}
		*edges = append(*edges, e)
		*[...]*int64{&a.Following, &a.Followers, &a.CrewMembers, &a.Studios}[list] = rapid.Int64Range(0, 9).Draw(p.T, "counter")
	case 3:
		record(persistence.KindActivityRecorded).EventID = event()
	case 4:
		record(persistence.KindActivityDeleted)
		t.Erase = append(t.Erase, event())
	case 5:
		record(persistence.KindContentCounted).EventID = event() + " counted"
		a.Streams, a.Videos = rapid.Int64Range(0, 9).Draw(p.T, "streams"), 1
	case 6:
		record(persistence.KindProfileUpdated)
		a.Name = rapid.SampledFrom([]string{"Some Name", "Another", "some other", "", "Ü x"}).Draw(p.T, "name")
		a.Bio, a.UpdatedAt = a.Name, a.UpdatedAt.Add(time.Second)
		if email := p.email(); rapid.Bool().Draw(p.T, "email") {
			c := persistence.Claim{Kind: persistence.ClaimEmail, Value: user.EmailKey(email)}
			if rapid.IntRange(0, 3).Draw(p.T, "held") > 0 {
				p.claim(a.ID, c)
			}
			a.Email, t.Claims = email, append(t.Claims, c)
		}
	case 7:
		record(persistence.KindPreferencesSet)
		a.Preferences.Language = rapid.SampledFrom([]string{"de", "fr", user.DefaultPreferences().Language}).Draw(p.T, "language")
		record(persistence.KindPrivacySet)
		a.Privacy.Ratings = !a.Privacy.Ratings
	}
}

// compare compares all that is stored about the users.
func (p *pair) compare() {
	var ids []user.ID
	for _, a := range p.rows {
		ids = append(ids, a.ID)
	}
	p.both("what is stored", func(s persistencetest.Store) any {
		snapshot, err := s.Snapshot(p.ctx)
		if err != nil {
			p.Fatal(err)
		}
		users, err := snapshot.Users(p.ctx, p.first-1, 1<<20)
		if err = errors.Join(err, snapshot.Close()); err != nil {
			p.Fatal(err)
		}
		return users
	})
	p.both("histories", func(s persistencetest.Store) any {
		h, err := s.Load(p.ctx, ids)
		if err != nil {
			p.Fatal(err)
		}
		for i := range h {
			if h[i].Err != nil {
				p.Fatal(h[i].Err)
			}
		}
		return h
	})
	for i, id := range ids {
		for kind := persistence.EdgeFollowing; kind <= persistence.EdgeStudios; kind++ {
			p.both("list", func(s persistencetest.Store) any {
				edges, err := s.List(p.ctx, kind, id, 0, 100)
				if err != nil {
					p.Fatal(err)
				}
				return edges
			})
		}
		p.both("password", func(s persistencetest.Store) any {
			hash, err := s.PasswordHash(p.ctx, id)
			return fmt.Sprint(hash, errors.Is(err, persistence.ErrNotFound))
		})
		p.both("found by name", func(s persistencetest.Store) any {
			hits, err := s.Search(p.ctx, persistence.SearchQuery{Word: "some"}, persistence.SearchCursor{ByName: true, Username: p.rows[i].Username[:len(p.rows[i].Username)-1]}, 3)
			if err != nil {
				p.Fatal(err)
			}
			return hits
		})
	}
	p.both("marks", func(s persistencetest.Store) any {
		m, err := s.Marks(p.ctx, persistence.TailEffects)
		if err != nil {
			p.Fatal(err)
		}
		return m
	})
	// What no row bears can be swept, and nothing else.
	p.both("swept", func(s persistencetest.Store) any {
		n, err := s.SweepClaims(p.ctx, time.Now().Add(time.Hour), 1000)
		if err != nil {
			p.Fatal(err)
		}
		return n
	})
}
