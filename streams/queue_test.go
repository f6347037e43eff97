package streams_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"kith/persistence"
	"kith/streams"
)

func sized(sizes ...int) []persistence.Record {
	records := make([]persistence.Record, len(sizes))
	for i, n := range sizes {
		records[i] = persistence.Record{Pos: uint64(i + 1), Payload: make([]byte, n)}
	}
	return records
}

func TestAQueueGivesRoundsInOrder(t *testing.T) {
	t.Parallel()
	q := streams.NewQueue()
	if got := q.Take(10, 10); len(got) != 0 {
		t.Errorf("an empty queue gave %d", len(got))
	}
	records := sized(3, 3, 3, 100, 1, 1)
	q.Put(records)
	clear(records) // it is not the queue's
	next := uint64(1)
	for _, want := range []struct{ maxRecords, maxBytes, n int }{{2, 1000, 2}, {10, 50, 2}, {10, 1, 1}, {10, 1000, 1}, {10, 1000, 0}} {
		got := q.Take(want.maxRecords, want.maxBytes)
		if len(got) != want.n {
			t.Errorf("%d records and %d bytes: %d were given, want %d", want.maxRecords, want.maxBytes, len(got), want.n)
		}
		for _, r := range got {
			if r.Pos != next {
				t.Errorf("%d was given, want %d", r.Pos, next)
			}
			next++
		}
	}
}

func TestAQueueIsAwaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := streams.NewQueue()
		took := func(ctx context.Context, pause time.Duration, put time.Duration) time.Duration {
			began := time.Now()
			go func() {
				if put >= 0 {
					<-time.After(put)
					q.Put(sized(1))
				}
			}()
			q.Await(ctx, pause)
			return time.Since(began)
		}
		if d := took(t.Context(), time.Second, 3*time.Second); d != 3*time.Second {
			t.Errorf("with a record after 3 s it took %s", d)
		}
		if d := took(t.Context(), time.Second, -1); d != time.Second {
			t.Errorf("with a record that waits it took %s, want the pause", d)
		}
		q.Take(10, 10)
		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		// What was put and taken may wake it once, so it is asked twice.
		if d := took(short, 0, -1) + took(short, 0, -1); d != 2*time.Second {
			t.Errorf("without a record it took %s, want until ctx ended", d)
		}
	})
}
