package user

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
)

// setSmall is the number of ids up to which a Set is a sorted slice. A bitmap
// goes back to a slice only at half of it, so that a set at the border does not
// change its form with every step.
const setSmall = 1024

// Set is a set of positive ids; what is not positive is never in it. Small sets
// are a sorted slice, 8 bytes an id; above setSmall ids it is a roaring bitmap.
// The zero Set is empty.
type Set[T ~uint64 | ~int64] struct {
	small []T
	big   *roaring64.Bitmap // nil while small
}

// isID reports whether id can be in a Set: from 1 to the greatest int64.
func isID[T ~uint64 | ~int64](id T) bool { return id > 0 && uint64(id) <= math.MaxInt64 }

// Len returns the number of ids.
func (s *Set[T]) Len() int {
	if s.big != nil {
		return int(s.big.GetCardinality()) //nolint:gosec // fewer than memory holds
	}
	return len(s.small)
}

// Contains reports whether id is in s.
func (s *Set[T]) Contains(id T) bool {
	if s.big != nil {
		return s.big.Contains(uint64(id))
	}
	_, found := slices.BinarySearch(s.small, id)
	return found
}

// Add puts id into s and reports whether it was not there. What is not positive
// stays out.
func (s *Set[T]) Add(id T) bool {
	if !isID(id) {
		return false
	}
	if s.big != nil {
		return s.big.CheckedAdd(uint64(id))
	}
	i, found := slices.BinarySearch(s.small, id)
	if found {
		return false
	}
	if len(s.small) == setSmall {
		s.big = roaring64.New()
		for _, x := range s.small {
			s.big.Add(uint64(x))
		}
		s.small = nil
		return s.big.CheckedAdd(uint64(id))
	}
	if len(s.small) == cap(s.small) {
		// append would double: grow by an eighth, idle users are many.
		grown := make([]T, len(s.small), len(s.small)+2+len(s.small)/8)
		copy(grown, s.small)
		s.small = grown
	}
	s.small = slices.Insert(s.small, i, id)
	return true
}

// Remove takes id out of s and reports whether it was there.
func (s *Set[T]) Remove(id T) bool {
	if s.big != nil {
		if !s.big.CheckedRemove(uint64(id)) {
			return false
		}
		if s.big.GetCardinality() <= setSmall/2 {
			s.small = collect[T](s.big)
			s.big = nil
		}
		return true
	}
	i, found := slices.BinarySearch(s.small, id)
	if found {
		s.small = slices.Delete(s.small, i, i+1)
	}
	return found
}

// All iterates over the ids, ascending.
func (s *Set[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		if s.big == nil {
			for _, id := range s.small {
				if !yield(id) {
					return
				}
			}
			return
		}
		for it := s.big.Iterator(); it.HasNext(); {
			if !yield(T(it.Next())) {
				return
			}
		}
	}
}

// Clone returns a copy that other goroutines may read while s goes on changing.
func (s *Set[T]) Clone() Set[T] {
	if s.big != nil {
		return Set[T]{big: s.big.Clone()}
	}
	return Set[T]{small: slices.Clone(s.small)}
}

// Equal reports whether s and t hold the same ids.
func (s *Set[T]) Equal(t *Set[T]) bool {
	if s.Len() != t.Len() {
		return false
	}
	if s.big != nil && t.big != nil {
		return s.big.Equals(t.big)
	}
	for id := range s.All() {
		if !t.Contains(id) {
			return false
		}
	}
	return true
}

// The first byte of an encoded set.
const (
	encodedSlice  = 1 // ascending ids as differences, each a uvarint
	encodedBitmap = 2 // the portable roaring64 format
)

var errSet = errors.New("user: not an encoded set")

// Encode returns the stored form of s; nil when s is empty.
func (s *Set[T]) Encode() []byte {
	if s.big != nil {
		body, err := s.big.MarshalBinary()
		if err != nil {
			// Writing to memory does not fail.
			panic(fmt.Sprintf("user: encode a set: %v", err))
		}
		return append([]byte{encodedBitmap}, body...)
	}
	if len(s.small) == 0 {
		return nil
	}
	b := make([]byte, 1, 1+2*len(s.small))
	b[0] = encodedSlice
	last := uint64(0)
	for _, id := range s.small {
		b = appendUvarint(b, uint64(id)-last)
		last = uint64(id)
	}
	return b
}

// DecodeSet is the inverse of Set.Encode. Bytes that no Encode wrote are an
// error, never a panic.
func DecodeSet[T ~uint64 | ~int64](b []byte) (Set[T], error) {
	if len(b) == 0 {
		return Set[T]{}, nil
	}
	switch body := b[1:]; b[0] {
	case encodedSlice:
		return decodeSlice[T](body)
	case encodedBitmap:
		return decodeBitmap[T](body)
	}
	return Set[T]{}, errSet
}

func decodeSlice[T ~uint64 | ~int64](b []byte) (Set[T], error) {
	if len(b) == 0 {
		return Set[T]{}, errSet
	}
	var s Set[T]
	last := uint64(0)
	for len(b) > 0 {
		diff, n := uvarint(b)
		if n == 0 || diff == 0 || diff > math.MaxInt64-last || len(s.small) == setSmall {
			return Set[T]{}, errSet
		}
		b = b[n:]
		last += diff
		s.small = append(s.small, T(last))
	}
	s.small = slices.Clip(s.small)
	return s, nil
}

func decodeBitmap[T ~uint64 | ~int64](b []byte) (s Set[T], err error) {
	// The library checks much, but not all, of what it reads.
	defer func() {
		if recover() != nil {
			s, err = Set[T]{}, errSet
		}
	}()
	// It also makes room for as many parts as the first number says, before it
	// looks for them.
	if len(b) < 8 || bitmapParts(b) > uint64(len(b))/minBitmapPart {
		return Set[T]{}, errSet
	}
	big := roaring64.New()
	if err := big.UnmarshalBinary(b); err != nil {
		return Set[T]{}, fmt.Errorf("%w: %w", errSet, err)
	}
	if err := big.Validate(); err != nil {
		return Set[T]{}, fmt.Errorf("%w: %w", errSet, err)
	}
	if big.GetCardinality() <= setSmall/2 || big.Minimum() == 0 || big.Maximum() > math.MaxInt64 ||
		big.GetSerializedSizeInBytes() != uint64(len(b)) {
		return Set[T]{}, errSet
	}
	return Set[T]{big: big}, nil
}

// minBitmapPart is the least number of bytes that a part of an encoded bitmap
// takes: its key and the header of a bitmap of 32 bits.
const minBitmapPart = 12

// bitmapParts reads the number of parts at the start of an encoded bitmap.
func bitmapParts(b []byte) (n uint64) {
	for i := range 8 {
		n |= uint64(b[i]) << (8 * i)
	}
	return n
}

func collect[T ~uint64 | ~int64](big *roaring64.Bitmap) []T {
	ids := make([]T, 0, big.GetCardinality())
	for it := big.Iterator(); it.HasNext(); {
		ids = append(ids, T(it.Next()))
	}
	return ids
}

func appendUvarint(b []byte, x uint64) []byte {
	for x >= 0x80 {
		b = append(b, byte(x)|0x80)
		x >>= 7
	}
	return append(b, byte(x))
}

// uvarint returns the number at the start of b and its length, 0 if there is none
// in its shortest form.
func uvarint(b []byte) (x uint64, n int) {
	for i, c := range b {
		if i == 9 {
			return 0, 0 // more than 63 bits
		}
		x |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			if c == 0 && i > 0 {
				return 0, 0
			}
			return x, i + 1
		}
	}
	return 0, 0
}
