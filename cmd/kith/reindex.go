package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"

	"kith/streams/index"
)

// reindexCommand builds the index of the search engine anew.
type reindexCommand struct {
	storage
	searchSettings
}

// Run implements kong's command.
func (c *reindexCommand) Run(ctx context.Context, con *console) error {
	if err := c.searchSettings.check(); err != nil {
		return err
	}
	began := time.Now()
	return withOperator(ctx, access{storage: c.storage, search: c.searchSettings}, func(o operator) error {
		var bar *progressbar.ProgressBar
		users, err := o.Reindex(ctx, func(done, total int) {
			if !isatty.IsTerminal(con.err.Fd()) {
				return
			}
			if bar == nil {
				bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(con.err), progressbar.OptionSetDescription("users indexed"),
					progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
			}
			bar.ChangeMax(total)
			_ = bar.Set(done) // a bar that cannot be drawn is no reason to stop
		})
		if bar != nil {
			_ = bar.Finish()
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(con.out, "%d users are indexed, in %s; searches use the new index\n", users, time.Since(began).Round(100*time.Millisecond))
		return nil
	})
}

// errNoEngine: there is nothing to index into.
var errNoEngine = errors.New("there is no search engine (KITH_SEARCH_URL): the database's own index is part of every write and needs no building")

// Reindex implements operator.
func (o *localOperator) Reindex(ctx context.Context, progress func(done, total int)) (users int, err error) {
	if o.engine == nil {
		return 0, errNoEngine
	}
	rebuilt, err := index.Rebuild(ctx, index.Rebuilding{Store: o.db, Engine: o.engine, Logger: slog.New(slog.DiscardHandler), Progress: progress})
	if err != nil {
		return 0, fmt.Errorf("reindex: %w", err)
	}
	return rebuilt.Users, nil
}
