package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A quantile is the sample at that rank, at most 1.6 % too high, also after a
// histogram was split, encoded and merged.
func TestQuantileIsNearTheSample(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.SliceOfN(rapid.Int64Range(0, 1<<36), 1, 200).Draw(t, "microseconds")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		parts := make([]histogram, 3)
		for i, us := range samples {
			parts[i%3].record(time.Duration(us) * time.Microsecond)
		}
		var whole histogram
		for i := range parts {
			b, err := json.Marshal(&parts[i])
			if err != nil {
				t.Fatal(err)
			}
			var part histogram
			if err := json.Unmarshal(b, &part); err != nil {
				t.Fatal(err)
			}
			whole.merge(&part)
		}
		slices.Sort(samples)
		rank := min(int(q*float64(len(samples))), len(samples)-1)
		want, got := samples[rank], whole.quantile(q).Microseconds()
		if got < want || float64(got-want) > 1+float64(want)/(1<<subBits) {
			t.Fatalf("quantile %g of %v is %d µs, want %d", q, samples, got, want)
		}
	})
}

func TestQuantileOfNothingIsZero(t *testing.T) {
	t.Parallel()
	var h histogram
	if got := h.quantile(.99); got != 0 {
		t.Errorf("p99 of nothing is %s", got)
	}
}
