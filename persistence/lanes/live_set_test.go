package lanes_test

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/persistence/lanes"
)

// naive lists users in the order of a seed by sorting them all.
func naive(users map[user.ID]bool, seed string) []user.ID {
	key := lanes.LiveOrder(seed)
	return slices.SortedFunc(maps.Keys(users), func(a, b user.ID) int {
		classA, rankA := key(a)
		classB, rankB := key(b)
		return cmp.Or(cmp.Compare(classA, classB), cmp.Compare(rankA, rankB))
	})
}

func slice(users []user.ID, offset, limit int) []user.ID {
	if offset < 0 || offset >= len(users) || limit <= 0 {
		return nil
	}
	return users[offset:min(len(users), offset+limit)]
}

// anyUser draws ids that often share a class.
func anyUser() *rapid.Generator[user.ID] {
	return rapid.Custom(func(t *rapid.T) user.ID {
		class := rapid.Uint64Range(0, 5).Draw(t, "class")
		return user.ID(class + 4096*rapid.Uint64Range(0, 200).Draw(t, "n") + 1)
	})
}

func TestPagesAreSlicesOfTheSortedList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var set lanes.LiveSet
		users := make(map[user.ID]bool)
		for range rapid.IntRange(0, 300).Draw(t, "changes") {
			if id := anyUser().Draw(t, "id"); rapid.IntRange(0, 3).Draw(t, "what") > 0 {
				set.Add(id)
				users[id] = true
			} else {
				set.Remove(id)
				delete(users, id)
			}
			if set.Len() != len(users) {
				t.Fatalf("%d users, want %d", set.Len(), len(users))
			}
		}
		seed := rapid.String().Draw(t, "seed")
		sorted := naive(users, seed)
		for range 5 {
			offset := rapid.IntRange(-1, len(users)+2).Draw(t, "offset")
			limit := rapid.IntRange(-1, 120).Draw(t, "limit")
			if got, want := set.Page(seed, offset, limit), slice(sorted, offset, limit); !slices.Equal(got, want) {
				t.Fatalf("page at %d of %d: %v, want %v", offset, limit, got, want)
			}
		}
	})
}

func TestPagesOfOneSeedNeitherRepeatNorMiss(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 20_000), 0, 400, rapid.ID).Draw(t, "ids")
		limit := rapid.IntRange(1, 100).Draw(t, "limit")
		var set lanes.LiveSet
		for _, id := range ids {
			set.Add(user.ID(id))
		}
		seen := make(map[user.ID]bool)
		for offset := 0; ; offset += limit {
			page := set.Page("seed", offset, limit)
			for _, id := range page {
				if seen[id] {
					t.Fatalf("user %d comes twice", id)
				}
				seen[id] = true
			}
			if len(page) < limit {
				break
			}
		}
		if len(seen) != len(ids) {
			t.Fatalf("%d of %d users", len(seen), len(ids))
		}
		for _, id := range ids {
			if !seen[user.ID(id)] {
				t.Fatalf("user %d is missing", id)
			}
		}
	})
}

func TestWhoComesOrGoesMovesNobodyElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(anyUser(), 1, 100, rapid.ID).Draw(t, "ids")
		var set lanes.LiveSet
		for _, id := range ids {
			set.Add(id)
		}
		before := set.Page("seed", 0, len(ids))
		one := anyUser().Draw(t, "one")
		without := func(users []user.ID) []user.ID {
			return slices.DeleteFunc(slices.Clone(users), func(id user.ID) bool { return id == one })
		}
		set.Remove(one)
		if got := set.Page("seed", 0, len(ids)); !slices.Equal(got, without(before)) {
			t.Fatalf("without %d: %v, before %v", one, got, before)
		}
		set.Add(one)
		if got := set.Page("seed", 0, len(ids)+1); !slices.Equal(without(got), without(before)) {
			t.Fatalf("with %d: %v, before %v", one, got, before)
		}
	})
}

func TestAnotherSeedIsAnotherOrder(t *testing.T) {
	t.Parallel()
	var set lanes.LiveSet
	for id := range user.ID(1000) {
		set.Add(id + 1)
	}
	first := set.Page("hifi_users_shuffle_2024", 0, 1000)
	for _, seed := range []string{"", "a", "b", "hifi_users_shuffle_2025", "hifi_users_shuffle_2024\x00"} {
		other := set.Page(seed, 0, 1000)
		same := 0
		for i := range first {
			if first[i] == other[i] {
				same++
			}
		}
		if same > 12 { // one is expected
			t.Errorf("seed %q leaves %d of 1000 users in place", seed, same)
		}
	}
}

// The order of a seed is part of what clients hold: a page asked for after an
// upgrade continues the one before.
func TestTheOrderOfASeedIsForEver(t *testing.T) {
	t.Parallel()
	var set lanes.LiveSet
	for id := range user.ID(100_000) {
		set.Add(id + 1)
	}
	for seed, want := range map[string][]user.ID{
		"hifi_users_shuffle_2024": {31320, 84568, 23128, 88664, 51800, 91435, 87339, 62763, 58667, 13611},
		"my_custom_seed":          {21432, 46008, 9144, 91064, 17336, 16881, 41457, 82417, 66033, 37361},
	} {
		got := slices.Concat(set.Page(seed, 0, 5), set.Page(seed, 77_777, 5))
		if !slices.Equal(got, want) {
			t.Errorf("seed %q: %v, want %v", seed, got, want)
		}
	}
}

func TestEveryPlaceIsAsLikelyAsAnother(t *testing.T) {
	t.Parallel()
	const users, seeds = 5000, 400
	var set lanes.LiveSet
	for id := range user.ID(users) {
		set.Add(id + 1)
	}
	sums := make(map[user.ID]float64)
	for n := range seeds {
		seed := string(rune('a'+n%26)) + string(rune('a'+n/26))
		for i, id := range set.Page(seed, 0, users) {
			sums[id] += float64(i)
		}
	}
	// The mean of as many uniform places; six standard deviations.
	middle, allowed := float64(users-1)/2, 6*float64(users)/math.Sqrt(12*seeds)
	for id, sum := range sums {
		if mean := sum / seeds; math.Abs(mean-middle) > allowed {
			t.Errorf("user %d is at %.0f in the mean, want %.0f ± %.0f", id, mean, middle, allowed)
		}
	}
}
