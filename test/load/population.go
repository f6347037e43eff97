package main

import (
	"crypto/rand"
	"encoding/gob"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"

	"kith/actors/user"
	"kith/gateway/auth"
	"kith/persistence"
)

// population is users and who of them follows whom when a phase begins. Both
// servers are filled from it, and the generator draws requests from it.
type population struct {
	People []person
	// Offsets says who follows whom: user i follows user i+o, modulo their number,
	// for every o. So everybody follows as many as follow them.
	Offsets []int
	At      time.Time // when all registered and followed
	// Active is how many can have a token: one in each so many, from the first on.
	Active int
}

type person struct {
	ID       user.ID
	UID      user.UID
	Username string
	Name     string
	Session  auth.SessionID // zero: no token either
	Token    string
}

// newPopulation makes n users who each follow degree others, or fewer when there
// are few. The same seed gives the same follows.
func newPopulation(n, degree int, seed uint64) (*population, error) {
	if n < 8 {
		return nil, fmt.Errorf("%d users are too few to follow each other", n)
	}
	p := &population{People: make([]person, n), At: time.Now().UTC().Truncate(time.Microsecond), Active: n}
	for i := range p.People {
		uid, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make a uid: %w", err)
		}
		p.People[i] = person{UID: user.UID(uid), Username: fmt.Sprintf("user_%07d", i), Name: nameOf(i)}
	}
	rng := mathrand.New(mathrand.NewPCG(seed, 0)) //nolint:gosec // must be the same every time
	for degree = min(degree, n/4); len(p.Offsets) < degree; {
		if o := 1 + rng.IntN(n-1); !slices.Contains(p.Offsets, o) {
			p.Offsets = append(p.Offsets, o)
		}
	}
	return p, nil
}

// stratify replaces whom everybody follows by degree others, as many of each residue
// of their distances modulo strata. So when the number of users is a multiple of
// strata too, everybody follows as many of those whose index is one.
func (p *population) stratify(degree, strata int, seed uint64) error {
	n := len(p.People)
	if n%strata != 0 || degree%strata != 0 || n < 2*degree {
		return fmt.Errorf("%d users cannot each follow %d of %d kinds", n, degree, strata)
	}
	p.Offsets = p.Offsets[:0]
	rng := mathrand.New(mathrand.NewPCG(seed, 3)) //nolint:gosec // must be the same every time
	for made := make([]int, strata); len(p.Offsets) < degree; {
		o := 1 + rng.IntN(n-1)
		if made[o%strata] < degree/strata && !slices.Contains(p.Offsets, o) {
			made[o%strata]++
			p.Offsets = append(p.Offsets, o)
		}
	}
	return nil
}

// nameOf returns a name. Users of neighbouring numbers have different ones; among
// 10,000 and more, each word is borne by many.
func nameOf(i int) string {
	first := [...]string{"Ann", "Boris", "Carmen", "David", "Esther", "Farid", "Greta", "Hugo", "Ines", "Jane", "Karim", "Lena", "Marta", "Nils", "Olga", "Pavel"}
	last := [...]string{"Ander", "Berg", "Castel", "Dahl", "Eriks", "Fuchs", "Gold", "Hart", "Ivan", "Jans", "Keller", "Lind", "Moor", "Novak", "Ost", "Peters"}
	end := [...]string{"", "son", "mann", "sen", "berg", "er", "ova", "ini"}
	return first[i%len(first)] + " " + last[i/len(first)%len(last)] + end[i/len(first)/len(last)%len(end)]
}

// active returns the index of the k-th of the active ones.
func (p *population) active(k int) int { return k * len(p.People) / p.Active }

// onlyActive returns a population of the active ones alone.
func (p *population) onlyActive() *population {
	few := &population{Offsets: p.Offsets, At: p.At, Active: p.Active}
	for k := range p.Active {
		few.People = append(few.People, p.People[p.active(k)])
	}
	return few
}

// stranger reports whether user i is not one of them.
func (p *population) stranger(i int) bool {
	n := len(p.People)
	k := (i*p.Active + n - 1) / n
	return k >= p.Active || p.active(k) != i
}

