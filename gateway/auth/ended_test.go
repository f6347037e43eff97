package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/gateway/auth"
	"kith/persistence"
)

// list is the list of ended sessions in a database.
type list struct {
	mu    sync.Mutex
	ended []persistence.EndedSession
	away  error
	reads int
	swept []time.Time
}

func (l *list) EndedSessions(_ context.Context, after uint64, limit int) ([]persistence.EndedSession, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.away != nil {
		return nil, 0, l.away
	}
	page := l.ended[after:]
	page = page[:min(limit, len(page))]
	return append([]persistence.EndedSession(nil), page...), after + uint64(len(page)), nil
}

func (l *list) SweepSessions(_ context.Context, now time.Time, limit int) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.swept = append(l.swept, now)
	if len(l.swept) == 1 {
		return limit, nil // there is more
	}
	return 0, l.away
}

func (l *list) end(id auth.SessionID, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, persistence.EndedSession{ID: id, Until: until})
}

func (l *list) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = err
}

func newEnded(tb testing.TB, l *list) (*auth.Ended, *prometheus.Registry) {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	e, err := auth.NewEnded(auth.EndedConfig{Store: l, Logger: slog.New(slog.DiscardHandler), Registerer: registry})
	if err != nil {
		tb.Fatal(err)
	}
	return e, registry
}

func has(tb testing.TB, e *auth.Ended, id byte) bool {
	tb.Helper()
	ended, err := e.Has(tb.Context(), auth.SessionID{id})
	if err != nil {
		tb.Fatal(err)
	}
	return ended
}

func gauge(tb testing.TB, r *prometheus.Registry, name string) float64 {
	tb.Helper()
	families, err := r.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	tb.Fatalf("no metric %s", name)
	return 0
}

func TestTheListIsReadBeforeAnybodyIsLetIn(t *testing.T) {
	t.Parallel()
	l := &list{away: errors.New("away")}
	e, _ := newEnded(t, l)
	l.end(auth.SessionID{1}, time.Now().Add(time.Hour))
	if _, err := e.Has(t.Context(), auth.SessionID{1}); err == nil {
		t.Error("no error")
	}
	l.fail(nil)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if !has(t, e, 1) || has(t, e, 2) {
				t.Error("the list was not read")
			}
		})
	}
	wg.Wait()
	if l.reads != 2 {
		t.Errorf("read %d times", l.reads)
	}
}

func TestEndedSessionsAreReadAlongAndForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &list{}
		for i := range 2500 { // more than a page
			l.end(auth.SessionID{2, byte(i), byte(i >> 8)}, time.Now().Add(time.Hour))
		}
		e, registry := newEnded(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		synctest.Wait()
		if n := gauge(t, registry, "kith_auth_ended_sessions_entries"); n != 2500 {
			t.Errorf("%v are known", n)
		}
		e.Add([]persistence.EndedSession{{ID: auth.SessionID{1}, Until: time.Now().Add(time.Minute)}})
		if !has(t, e, 1) {
			t.Error("not at once")
		}
		l.end(auth.SessionID{1}, time.Now().Add(time.Minute)) // it comes again from the database
		l.end(auth.SessionID{3}, time.Now().Add(2*time.Hour))
		<-time.After(250 * time.Millisecond)
		synctest.Wait()
		if !has(t, e, 3) || gauge(t, registry, "kith_auth_ended_sessions_entries") != 2502 {
			t.Error("not within 250 ms")
		}

		l.fail(errors.New("away"))
		<-time.After(30 * time.Second)
		if !has(t, e, 3) || has(t, e, 9) {
			t.Error("what was known is not")
		}
		if lag := gauge(t, registry, "kith_auth_ended_lag_seconds"); lag < 29 || lag > 31 {
			t.Errorf("the list was read %v s ago", lag)
		}
		l.fail(nil)
		<-time.After(time.Minute + 20*time.Second) // its tokens, and what clocks may differ
		if !has(t, e, 1) {
			t.Error("forgotten too early")
		}
		<-time.After(20 * time.Second)
		if has(t, e, 1) || !has(t, e, 3) {
			t.Error("not forgotten")
		}
		<-time.After(time.Hour)
		if n := gauge(t, registry, "kith_auth_ended_sessions_entries"); n != 1 {
			t.Errorf("%v are remembered", n)
		}
		l.mu.Lock()
		swept := len(l.swept)
		l.mu.Unlock()
		if swept < 60 {
			t.Errorf("the database was swept %d times", swept)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestALongerEndCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, _ := newEnded(t, &list{})
		id := auth.SessionID{1}
		e.Add([]persistence.EndedSession{{ID: id, Until: time.Now().Add(time.Hour)}, {ID: id, Until: time.Now().Add(time.Minute)}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		<-time.After(30 * time.Minute)
		if !has(t, e, 1) {
			t.Error("forgotten too early")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestEndedNeedsAStoreAndALogger(t *testing.T) {
	t.Parallel()
	if _, err := auth.NewEnded(auth.EndedConfig{Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("no error")
	}
	if _, err := auth.NewEnded(auth.EndedConfig{Store: &list{}}); err == nil {
		t.Error("no error")
	}
}

func BenchmarkHas(b *testing.B) {
	l := &list{}
	for i := range 100_000 {
		l.end(auth.SessionID{byte(i), byte(i >> 8), byte(i >> 16)}, time.Now().Add(time.Hour))
	}
	e, _ := newEnded(b, l)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Has(ctx, auth.SessionID{7, 7, 7, 7}); err != nil {
			b.Fatal(err)
		}
	}
}
