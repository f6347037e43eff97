package streams_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"kith/streams"
)

// TestAWindowIsASet compares a window with the set of what was acknowledged.
func TestAWindowIsASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mark := rapid.Uint64Range(0, 3*streams.WindowRecords).Draw(t, "mark")
		w := streams.NewWindow(mark)
		acked := make(map[uint64]bool)
		done := mark
		for range rapid.IntRange(1, 300).Draw(t, "acks") {
			ahead := rapid.Uint64Range(1, 40).Draw(t, "ahead")
			if rapid.IntRange(0, 9).Draw(t, "far") == 0 {
				ahead = rapid.Uint64Range(1, streams.WindowRecords).Draw(t, "ahead far")
			}
			pos := done + ahead
			got, fresh := w.Ack(pos)
			if fresh == acked[pos] {
				t.Fatalf("ack %d: fresh %v, want %v", pos, fresh, !acked[pos])
			}
			acked[pos] = true
			for acked[done+1] {
				done++
			}
			if got != done {
				t.Fatalf("ack %d: done %d, want %d", pos, got, done)
			}
		}
	})
}

func TestABackoffDoublesWithinItsBounds(t *testing.T) {
	t.Parallel()
	b := streams.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	for _, ms := range []int64{100, 200, 400, 800, 1000, 1000} {
		want := time.Duration(ms) * time.Millisecond
		if got := b.Next(); got > want || got < want*3/4 {
			t.Errorf("pause %v, want up to a quarter below %v", got, want)
		}
	}
	b.Reset()
	if got := b.Next(); got > 100*time.Millisecond {
		t.Errorf("pause %v after a reset, want at most the first", got)
	}
}
