package main

import (
	"context"
	"fmt"

	"kith/actors/user"
)

// tokenCommand prints an access token for an existing user.
type tokenCommand struct {
	storage
	signing
	Username string   `name:"username" required:"" placeholder:"NAME" help:"Who the token is for."`
	TTL      lifetime `name:"ttl" default:"24h" placeholder:"TIME" help:"How long it is good for, such as 15m, 24h or 30d."`
}

// Run implements kong's command.
func (c *tokenCommand) Run(ctx context.Context, con *console) error {
	if err := c.TTL.check(); err != nil {
		return fmt.Errorf("%w --ttl %q: allowed is %w", errInvalid, c.TTL, err)
	}
	if err := c.signing.check(); err != nil {
		return err
	}
	name, err := user.ParseUsername(c.Username)
	if err != nil {
		return fmt.Errorf("%w --username: %w", errInvalid, err)
	}
	return withOperator(ctx, access{storage: c.storage, key: c.JWTSecret}, func(o operator) error {
		token, err := o.Token(ctx, name, c.TTL.duration())
		if err != nil {
			return err
		}
		fmt.Fprintln(con.out, token)
		return nil
	})
}
