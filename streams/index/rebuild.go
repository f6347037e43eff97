package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kith/actors/user"
	"kith/persistence"
)

const (
	// buildStep is how many users one request of a build stores.
	buildStep = 2000
	// builders is how many such requests are under way at once.
	builders = 3
	// tries is how often a step of a build is tried.
	tries = 6
)

// Builder makes indexes anew, one at a time.
type Builder struct {
	store  Store
	engine persistence.SearchIndex
	logger *slog.Logger
	free   chan struct{} // held by the one who builds
}

// NewBuilder makes a Builder. Its engine must have no other: whoever has the lanes
// builds.
func NewBuilder(store Store, engine persistence.SearchIndex, logger *slog.Logger) *Builder {
	return &Builder{store, engine, logger, make(chan struct{}, 1)}
}

// Rebuilt says what a rebuild has done.
type Rebuilt struct {
	Users   int // indexed
	Refused int // by the engine; found by nobody
	// Heads are positions of the lanes up to which the index knows every record.
	Heads [persistence.LaneCount]uint64
}

// Rebuild makes an index anew beside the one in use, and switches to it; both are
// told of what changes meanwhile. On an error the index in use stays as it is.
// progress, which may be nil, is told how many users are indexed of about how many, by
// one goroutine at a time. Who calls it while another builds waits.
func (b *Builder) Rebuild(ctx context.Context, progress func(done, total int)) (_ Rebuilt, err error) {
	select {
	case b.free <- struct{}{}:
		defer func() { <-b.free }()
	case <-ctx.Done():
		return Rebuilt{}, ctx.Err() //nolint:wrapcheck // says all
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	began := time.Now()
	b.logger.Info("building an index of users")
	build, err := b.begin(ctx)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("begin an index: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, build.Abandon(ctx))
		}
	}()
	total := 0
	heads, err := b.store.LiveIDs(ctx, func(ids []user.ID) error { total += len(ids); return nil })
	if err != nil {
		return Rebuilt{}, fmt.Errorf("count the users: %w", err)
	}
	r := Rebuilt{Heads: heads}
	if err := b.fill(ctx, build, &r, func(done int) { progress(done, max(done, total)) }); err != nil {
		return Rebuilt{}, err
	}
	if err := again(ctx, build.Switch); err != nil {
		return Rebuilt{}, fmt.Errorf("switch to the new index: %w", err)
	}
	b.logger.Info("the index of users is built", "users", r.Users, "refused", r.Refused, "took", time.Since(began).Round(time.Millisecond))
	return r, nil
}

func (b *Builder) begin(ctx context.Context) (persistence.SearchBuild, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return b.engine.Build(ctx) //nolint:wrapcheck // says all
}

// fill indexes everybody, and counts them.
func (b *Builder) fill(ctx context.Context, build persistence.SearchBuild, r *Rebuilt, progress func(done int)) error {
	var mu sync.Mutex // guards r
	storing, stop := errgroup.WithContext(ctx)
	storing.SetLimit(builders)
	for after := user.ID(0); stop.Err() == nil; {
		ids, err := b.page(stop, after)
		if err != nil {
			return errors.Join(fmt.Errorf("read users after %d: %w", after, err), storing.Wait())
		}
		if len(ids) == 0 {
			break
		}
		after = ids[len(ids)-1].ID
		storing.Go(func() error {
			stored, refused, err := b.put(stop, build, ids)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			r.Users, r.Refused = r.Users+stored, r.Refused+refused
			progress(r.Users + r.Refused)
			return nil
		})
	}
	if err := storing.Wait(); err != nil {
		return err //nolint:wrapcheck // says all
	}
	return ctx.Err() //nolint:wrapcheck // says all
}

// page returns the next rows.
func (b *Builder) page(ctx context.Context, after user.ID) (accounts []*user.Account, err error) {
	err = again(ctx, func(ctx context.Context) (err error) {
		accounts, err = b.store.AccountsAfter(ctx, after, buildStep)
		return err //nolint:wrapcheck // by the caller
	})
	return accounts, err
}

// put stores what rows say. Before it tries a second time the rows are read anew: what
// somebody did meanwhile must not be undone by an engine that has forgotten it.
func (b *Builder) put(ctx context.Context, build persistence.SearchBuild, rows []*user.Account) (stored, refused int, err error) {
	ids := make([]user.ID, len(rows))
	for i, a := range rows {
		ids[i] = a.ID
	}
	err = again(ctx, func(ctx context.Context) (err error) {
		if rows == nil {
			if rows, err = accountsOf(ctx, b.store, ids); err != nil {
				return err
			}
		}
		docs := make([]persistence.SearchDocument, 0, len(rows))
		for _, a := range rows {
			if a != nil {
				docs = append(docs, document(a))
			}
		}
		rows = nil
		refused, err = put(ctx, build.Index, b.logger, docs)
		stored = len(docs) - refused
		return err
	})
	return stored, refused, err
}

// again tries a step until it succeeds, has failed often, or cannot succeed.
func again(ctx context.Context, step func(context.Context) error) error {
	backoff := retry()
	for try := 1; ; try++ {
		bounded, cancel := context.WithTimeout(ctx, writeTimeout)
		err := step(bounded)
		cancel()
		if err == nil || try == tries || errors.Is(err, persistence.ErrGivenUp) || !backoff.Wait(ctx) {
			return err
		}
	}
}

// rebuild makes an index where there is none, and reports whether it could.
func (t *Tail) rebuild(ctx context.Context) (heads [persistence.LaneCount]uint64, ok bool) {
	rebuilt, err := t.cfg.Builder.Rebuild(ctx, nil)
	if err != nil {
		t.failed(ctx, "build the index", err)
		return heads, false
	}
	t.metrics.rebuilt.Add(float64(rebuilt.Users))
	return rebuilt.Heads, true
}
