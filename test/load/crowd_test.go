package main

import (
	"context"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"
)

const activitySample = activityFrame + `"id":"a/1","time":"2026-01-02T03:04:05.000006Z","data":{"event":{"event_id":"1767323045000005000-0-1"}}}`

// newTestCrowd returns a crowd of the sockets of a floor, both running.
func newTestCrowd(t *testing.T, users int) (*crowd, *floor) {
	t.Helper()
	f := newFloor(t.Context(), []byte(activitySample))
	server := httptest.NewServer(f.handler())
	t.Cleanup(server.Close)
	people := newPeople(t, users)
	path := filepath.Join(t.TempDir(), "people")
	if err := people.save(path); err != nil {
		t.Fatal(err)
	}
	c, err := newCrowd(&crowdJob{Addr: server.Listener.Addr().String(), People: path, Sockets: users})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("a crowd needs Linux")
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c, f
}

// Every frame that is written to every socket is counted once, whoever is said to
// have caused it, and a socket that is gone is noticed.
func TestCrowdCountsFrames(t *testing.T) {
	t.Parallel()
	const users = 40
	ctx := t.Context()
	c, f := newTestCrowd(t, users)
	obey := func(o order) streamed {
		t.Helper()
		c.reset(o.Do == orderRecord)
		events, missing, err := c.obey(ctx, &o)
		if err != nil {
			t.Fatalf("%s: %v", o.Do, err)
		}
		s := c.result()
		s.Events, s.Missing = events, missing
		return s
	}
	if s := obey(order{Do: orderOpen, Sockets: users}); s.All != users {
		t.Fatalf("%d frames of %d sockets, want a ready each", s.All, users)
	}
	const batch = 5
	s := obey(order{Do: orderSaturate, Batch: batch, Duration: 20 * time.Millisecond})
	if s.Events == 0 || s.Events%batch != 0 || s.Frames != s.Events*users || s.Missing != 0 || string(s.Sample) != activitySample {
		t.Errorf("after %d events %d frames, %d missing, such as %s", s.Events, s.Frames, s.Missing, s.Sample)
	}
	all := s.All
	s = obey(order{Do: orderRecord, Conns: 4, Rate: 500, Duration: 50 * time.Millisecond})
	if s.Events == 0 || s.Frames != s.Events*users || s.All != all+s.Frames || s.Sent.total != uint64(s.Frames) {
		t.Errorf("after %d events %d frames, %d of any kind after %d, %d timed", s.Events, s.Frames, s.All, all, s.Sent.total)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	if err := c.await(ctx, func() bool { return c.got.closes() == users }); err != nil {
		t.Error(err)
	}
}

func TestTimesOfAFrame(t *testing.T) {
	t.Parallel()
	sent, recorded, err := timesOf([]byte(activitySample))
	if err != nil {
		t.Fatal(err)
	}
	if got := recorded.Sub(sent); got != time.Microsecond {
		t.Errorf("recorded %s after it was sent, want 1µs", got)
	}
	for _, bad := range []string{`{}`, `{"event_id":"a-1"}`, `{"time":"now","event_id":"1-1"}`} {
		if _, _, err := timesOf([]byte(bad)); !errors.Is(err, errFrame) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestMemoryAround(t *testing.T) {
	t.Parallel()
	c := make(course, 100)
	for i := range c {
		c[i] = float64(i)
	}
	c[52] = 1e9 // a moment before a collection
	for share, want := range map[float64]float64{0: 4.5, .5: 49.5, 1: 94.5} {
		if got := c.around(share); got != want {
			t.Errorf("around %.1f: %.1f, want %.1f", share, got, want)
		}
	}
	if got := (course{7}).around(1); got != 7 {
		t.Errorf("of one it is %.1f", got)
	}
}
