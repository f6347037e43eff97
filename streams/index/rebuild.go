package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

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

// Rebuilding is what Rebuild needs.
type Rebuilding struct {
	Store  Store
	Engine persistence.SearchIndex
	Logger *slog.Logger
	// Progress is told how many users are indexed of about how many, by one goroutine
	// at a time; nil: nobody is.
	Progress func(done, total int)
}

// Rebuilt says what a rebuild has done.
type Rebuilt struct {
	Users int // indexed
	// Heads are positions of the lanes up to which the index knows every record.
	Heads [persistence.LaneCount]uint64
}

// Rebuild makes an index anew beside the one in use, and switches to it; both are
// told of what changes meanwhile. On an error the index in use stays as it is.
func Rebuild(ctx context.Context, r Rebuilding) (_ Rebuilt, err error) {
	build, err := r.begin(ctx)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("begin an index: %w", err)
	}
	defer func() {
		if err != nil {
			bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
			defer cancel()
			err = errors.Join(err, build.Abandon(bounded))
		}
	}()
	total := 0
	heads, err := r.Store.LiveIDs(ctx, func(ids []user.ID) error { total += len(ids); return nil })
	if err != nil {
		return Rebuilt{}, fmt.Errorf("count the users: %w", err)
	}
	users, err := r.fill(ctx, build, total)
	if err != nil {
		return Rebuilt{}, err
	}
	if err := again(ctx, build.Switch); err != nil {
		return Rebuilt{}, fmt.Errorf("switch to the new index: %w", err)
	}
	return Rebuilt{Users: users, Heads: heads}, nil
}

func (r *Rebuilding) begin(ctx context.Context) (persistence.SearchBuild, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return r.Engine.Build(ctx) //nolint:wrapcheck // says all
}

// fill indexes everybody.
func (r *Rebuilding) fill(ctx context.Context, build persistence.SearchBuild, total int) (done int, err error) {
	var mu sync.Mutex // guards done
	storing, stop := errgroup.WithContext(ctx)
	storing.SetLimit(builders)
	for after := user.ID(0); stop.Err() == nil; {
		var accounts []*user.Account
		if err := again(stop, func(ctx context.Context) (err error) {
			accounts, err = r.Store.AccountsAfter(ctx, after, buildStep)
			return err //nolint:wrapcheck // wrapped below
		}); err != nil {
			return 0, errors.Join(fmt.Errorf("read users after %d: %w", after, err), storing.Wait())
		}
		if len(accounts) == 0 {
			break
		}
		after = accounts[len(accounts)-1].ID
		storing.Go(func() error {
			docs := make([]persistence.SearchDocument, len(accounts))
			for i, a := range accounts {
				docs[i] = document(a)
			}
			if err := again(stop, func(ctx context.Context) error { return put(ctx, build.Index, r.Logger, docs) }); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done += len(docs)
			if r.Progress != nil {
				r.Progress(done, max(done, total))
			}
			return nil
		})
	}
	if err := storing.Wait(); err != nil {
		return 0, err //nolint:wrapcheck // says all
	}
	return done, ctx.Err() //nolint:wrapcheck // says all
}

// again tries a step until it succeeds or has failed often.
func again(ctx context.Context, step func(context.Context) error) error {
	backoff := retry()
	for try := 1; ; try++ {
		bounded, cancel := context.WithTimeout(ctx, writeTimeout)
		err := step(bounded)
		cancel()
		if err == nil || try == tries || !backoff.Wait(ctx) {
			return err
		}
	}
}

// rebuild makes an index where there is none, and reports whether it could.
func (t *Tail) rebuild(ctx context.Context) (heads [persistence.LaneCount]uint64, ok bool) {
	t.cfg.Logger.Info("the search engine has no index of users; building one")
	rebuilt, err := Rebuild(ctx, Rebuilding{Store: t.cfg.Store, Engine: t.cfg.Engine, Logger: t.cfg.Logger})
	if err != nil {
		t.failed(ctx, "build the index", err)
		return heads, false
	}
	t.metrics.rebuilt.Add(float64(rebuilt.Users))
	t.cfg.Logger.Info("the index of users is built", "users", rebuilt.Users)
	return rebuilt.Heads, true
}
