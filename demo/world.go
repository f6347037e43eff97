package demo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Bounds of the size of a world.
const (
	MinUsers = 2
	MaxUsers = 20_000
)

// World is people who follow each other. It is not to be changed.
type World struct {
	// People are the stars first, the best known of them first.
	People []Person
	// Stars is how many of People are stars.
	Stars int
	// Viewer is the index of somebody who follows many others, without being a
	// star: the one to look at the world as.
	Viewer int
}

// Person is a user of a World.
type Person struct {
	Username, Name, Bio string
	Language            string // BCP 47
	Genres              []int64
	Creator             bool // else a user
	// Hidden says that only those whom they follow see more than the user;
	// Watching that others see what they watch; Quiet that they do not see their
	// ratings and reviews.
	Hidden, Watching, Quiet bool

	Follows       []int // indexes of people, in the order of following
	Crew, Studios []int64
	Events        []Event // oldest first
}

// Event is what a Person did with a film.
type Event struct {
	ID    string // of no other event of the person
	Type  string // as the API has it
	Movie int64
	// Rating is in tenths, of ratings and reviews; Review of reviews only.
	Rating int
	Review string
	Title  string // of the film
	Page   string // where it was done
	Ago    time.Duration
}

// New makes the world of a seed with so many users.
func New(seed uint64, users int) (*World, error) {
	if users < MinUsers || users > MaxUsers {
		return nil, fmt.Errorf("demo: a world has %d to %d users, not %d", MinUsers, MaxUsers, users)
	}
	l, err := readLists()
	if err != nil {
		return nil, err
	}
	w := &World{People: make([]Person, users), Stars: max(1, users/starShare)}
	w.name(l, stream(seed, 0))
	w.connect(l, stream(seed, 1))
	w.remember(l, stream(seed, 2))
	return w, nil
}

// starShare is how many people there are for one star.
const starShare = 60

// stream returns one of the random streams of a seed: what one part draws changes
// no other part.
func stream(seed, part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, part)) //nolint:gosec // must be the same every time
}

// Follows returns how many follows of people there are.
func (w *World) Follows() (n int) {
	for i := range w.People {
		n += len(w.People[i].Follows)
	}
	return n
}

// Events returns how many events there are.
func (w *World) Events() (n int) {
	for i := range w.People {
		n += len(w.People[i].Events)
	}
	return n
}

// Followers returns how many follow a person.
func (w *World) Followers(person int) (n int) {
	for i := range w.People {
		for _, followed := range w.People[i].Follows {
			if followed == person {
				n++
			}
		}
	}
	return n
}

// heavy draws a number of which most are near the median and few are many times
// that: log-normal, from 1 to most.
func heavy(r *rand.Rand, median, spread float64, most int) int {
	n := math.Exp(math.Log(median) + spread*r.NormFloat64())
	return max(1, min(most, int(math.Round(n))))
}

// ranked draws from 0 to n-1: k is about (k+1)^steep times rarer than 0.
type ranked []float64

func newRanked(n int, steep float64) ranked {
	sums, sum := make(ranked, n), 0.0
	for k := range sums {
		sum += math.Pow(float64(k+1), -steep)
		sums[k] = sum
	}
	return sums
}

func (s ranked) draw(r *rand.Rand) int {
	at := r.Float64() * s[len(s)-1]
	low, high := 0, len(s)-1
	for low < high {
		if middle := (low + high) / 2; s[middle] <= at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// some draws n different ones, or as many as there are.
func (s ranked) some(r *rand.Rand, n int, not func(k int) bool) []int {
	drawn := make([]int, 0, n)
	seen := make(map[int]bool, n)
	// The rare ones may not come up however often one draws.
	for tries := 0; len(drawn) < n && tries < 20*n+100; tries++ {
		if k := s.draw(r); !seen[k] && !not(k) {
			seen[k] = true
			drawn = append(drawn, k)
		}
	}
	return drawn
}

// chance reports true with a probability.
func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
