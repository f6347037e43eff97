package opensearch_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/persistencetest"
)

func conforms(t *testing.T, at string) {
	t.Helper()
	persistencetest.Search(t, func(t *testing.T) persistencetest.Store {
		t.Helper()
		return &store{indexed{DB: database(t), engine: engineAt(t, at), at: at}}
	})
}

// store is a store of the suite.
type store struct{ indexed }

// Break implements persistencetest.Store; the suite breaks nothing.
func (*store) Break(t *testing.T, _ user.ID, _ uint64) { t.Helper(); t.Fatal("nothing can be broken") }

// names are of words that begin alike, in scripts that fold in odd ways.
func name(rng *rand.Rand) string {
	words := []string{"Ann", "anna", "ANNABEL", "O'Brien", "brien-smith", "Zoë", "Zoe\u0308", "İpek", "IŞIK", "Straße", "ΝΙΚΟΣ", "νίκος", "Ёжик", "山田太郎", "प्रिया", "🎬", "x", "2go", "a_b", "A", "\u00a0Lee", "ß", strings.Repeat("l", 29)}
	n := 1 + rng.IntN(3)
	picked := make([]string, n)
	for i := range picked {
		picked[i] = words[rng.IntN(len(words))]
	}
	name := strings.TrimSpace(strings.Join(picked, []string{" ", "-", "  ", "."}[rng.IntN(4)]))
	return string([]rune(name)[:min(29, len([]rune(name)))])
}

func username(rng *rand.Rand, i int) string {
	return fmt.Sprintf("%s%s%d", []string{"ann", "an", "a", "zoe", "b_", "2go", "x"}[rng.IntN(7)], []string{"", "a", "n", "_"}[rng.IntN(4)], i)
}

// question is what somebody might type of a name or username, and sometimes not.
func question(rng *rand.Rand, accounts []user.Account) string {
	a := accounts[rng.IntN(len(accounts))]
	from := []rune(a.Name)
	if rng.IntN(2) == 0 {
		from = []rune(a.Username)
	}
	start := 0
	if rng.IntN(3) == 0 {
		start = rng.IntN(len(from))
	}
	q := string(from[start:min(len(from), start+1+rng.IntN(4))])
	if rng.IntN(2) == 0 {
		q = strings.ToUpper(q)
	}
	return q
}

// The engine and the database are asked the same of the same data, while people come,
// are renamed and go.
func agrees(t *testing.T, at string) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, rng, &indexed{DB: database(t), engine: engineAt(t, at), at: at})
	for round := range 5 {
		w.changes(t, 100)
		for range 60 {
			q, asked := persistence.ParseSearch(question(rng, w.accounts))
			if !asked {
				continue
			}
			limit := 1 + rng.IntN(20)
			want := w.pages(t, w.x.DB, q, limit)
			got := w.pages(t, w.x, q, limit)
			if !slices.Equal(got, want) {
				t.Fatalf("round %d: %q in pages of %d: the engine finds\n%v, the database\n%v", round, q, limit, got, want)
			}
		}
	}
}

// world is people, as they are.
type world struct {
	x        *indexed
	rng      *rand.Rand
	node     persistence.Node
	accounts []user.Account
}

func newWorld(t *testing.T, rng *rand.Rand, x *indexed) *world {
	t.Helper()
	node, err := x.Acquire(t.Context(), "node", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &world{x: x, rng: rng, node: node}
}

// changes commits so many changes: most register, some rename, some delete.
func (w *world) changes(t *testing.T, n int) {
	t.Helper()
	for range n {
		switch k := w.rng.IntN(10); {
		case k < 6 || len(w.accounts) < 10:
			w.register(t)
		case k < 9:
			a := &w.accounts[w.rng.IntN(len(w.accounts))]
			a.Name = name(w.rng)
			w.commit(t, a, persistence.KindProfileUpdated, false)
		default:
			i := w.rng.IntN(len(w.accounts))
			w.commit(t, &w.accounts[i], persistence.KindDeleted, true)
			w.accounts = slices.Delete(w.accounts, i, i+1)
		}
	}
}

func (w *world) register(t *testing.T) {
	t.Helper()
	id, err := w.x.NextIDs(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	a := user.Account{Card: user.Card{
		ID: id, UID: user.UID{0: 1, 14: byte(id >> 8), 15: byte(id)}, Username: username(w.rng, int(id)), Name: name(w.rng), Role: user.RoleUser,
		Privacy: user.DefaultPrivacy(), CreatedAt: now, UpdatedAt: now,
	}, Preferences: user.DefaultPreferences()}
	w.commit(t, &a, persistence.KindRegistered, false)
	w.accounts = append(w.accounts, a)
}

// commit commits a turn of one record.
func (w *world) commit(t *testing.T, a *user.Account, kind persistence.Kind, deleted bool) {
	t.Helper()
	turn := persistence.Turn{User: a.ID, Version: a.Version, Deleted: deleted}
	a.Version++
	turn.Account = *a
	turn.Records = []persistence.Record{{User: a.ID, Seq: a.Version, Kind: kind, At: a.CreatedAt, Payload: []byte("x")}}
	if a.Version == 1 {
		if err := w.x.Claim(t.Context(), a.ID, []persistence.Claim{{Kind: persistence.ClaimUsername, Value: a.Username}}); err != nil {
			t.Fatal(err)
		}
	}
	outcomes, err := w.x.Commit(t.Context(), persistence.Batch{Node: w.node, Turns: []*persistence.Turn{&turn}})
	if err != nil || outcomes[0].Status != persistence.Committed {
		t.Fatal(outcomes, err)
	}
}

// pages returns all hits, page by page.
func (w *world) pages(t *testing.T, s persistence.Search, q persistence.SearchQuery, limit int) (all []persistence.SearchHit) {
	t.Helper()
	after := persistence.SearchCursor{}
	for {
		hits, err := s.Search(t.Context(), q, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, hits...)
		if len(hits) < limit {
			return all
		}
		after = hits[limit-1].At
	}
}
