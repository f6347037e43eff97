package main

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// Buckets of a histogram: exact below 2^(subBits+1) µs, above that 2^subBits for
// each power of two, so that a value is known to 1.6 %.
const (
	subBits    = 6
	maxOctaves = 32 // up to 2^38 µs, three days
	bucketCap  = (maxOctaves + 2) << subBits
)

// histogram counts durations. The zero histogram is empty. It is not safe for
// concurrent use.
type histogram struct {
	counts []uint64
	total  uint64
}

func bucketOf(us uint64) int {
	shift := max(0, bits.Len64(us)-subBits-1)
	return min(shift<<subBits+int(us>>shift), bucketCap-1) //nolint:gosec // below 2^(subBits+1)
}

// bucketTop returns the highest value of a bucket, in µs.
func bucketTop(i int) uint64 {
	shift := max(0, i>>subBits-1)
	return (uint64(i-shift<<subBits)+1)<<shift - 1 //nolint:gosec // not negative
}

func (h *histogram) record(d time.Duration) { h.add(bucketOf(uint64(max(0, d.Microseconds()))), 1) }

func (h *histogram) add(bucket int, n uint64) {
	if h.counts == nil {
		h.counts = make([]uint64, bucketCap)
	}
	h.counts[bucket] += n
	h.total += n
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		if n > 0 {
			h.add(i, n)
		}
	}
}

// quantile returns a duration that the share q of all do not exceed, rounded up
// to its bucket's end; 0 when there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.total))
	for i, n := range h.counts {
		if n > rank {
			return time.Duration(bucketTop(i)) * time.Microsecond //nolint:gosec // at most three days
		}
		rank -= n
	}
	for i, n := range slices.Backward(h.counts) { // all of them
		if n > 0 {
			return time.Duration(bucketTop(i)) * time.Microsecond //nolint:gosec // at most three days
		}
	}
	return 0
}

// MarshalJSON implements json.Marshaler: pairs of a bucket and its count.
func (h *histogram) MarshalJSON() ([]byte, error) {
	pairs := [][2]uint64{}
	for i, n := range h.counts {
		if n > 0 {
			pairs = append(pairs, [2]uint64{uint64(i), n})
		}
	}
	b, err := json.Marshal(pairs)
	if err != nil {
		return nil, fmt.Errorf("encode a histogram: %w", err)
	}
	return b, nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *histogram) UnmarshalJSON(b []byte) error {
	var pairs [][2]uint64
	if err := json.Unmarshal(b, &pairs); err != nil {
		return fmt.Errorf("decode a histogram: %w", err)
	}
	*h = histogram{}
	for _, p := range pairs {
		if p[0] >= bucketCap {
			return fmt.Errorf("decode a histogram: bucket %d does not exist", p[0])
		}
		h.add(int(p[0]), p[1]) //nolint:gosec // checked above
	}
	return nil
}
