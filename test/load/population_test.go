package main

import (
	"path/filepath"
	"reflect"
	"testing"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/sqlite"
)

func newPeople(t *testing.T, n int) *population {
	t.Helper()
	p, err := newPopulation(n, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Rounds that each skip what came before never repeat a follow, and never make
// one that exists.
func TestPairsAreNew(t *testing.T) {
	t.Parallel()
	p := newPeople(t, 60)
	seen := make(map[pair]bool)
	for skip := 0; skip < 900; skip += 300 {
		pairs, err := p.pairs(7, true, 8, skip, 300)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range pairs {
			if seen[x] || x.From == x.To || p.follows(x.From, x.To) || x.To >= 52 {
				t.Fatalf("after %d pairs comes %v", len(seen), x)
			}
			seen[x] = true
		}
	}
	for _, x := range p.starPairs(7, 55) {
		if seen[x] || x.From == x.To || p.follows(x.From, x.To) || x.To != 55 {
			t.Fatalf("a star gets %v", x)
		}
	}
	if _, err := p.pairs(7, true, 8, 0, 5000); err == nil {
		t.Error("more pairs than there are")
	}
}

// Who records is one of every so many, and of those everybody follows as many.
func TestStratifiedFollows(t *testing.T) {
	t.Parallel()
	const users, degree, strata = 60, 20, 4
	p := newPeople(t, users)
	if err := p.stratify(degree, strata, 1); err != nil {
		t.Fatal(err)
	}
	for i := range users {
		all, some := 0, 0
		for j := range users {
			if p.follows(i, j) {
				all++
				if j%strata == 0 {
					some++
				}
			}
		}
		if all != degree || some != degree/strata || p.follows(i, i) {
			t.Fatalf("user %d follows %d, of one in %d %d", i, all, strata, some)
		}
	}
	for _, x := range [][2]int{{20, 7}, {18, 4}, {40, 4}} {
		if err := p.stratify(x[0], x[1], 1); err == nil {
			t.Errorf("%d in %d parts of %d users", x[0], x[1], users)
		}
	}
}

func TestPopulationIsLoadedAsItWasSaved(t *testing.T) {
	t.Parallel()
	p := newPeople(t, 10)
	if err := p.logIn(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "people")
	if err := p.save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := loadPopulation(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(p, loaded) {
		t.Error("it differs")
	}
}

// checkVerifies checks that a database holds so many users and edges, and that
// Verify finds nothing to say and nothing on its way.
func checkVerifies(t *testing.T, at place, users, edges int) {
	t.Helper()
	db, err := at.open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	audited, ok := db.(persistence.Audit)
	if !ok {
		t.Fatal("the database cannot be verified")
	}
	report, err := usergrain.Verify(t.Context(), audited, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Users != users || report.Edges != edges || report.Differences+report.Behind+report.Parked+report.Severings > 0 {
		t.Errorf("verify: %+v", report)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// What fill writes is what the commands would have left: Verify finds nothing to
// say and nothing on its way, also with snapshots.
func TestFilledDatabaseVerifies(t *testing.T) {
	t.Parallel()
	p := newPeople(t, 100)
	if err := p.logIn(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	at := place{Dir: t.TempDir()}
	steps := 0
	states, err := fill(t.Context(), at, p, func(n int) { steps += n })
	if err != nil {
		t.Fatal(err)
	}
	if steps != fillSteps(p) {
		t.Errorf("%d steps, want %d", steps, fillSteps(p))
	}
	if err := saveSnapshots(t.Context(), at, states); err != nil {
		t.Fatal(err)
	}
	checkVerifies(t, at, 100, 600)
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: at.file()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	accounts, err := db.Accounts(t.Context(), []user.ID{p.People[42].ID})
	if err != nil {
		t.Fatal(err)
	}
	card := p.card(42)
	card.Version = accounts[0].Version
	if accounts[0].Card != card {
		t.Errorf("the row is %+v, want %+v", accounts[0].Card, card)
	}
	histories, err := db.Load(t.Context(), []user.ID{p.People[42].ID})
	if err != nil {
		t.Fatal(err)
	}
	if s := histories[0].Snapshot; s == nil || s.Seq != accounts[0].Version || len(histories[0].Records) != 0 {
		t.Errorf("the snapshot is %+v", s)
	}
	if _, err := db.ClaimHolder(t.Context(), persistence.Claim{Kind: persistence.ClaimUsername, Value: p.People[42].Username}); err != nil {
		t.Errorf("the name is not claimed: %v", err)
	}
}
