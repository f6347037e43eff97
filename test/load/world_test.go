package main

import (
	"context"
	"reflect"
	"testing"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/sqlite"
)

func openDB(t *testing.T, path string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// A world that is loaded verifies, no tail has anything to do in it, and it is
// the one that commits through the journal leave.
func TestLoadedWorldIsTheOneThatCommitsLeave(t *testing.T) {
	t.Parallel()
	const users, degree = 200, 6 // more than a user in each lane
	ctx := t.Context()
	loaded, committed := newPeople(t, users), newPeople(t, users)
	copy(committed.People, loaded.People)
	committed.At = loaded.At
	for _, p := range []*population{loaded, committed} {
		if err := p.logIn(make([]byte, 32)); err != nil {
			t.Fatal(err)
		}
	}
	fast, slow := place{Dir: t.TempDir()}, place{Dir: t.TempDir()}
	steps := 0
	if err := loadWorld(ctx, fast, loaded, tails(), func(n int) { steps += n }); err != nil {
		t.Fatal(err)
	}
	if steps != loadSteps(loaded) {
		t.Errorf("%d steps, want %d", steps, loadSteps(loaded))
	}
	if _, err := fill(ctx, slow, committed, func(int) {}); err != nil {
		t.Fatal(err)
	}
	db, want := openDB(t, fast.file()), openDB(t, slow.file())

	report, err := usergrain.Verify(ctx, db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Users != users || report.Edges != users*degree || report.Records != users*(1+2*degree) ||
		report.Differences+report.Behind+report.Parked+report.Severings > 0 {
		t.Errorf("verify: %+v", report)
	}
	heads, err := db.Heads(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, tail := range tails() {
		if marks, err := db.Marks(ctx, tail); err != nil || marks != heads {
			t.Errorf("marks of %s: %v, %v, want %v", tail, marks, err, heads)
		}
	}
	got, ofCommits := audit(ctx, t, db), audit(ctx, t, want)
	for i := range ofCommits {
		if !reflect.DeepEqual(withoutPositions(&got[i]), withoutPositions(&ofCommits[i])) {
			t.Fatalf("user %d is %+v, want %+v", i+1, got[i], ofCommits[i])
		}
	}
	checkPositions(ctx, t, db, got)

	for i := range loaded.People {
		u := &loaded.People[i]
		if holder, err := db.ClaimHolder(ctx, persistence.Claim{Kind: persistence.ClaimUsername, Value: u.Username}); err != nil || holder != u.ID {
			t.Fatalf("%s is claimed by %d (%v), want %d", u.Username, holder, err, u.ID)
		}
	}
	if hits, err := db.Search(ctx, persistence.SearchQuery{Word: "ann"}, persistence.SearchCursor{}, users); err != nil || len(hits) != (users+15)/16 {
		t.Errorf("%d hits (%v), want %d", len(hits), err, (users+15)/16)
	}
	if next, err := db.NextIDs(ctx, 1); err != nil || next != users+1 {
		t.Errorf("the next id is %d (%v), want %d", next, err, users+1)
	}
}

func audit(ctx context.Context, t *testing.T, db *sqlite.DB) []persistence.AuditedUser {
	t.Helper()
	snapshot, err := db.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	users, err := snapshot.Users(ctx, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if err := snapshot.Close(); err != nil {
		t.Fatal(err)
	}
	return users
}

// withoutPositions returns a user without what depends on the order in which users
// were written.
func withoutPositions(u *persistence.AuditedUser) persistence.AuditedUser {
	rest := *u
	rest.Records = nil
	for _, r := range u.Records {
		if r.Kind != persistence.KindFollowerAdded { // in the order of positions, and with them
			r.Pos = 0
			rest.Records = append(rest.Records, r)
		}
	}
	return rest
}

// checkPositions checks that every follower that was added names the record of the
// follow, as an effects tail would have.
func checkPositions(ctx context.Context, t *testing.T, db *sqlite.DB, users []persistence.AuditedUser) {
	t.Helper()
	for i := range users {
		for k := range users[i].Records {
			e, err := usergrain.DecodeRecord(&users[i].Records[k])
			if err != nil {
				t.Fatal(err)
			}
			added, ok := e.(user.FollowerAdded)
			if !ok {
				continue
			}
			found, err := db.ReadLane(ctx, added.Lane, added.Pos-1, 1)
			if err != nil || len(found) != 1 {
				t.Fatalf("record %d/%d: %v, %v", added.Lane, added.Pos, found, err)
			}
			follow, err := usergrain.DecodeRecord(&found[0])
			if want := (user.Followed{Target: users[i].User, At: added.At}); err != nil || found[0].User != added.Source || follow != want {
				t.Fatalf("record %d/%d is %+v of user %d (%v), want %+v of user %d", added.Lane, added.Pos, follow, found[0].User, err, want, added.Source)
			}
		}
	}
}

// The active ones are spread over everybody, each once, and they alone have tokens.
func TestTheActiveAreSpreadOverEverybody(t *testing.T) {
	t.Parallel()
	p := newPeople(t, 100)
	p.Active = 30
	if err := p.logIn(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	with := 0
	for i := range p.People {
		if p.People[i].Token != "" {
			with++
		}
	}
	if with != 30 || p.active(0) != 0 || p.active(29) != 96 {
		t.Errorf("%d have tokens, from %d to %d", with, p.active(0), p.active(29))
	}
	for i := range p.People {
		if p.stranger(i) != (p.People[i].Token == "") {
			t.Errorf("user %d is a stranger: %t", i, p.stranger(i))
		}
	}
	for _, strangers := range []bool{false, true} {
		pairs, err := p.pairs(1, strangers, 0, 0, 200)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range pairs {
			if p.People[x.From].Token == "" {
				t.Fatalf("user %d follows, and is not active", x.From)
			}
			if p.stranger(x.To) != strangers {
				t.Fatalf("strangers %t: user %d is followed", strangers, x.To)
			}
		}
	}
}
