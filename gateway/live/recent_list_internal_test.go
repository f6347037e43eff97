package live

import (
	"math/rand/v2"
	"slices"
	"testing"

	"kith/persistence"
)

// A list does what a slice would, at any length.
func TestARecentListIsASlice(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var list recentList
	var want []uint64
	positions := func(seq func(func(*recent) bool)) (all []uint64) {
		for one := range seq {
			all = append(all, one.record.Pos)
		}
		return all
	}
	same := func(what string, got, want []uint64) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %d of %v, want %d of %v", what, len(got), got, len(want), want)
		}
	}
	next := uint64(0)
	for step := range 6000 {
		switch k := rng.IntN(20); {
		case k < 11 && step < 4500 || k < 4:
			next += 1 + rng.Uint64N(3)
			list.push(&recent{record: persistence.Record{Pos: next}})
			want = append(want, next)
		case k < 18:
			if one := list.first(); one != nil {
				same("first", []uint64{one.record.Pos}, want[:1])
				list.pop()
				want = want[1:]
			}
		default:
			meant := next - min(next, rng.Uint64N(600))
			i := slices.Index(want, meant)
			if one, ok := list.remove(func(r *recent) bool { return r.record.Pos == meant }); ok != (i >= 0) || ok && one.record.Pos != meant {
				t.Fatalf("remove %d: %t, %v", meant, ok, one)
			}
			if i >= 0 {
				want = slices.Delete(want, i, i+1)
			}
		}
		if list.empty() != (len(want) == 0) {
			t.Fatalf("empty: %t with %v", list.empty(), want)
		}
		if step%50 == 0 {
			same("all", positions(list.all()), want)
			backward := slices.Clone(want)
			slices.Reverse(backward)
			same("backward", positions(list.backward()), backward)
			above := next - min(next, rng.Uint64N(900))
			i, _ := slices.BinarySearch(want, above+1)
			same("tail", positions(list.tail(func(r *recent) bool { return r.record.Pos > above })), want[i:])
		}
	}
}
