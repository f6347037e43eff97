package user


// Set is a set of positive ids. Small sets are a sorted slice, 8 bytes an id;
// above setSmall ids it is a roaring bitmap. The zero Set is empty.
type Set[T ~uint64 | ~int64] struct {
	small []T
}
