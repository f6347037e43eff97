package broker

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestTheReachOfAFreshDirIsItsSize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.Int64Range(MinBytes, 1<<40).Draw(t, "bytes")
		heads := [lanes]uint64(rapid.SliceOfN(rapid.Uint64Range(0, 1<<40), lanes, lanes).Draw(t, "heads"))
		marks := reach(bytes, heads)
		room := uint64(bytes / recordBytes)
		var total, kept uint64
		for lane, head := range heads {
			if marks[lane] > head {
				t.Fatalf("lane %d: the mark %d is above the head %d", lane, marks[lane], head)
			}
			total += head
			kept += head - marks[lane]
		}
		if total <= room && kept != total {
			t.Fatalf("%d of %d records are published again, and there is room for %d", kept, total, room)
		}
		if total > room && (kept > room || kept+2*lanes < room-room/1000) {
			t.Fatalf("%d of %d records are published again, and there is room for %d", kept, total, room)
		}
	})
}

func TestTheTopicsShareTheSize(t *testing.T) {
	t.Parallel()
	for _, bytes := range []int64{MinBytes, defaultBytes, 1 << 40} {
		var sum int64
		for _, topic := range topics(bytes) {
			n, err := strconv.ParseInt(topic.Configs["retention.bytes"], 10, 64)
			if err != nil || n < leastBytes || topic.Configs["retention.ms"] != "-1" {
				t.Errorf("of %d bytes %s has %v, want a size of at least %d and no time", bytes, topic.Name, topic.Configs, leastBytes)
			}
			sum += n * int64(topic.Partitions)
		}
		if sum > bytes || sum < bytes*9/10 {
			t.Errorf("the topics have %d of %d bytes", sum, bytes)
		}
	}
}

func FuzzWholeEntries(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 1, 0})
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := wholeEntries(b)
		if whole < 0 || whole > len(b) || wholeEntries(b[:whole]) != whole {
			t.Fatalf("%d of %d bytes are whole", whole, len(b))
		}
	})
}
