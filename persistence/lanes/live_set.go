package lanes

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"

	"kith/actors/user"
)

// liveClasses is the number of classes that the ids are in: class = id mod
// liveClasses. A page sorts one class or a few instead of everybody, so that a
// million users cost the sorting of 244.
const liveClasses = 4096

// liveSet is a set of dense ids, as one bitmap a class.
type liveSet struct {
	total  int
	counts [liveClasses]int32
	words  [liveClasses][]uint64 // bit n of class c stands for the id n*liveClasses+c
}

func (s *liveSet) add(id user.ID) {
	class, word, bit := place(id)
	if missing := word + 1 - len(s.words[class]); missing > 0 {
		s.words[class] = append(s.words[class], make([]uint64, missing)...)
	}
	if w := &s.words[class][word]; *w&bit == 0 {
		*w |= bit
		s.counts[class]++
		s.total++
	}
}

func (s *liveSet) remove(id user.ID) {
	class, word, bit := place(id)
	if word >= len(s.words[class]) {
		return
	}
	if w := &s.words[class][word]; *w&bit != 0 {
		*w &^= bit
		s.counts[class]--
		s.total--
	}
}

func place(id user.ID) (class, word int, bit uint64) {
	n := id / liveClasses
	return int(id % liveClasses), int(n / 64), 1 << (n % 64) //nolint:gosec // ids are dense from 1
}

// page returns the users at the ranks [offset, offset+limit) of the order o.
func (s *liveSet) page(o *shuffle, offset, limit int) []user.ID {
	if offset < 0 || offset >= s.total || limit <= 0 {
		return nil
	}
	page := make([]user.ID, 0, min(limit, s.total-offset))
	var members []ranked
	for _, class := range o.classes {
		n := int(s.counts[class])
		if offset >= n { // also an empty class
			offset -= n
			continue
		}
		members = s.ranked(members[:0], class, o)
		for _, m := range members[offset:] {
			if page = append(page, m.id); len(page) == cap(page) {
				return page
			}
		}
		offset = 0
	}
	return page
}

// ranked is an id with its keyed hash.
type ranked struct {
	rank uint64
	id   user.ID
}

// ranked appends the members of a class in the order of o.
func (s *liveSet) ranked(members []ranked, class uint16, o *shuffle) []ranked {
	members = slices.Grow(members, int(s.counts[class]))
	for i, w := range s.words[class] {
		for ; w != 0; w &= w - 1 {
			n := user.ID(64*i + bits.TrailingZeros64(w)) //nolint:gosec // not negative
			id := n*liveClasses + user.ID(class)
			members = append(members, ranked{o.rank(id), id})
		}
	}
	slices.SortFunc(members, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	return members
}

// shuffle is the order of a seed: first by the place of the class, then by rank.
// Clients page through it for as long as they like, so that it never changes.
type shuffle struct {
	k0, k1  uint64
	classes [liveClasses]uint16 // in their order
}

// newShuffle makes the order of a seed. The classes are shuffled by Fisher and
// Yates' method, inside out, over SplitMix64.
func newShuffle(seed string) *shuffle {
	h := sha256.Sum256([]byte("kith shuffle v1\x00" + seed))
	o := &shuffle{k0: binary.LittleEndian.Uint64(h[:]), k1: binary.LittleEndian.Uint64(h[8:])}
	state := binary.LittleEndian.Uint64(h[16:])
	for i := range o.classes {
		state += 0x9e3779b97f4a7c15
		j, _ := bits.Mul64(mix(state), uint64(i)+1) // in [0, i]
		o.classes[i] = o.classes[j]
		o.classes[j] = uint16(i)
	}
	return o
}

// rank is one to one, so that no two users tie.
func (o *shuffle) rank(id user.ID) uint64 { return mix(mix(uint64(id)^o.k0) + o.k1) }

// mix is the finalizer of SplitMix64: a permutation of the 64-bit numbers.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
