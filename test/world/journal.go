package world

import (
	"context"
	"sync"

	"kith/persistence"
)

// Commit is one attempt to commit; next does it.
type Commit func(ctx context.Context, b persistence.Batch, next func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error)

// Journal is a journal whose commits can be held up, refused or have their
// answers lost.
type Journal struct {
	persistence.Journal
	mu      sync.Mutex
	commit  Commit
	commits int // with turns
}

// Wrap makes a Journal. Use it as Options.Journal.
func (j *Journal) Wrap(inner persistence.Journal) persistence.Journal {
	j.Journal = inner
	return j
}

// OnCommit makes f decide what becomes of every further batch that has turns;
// nil: as usual.
func (j *Journal) OnCommit(f Commit) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.commit = f
}

// HoldNext holds the next batch that has turns, until leave is called; the others
// go through. entered has one value when it is held.
func (j *Journal) HoldNext() (entered <-chan struct{}, leave func()) {
	held, free := make(chan struct{}, 1), make(chan struct{})
	var next sync.Once
	j.OnCommit(func(_ context.Context, _ persistence.Batch, commit func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		next.Do(func() { held <- struct{}{}; <-free })
		return commit()
	})
	return held, func() { close(free) }
}

// Commits returns how many batches with turns there were.
func (j *Journal) Commits() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.commits
}

// Commit implements persistence.Journal.
func (j *Journal) Commit(ctx context.Context, b persistence.Batch) ([]persistence.Outcome, error) {
	if len(b.Turns) == 0 {
		return j.Journal.Commit(ctx, b) //nolint:wrapcheck // it is what the journal says
	}
	j.mu.Lock()
	f := j.commit
	j.commits++
	j.mu.Unlock()
	next := func() ([]persistence.Outcome, error) { return j.Journal.Commit(ctx, b) } //nolint:wrapcheck // likewise
	if f == nil {
		return next()
	}
	return f(ctx, b, next)
}
