package main

import (
	"context"
	"errors"
)

// serveCommand runs the server.
type serveCommand struct{ settings }

// Run implements kong's command.
func (c *serveCommand) Run(ctx context.Context, con *console) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	d, err := openDataDir(c.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	p, err := assemble(ctx, &c.settings, d, c.logger(con.err))
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // stopped while it waited for what was away
	}
	if err != nil {
		return err
	}
	return p.run(ctx)
}
