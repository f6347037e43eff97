package demo

import (
	"math"
	"math/rand/v2"
)

const (
	// steepness of who is followed. With 0.75 the tenth best known has a fifth of
	// the followers of the first.
	peopleSteep = 0.75
	thingsSteep = 0.6
)

// connect makes people follow people, crew members and studios: most follow a
// dozen, some a hundred; stars are followed by a large part of all, most people by
// a handful.
func (w *World) connect(l *lists, r *rand.Rand) {
	n := len(w.People)
	people, crew, studios := newRanked(n, peopleSteep), newRanked(len(l.crew), thingsSteep), newRanked(len(l.studios), thingsSteep)
	for i := range w.People {
		p := &w.People[i]
		most := max(1, min(n-1, int(8*math.Sqrt(float64(n)))))
		p.Follows = people.some(r, heavy(r, 11, 0.75, most), func(k int) bool { return k == i })
		for _, k := range crew.some(r, heavy(r, 2, 0.9, len(l.crew)/2)-1, nobody) {
			p.Crew = append(p.Crew, l.crew[k])
		}
		for _, k := range studios.some(r, heavy(r, 2, 0.7, len(l.studios)/2)-1, nobody) {
			p.Studios = append(p.Studios, l.studios[k])
		}
	}
	w.reciprocate(r)
	w.Viewer = w.busiest()
}

func nobody(int) bool { return false }

// reciprocate makes some of those who are followed follow back; stars rarely do.
func (w *World) reciprocate(r *rand.Rand) {
	type edge struct{ from, to int }
	exists := make(map[edge]bool)
	for i := range w.People {
		for _, followed := range w.People[i].Follows {
			exists[edge{i, followed}] = true
		}
	}
	given := make([][]int, len(w.People)) // without those made here
	for i := range w.People {
		given[i] = w.People[i].Follows
	}
	for i := range given {
		for _, followed := range given[i] {
			back := edge{followed, i}
			p := 0.3
			if followed < w.Stars {
				p = 0.01
			}
			if chance(r, p) && !exists[back] {
				exists[back] = true
				w.People[followed].Follows = append(w.People[followed].Follows, i)
			}
		}
	}
}

// busiest returns who follows most, of those who are no stars and hide nothing.
func (w *World) busiest() int {
	best := len(w.People) - 1
	for i := w.Stars; i < len(w.People); i++ {
		if p := &w.People[i]; !p.Hidden && (w.People[best].Hidden || len(p.Follows) > len(w.People[best].Follows)) {
			best = i
		}
	}
	return best
}
