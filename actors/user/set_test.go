package user_test

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kith/actors/user"
)

// border is the size at which a set changes its form.
const border = 1024

// The forms of an encoded set.
const (
	formSlice  = 1
	formBitmap = 2
)

func TestSetLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s user.Set[user.ID]
		model := map[user.ID]bool{}
		// A run of ids around the border, so that a few steps cross it both ways.
		base := rapid.Uint64Range(1, math.MaxInt64-4*border).Draw(t, "base")
		fill := rapid.SampledFrom([]int{0, 1, border/2 - 3, border/2 + 3, border - 3, border, border + 3}).Draw(t, "fill")
		for i := range fill {
			id := user.ID(base + uint64(i)*3)
			s.Add(id)
			model[id] = true
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id := user.ID(base + rapid.Uint64Range(0, 3*border).Draw(t, "offset"))
				if s.Add(id) == model[id] {
					t.Fatalf("Add(%d) does not say whether it was new", id)
				}
				model[id] = true
			},
			"remove": func(t *rapid.T) {
				id := user.ID(base + rapid.Uint64Range(0, 3*border).Draw(t, "offset"))
				if s.Remove(id) != model[id] {
					t.Fatalf("Remove(%d) does not say whether it was there", id)
				}
				delete(model, id)
			},
			"remove many": func(t *rapid.T) {
				for _, id := range slices.Sorted(maps.Keys(model))[:len(model)/2] {
					if !s.Remove(id) {
						t.Fatalf("Remove(%d) says that it was not there", id)
					}
					delete(model, id)
				}
			},
			"not an id": func(t *rapid.T) {
				id := rapid.SampledFrom([]user.ID{0, 1 << 63, math.MaxUint64}).Draw(t, "id")
				if s.Add(id) || s.Contains(id) || s.Remove(id) {
					t.Fatalf("%d is in a set of positive ids", id)
				}
			},
			"": func(t *rapid.T) {
				if s.Len() != len(model) {
					t.Fatalf("Len = %d, want %d", s.Len(), len(model))
				}
				id := user.ID(base + rapid.Uint64Range(0, 3*border).Draw(t, "offset"))
				if s.Contains(id) != model[id] {
					t.Fatalf("Contains(%d) = %t", id, !model[id])
				}
				if diff := cmp.Diff(slices.Sorted(maps.Keys(model)), slices.Collect(s.All()), cmpNil()); diff != "" {
					t.Fatalf("All (-want +got):\n%s", diff)
				}
				decoded, err := user.DecodeSet[user.ID](s.Encode())
				if err != nil || !decoded.Equal(&s) || !bytes.Equal(decoded.Encode(), s.Encode()) {
					t.Fatalf("encoding is not the identity: %v", err)
				}
			},
		})
	})
}

func cmpNil() cmp.Option {
	return cmp.Transformer("nil", func(s []user.ID) []user.ID { return append([]user.ID{}, s...) })
}

func setOf(n int) user.Set[int64] {
	var s user.Set[int64]
	for i := range n {
		s.Add(int64(i)*7 + 1)
	}
	return s
}

func TestSetChangesFormAtTheBorders(t *testing.T) {
	t.Parallel()
	form := func(s *user.Set[int64]) byte { return s.Encode()[0] }
	s := setOf(border)
	if form(&s) != formSlice {
		t.Fatal("a set of 1,024 ids is not a slice")
	}
	s.Add(2)
	if form(&s) != formBitmap || s.Len() != border+1 {
		t.Fatalf("a set of %d ids is not a bitmap", s.Len())
	}
	for id := range slices.Values(slices.Collect(s.All())) {
		if s.Len() == border/2+1 {
			break
		}
		s.Remove(id)
	}
	if form(&s) != formBitmap {
		t.Fatal("a shrinking set went back to a slice above half of the border")
	}
	s.Remove(slices.Max(slices.Collect(s.All())))
	if form(&s) != formSlice || s.Len() != border/2 {
		t.Fatalf("a set of %d ids is still a bitmap", s.Len())
	}
}

