package s3_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kith/persistence"
	"kith/persistence/s3"
)

// blobs counts what is deleted.
type blobs struct {
	persistence.Blobs

	mu      sync.Mutex
	err     error
	deleted map[string]int
}

func (b *blobs) Delete(_ context.Context, path string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	b.deleted[path]++
	return nil
}

func (b *blobs) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *blobs) is(t *testing.T, when string, want int) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := b.deleted[path]; got != want || len(b.deleted) > 1 {
		t.Errorf("%s: erased %d times, want %d", when, got, want)
	}
}

func eraser(t *testing.T, b *blobs, dir string) *s3.Eraser {
	t.Helper()
	e, err := s3.NewEraser(s3.EraserConfig{Blobs: b, Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestWhatIsErasedIsErasedOnceMoreWhenNoUploadCanArrive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &blobs{deleted: make(map[string]int)}
		e := eraser(t, b, dir)
		if err := e.Erase(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		b.is(t, "at once", 1)
		// The process that remembers is another one.
		run(t, eraser(t, b, dir).Run)
		pass(59 * time.Minute)
		b.is(t, "before the hour", 1)
		b.fail(persistence.ErrAway)
		pass(30 * time.Minute)
		b.is(t, "while the store is away", 1)
		b.fail(nil)
		pass(2 * time.Minute)
		b.is(t, "when it is back", 2)
		pass(3 * time.Hour)
		b.is(t, "later", 2)
	})
}

func TestWhatCouldNotBeErasedIsNotForgotten(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ err, want error }{
		"away": {persistence.ErrAway, nil}, "failing": {context.DeadlineExceeded, context.DeadlineExceeded},
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			b := &blobs{deleted: make(map[string]int)}
			e := eraser(t, b, dir)
			b.fail(tt.err)
			if err := e.Erase(t.Context(), path); !errors.Is(err, tt.want) {
				t.Errorf("%s: error %v", name, err)
			}
			if err := e.Erase(t.Context(), "../x"); err == nil {
				t.Error("another path: no error")
			}
			run(t, eraser(t, b, dir).Run)
			pass(2 * time.Hour)
			b.is(t, "while the store is "+name, 0)
			b.fail(nil)
			pass(time.Minute)
			b.is(t, "when it is back", 1)
			pass(58 * time.Minute)
			b.is(t, "before the hour", 1)
			pass(3 * time.Minute)
			b.is(t, "in the end", 2)
			pass(3 * time.Hour)
			b.is(t, "later", 2)
		})
	}
}

func TestAnEraserNeedsAllItNeeds(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]s3.EraserConfig{
		"no blobs":     {Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)},
		"no directory": {Blobs: &blobs{}, Logger: slog.New(slog.DiscardHandler)},
		"no logger":    {Blobs: &blobs{}, Dir: t.TempDir()},
	} {
		if _, err := s3.NewEraser(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