// follows reports whether user i follows user j at the beginning.
func (p *population) follows(i, j int) bool {
	n := len(p.People)
	return slices.Contains(p.Offsets, (j-i+n)%n)
}

// card returns the card of user i as it is at the beginning.
func (p *population) card(i int) user.Card {
	u, edges := &p.People[i], int64(len(p.Offsets))
	return user.Card{
		ID: u.ID, UID: u.UID, Username: u.Username, Name: u.Name, Role: user.RoleUser,
		Followers: edges, Following: edges, Privacy: user.DefaultPrivacy(), CreatedAt: p.At, UpdatedAt: p.At,
	}
}

// tokenTTL outlives every run.
const tokenTTL = 24 * time.Hour

// logIn gives the active ones a session and a token.
func (p *population) logIn(secret []byte) error {
	tokens, err := auth.New(auth.Config{Secret: secret})
	if err != nil {
		return fmt.Errorf("log everybody in: %w", err)
	}
	for k := range p.Active {
		u := &p.People[p.active(k)]
		if u.Session, err = auth.NewSessionID(rand.Reader); err != nil {
			return fmt.Errorf("log everybody in: %w", err)
		}
		if u.Token, err = tokens.Issue(u.UID, u.Session, tokenTTL); err != nil {
			return fmt.Errorf("log everybody in: %w", err)
		}
	}
	return nil
}

// session returns the stored session of a person with a token.
func (u *person) session(at time.Time) persistence.Session {
	return persistence.Session{ID: u.Session, User: u.ID, CreatedAt: at, ExpiresAt: at.Add(tokenTTL), AccessUntil: at.Add(tokenTTL)}
}

// pair is one follow to be made, as indexes into People.
type pair struct{ From, To int }

// pairs returns count random follows among the active ones that do not exist yet,
// all different, after skipping the first ones; with the same seed, the same
// order. With strangers, those are followed who are not active, if there are any.
// The last reserved users are never followed.
func (p *population) pairs(seed uint64, strangers bool, reserved, skip, count int) ([]pair, error) {
	n, target := p.Active, p.active
	if strangers = strangers && p.Active < len(p.People); strangers {
		n, target = len(p.People), func(i int) int { return i }
	}
	if free := (n - reserved) * (p.Active - 1 - len(p.Offsets)); skip+count > free/2 {
		return nil, fmt.Errorf("%d users have too few follows left to make %d", n, skip+count)
	}
	rng := mathrand.New(mathrand.NewPCG(seed, 1)) //nolint:gosec // must be the same every time
	seen := make(map[pair]struct{}, skip+count)
	made := make([]pair, 0, count)
	for len(made) < count {
		next := pair{p.active(rng.IntN(p.Active)), target(rng.IntN(n - reserved))}
		if _, twice := seen[next]; twice || next.From == next.To || p.follows(next.From, next.To) || strangers && !p.stranger(next.To) {
			continue
		}
		seen[next] = struct{}{}
		if len(seen) > skip {
			made = append(made, next)
		}
	}
	return made, nil
}

// starPairs returns every follow of one user that does not exist yet, in random
// order.
func (p *population) starPairs(seed uint64, star int) []pair {
	made := make([]pair, 0, len(p.People))
	for i := range p.People {
		if i != star && !p.follows(i, star) {
			made = append(made, pair{i, star})
		}
	}
	rng := mathrand.New(mathrand.NewPCG(seed, 2)) //nolint:gosec // must be the same every time
	rng.Shuffle(len(made), func(i, j int) { made[i], made[j] = made[j], made[i] })
	return made
}

// save writes p where another process can load it.
func (p *population) save(path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // our own directory
	if err != nil {
		return fmt.Errorf("save the population: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := gob.NewEncoder(f).Encode(p); err != nil {
		return fmt.Errorf("save the population: %w", err)
	}
	return nil
}

func loadPopulation(path string) (*population, error) {
	f, err := os.Open(path) //nolint:gosec // named by our parent
	if err != nil {
		return nil, fmt.Errorf("load the population: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	var p population
	if err := gob.NewDecoder(f).Decode(&p); err != nil {
		return nil, fmt.Errorf("load the population: %w", err)
	}
	return &p, nil
}