func TestSetIterationStopsWhenAsked(t *testing.T) {
	t.Parallel()
	for _, n := range []int{border, border + 1} {
		s := setOf(n)
		seen := 0
		for range s.All() {
			if seen++; seen == 2 {
				break
			}
		}
		if seen != 2 {
			t.Errorf("saw %d ids of %d, want 2", seen, n)
		}
	}
}

func TestSetCloneIsItsOwn(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 3, border + 1} {
		s := setOf(n)
		c := s.Clone()
		s.Add(3)
		s.Remove(1)
		want := setOf(n)
		if !c.Equal(&want) || s.Equal(&c) {
			t.Errorf("a clone of %d ids changed with its origin", n)
		}
	}
}

func TestSetsOfOneSizeNeedNotBeEqual(t *testing.T) {
	t.Parallel()
	var a, b user.Set[int64]
	a.Add(1)
	b.Add(2)
	if a.Equal(&b) {
		t.Error("{1} equals {2}")
	}
}

func TestDecodeSetRefuses(t *testing.T) {
	t.Parallel()
	bitmap := func(change func(*roaring64.Bitmap)) []byte {
		big := roaring64.New()
		big.AddRange(1, 2000)
		change(big)
		b, err := big.MarshalBinary()
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		return append([]byte{formBitmap}, b...)
	}
	long := []byte{formSlice}
	for range border + 1 {
		long = append(long, 1)
	}
	for name, b := range map[string][]byte{
		"an unknown form":             {3},
		"an empty slice":              {formSlice},
		"the id 0":                    {formSlice, 0},
		"an id twice":                 {formSlice, 1, 0},
		"a cut number":                {formSlice, 0x80},
		"a number in a longer form":   {formSlice, 0x81, 0},
		"an id above 63 bits":         {formSlice, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"a sum above 63 bits":         {formSlice, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1},
		"a slice above its size":      long,
		"no bitmap":                   {formBitmap},
		"a bitmap of endless parts":   {formBitmap, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4},
		"a bitmap with the id 0":      bitmap(func(b *roaring64.Bitmap) { b.Add(0) }),
		"a bitmap above 63 bits":      bitmap(func(b *roaring64.Bitmap) { b.Add(1 << 63) }),
		"a bitmap that is too small":  bitmap(func(b *roaring64.Bitmap) { b.RemoveRange(513, 3000) }),
		"a cut bitmap":                bitmap(func(*roaring64.Bitmap) {})[:20],
		"a bitmap with more after it": append(bitmap(func(*roaring64.Bitmap) {}), 0),
	} {
		if s, err := user.DecodeSet[user.ID](b); err == nil {
			t.Errorf("%s: decoded to %d ids", name, s.Len())
		}
	}
}

func FuzzDecodeSet(f *testing.F) {
	for _, n := range []int{0, 1, 200, border, border + 1, 5000} {
		s := setOf(n)
		f.Add(s.Encode())
	}
	sparse := user.Set[int64]{}
	for i := range int64(2000) {
		sparse.Add(1 + i<<40)
	}
	f.Add(sparse.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := user.DecodeSet[int64](b)
		if err != nil {
			return
		}
		last := int64(0)
		n := 0
		for id := range s.All() {
			if id <= last || !s.Contains(id) {
				t.Fatalf("%d after %d", id, last)
			}
			last = id
			n++
		}
		if n != s.Len() {
			t.Fatalf("%d ids, Len says %d", n, s.Len())
		}
		again, err := user.DecodeSet[int64](s.Encode())
		if err != nil || !again.Equal(&s) {
			t.Fatalf("does not decode again: %v", err)
		}
		// A decoded set is as good as any other.
		s.Add(5)
		s.Remove(last)
		if s.Contains(last) && last != 5 || !s.Contains(5) && last != 5 {
			t.Fatal("Add and Remove do not work on a decoded set")
		}
	})
}
