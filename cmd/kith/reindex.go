package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"

	"kith/actors/usergrain"
)

// reindexCommand builds the index of the search engine anew.
type reindexCommand struct {
	storage
	searchSettings
}

// reindexed is how many users are in a new index, and how many the engine refused.
type reindexed struct {
	Users   int `json:"users"`
	Refused int `json:"refused"`
}

// Run implements kong's command.
func (c *reindexCommand) Run(ctx context.Context, con *console) error {
	if err := c.searchSettings.check(); err != nil {
		return err
	}
	began := time.Now()
	return withOperator(ctx, access{storage: c.storage, search: c.searchSettings}, func(o operator) error {
		var bar *progressbar.ProgressBar
		r, err := o.Reindex(ctx, func(done, total int) {
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
		fmt.Fprintf(con.out, "%d users are indexed, in %s; searches use the new index\n", r.Users, time.Since(began).Round(100*time.Millisecond))
		if r.Refused > 0 {
			return fmt.Errorf("the search engine refused %d users, who are found by nobody; the log of the server names them", r.Refused)
		}
		return nil
	})
}

// errNoEngine: there is nothing to index into.
var errNoEngine = errors.New("there is no search engine: KITH_SEARCH_URL is not set where kith runs; the database's own index is part of every write and needs no building")

// Reindex implements operator. Only who has the lanes may build; where a server has
// them, on another data dir, that is to be asked.
func (o *localOperator) Reindex(ctx context.Context, progress func(done, total int)) (r reindexed, err error) {
	if o.indexes == nil {
		return r, errNoEngine
	}
	err = o.commands(ctx, func(*usergrain.Client) error {
		rebuilt, err := o.indexes.Rebuild(ctx, progress)
		if err != nil {
			return fmt.Errorf("reindex: %w", err)
		}
		r = reindexed{rebuilt.Users, rebuilt.Refused}
		return nil
	})
	return r, err
}
