package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/memory"
	"kith/persistence/sqlite"
)

// roleCommand gives a user a role. It is the only way to become an admin.
type roleCommand struct {
	storage
	Username string `arg:"" placeholder:"NAME" help:"Whose role it is."`
	Role     string `arg:"" placeholder:"ROLE" help:"admin, creator or user."`
}

// Run implements kong's command.
func (c *roleCommand) Run(ctx context.Context, con *console) error {
	name, err := user.ParseUsername(c.Username)
	if err != nil {
		return fmt.Errorf("%w username: %w", errInvalid, err)
	}
	role, err := parseRole(c.Role)
	if err != nil {
		return fmt.Errorf("%w role %q: allowed is %w", errInvalid, c.Role, err)
	}
	return withOperator(ctx, c.storage, "", func(o operator) error {
		if err := o.SetRole(ctx, name, role); err != nil {
			return err
		}
		fmt.Fprintf(con.out, "%s is %s\n", name, role)
		return nil
	})
}

// parseRole returns a role that an operator may give: any.
func parseRole(s string) (user.Role, error) {
	switch r := user.Role(s); r {
	case user.RoleAdmin, user.RoleCreator, user.RoleUser:
		return r, nil
	}
	return "", errors.New("admin, creator or user")
}

// commander lends what carries out commands to users.
type commander func(ctx context.Context, f func(*usergrain.Client) error) error

// running lends the client of a server that runs.
func running(client *usergrain.Client) commander {
	return func(_ context.Context, f func(*usergrain.Client) error) error { return f(client) }
}

// starting lends a client of grains that run in this process, for as long as f
// takes: a command is decided by its grain and goes through the journal, whether
// the server runs or not. What follows from it, the server's tails do when it
// starts.
func starting(d *dataDir, db *sqlite.DB) commander {
	return func(ctx context.Context, f func(*usergrain.Client) error) (err error) {
		p := &process{logger: slog.New(slog.DiscardHandler)} // what fails is returned
		defer func() { err = errors.Join(err, p.close()) }()
		registry := prometheus.NewRegistry()
		cards, err := memory.NewCards(memory.Config{Registerer: registry})
		if err != nil {
			return fmt.Errorf("make the card cache: %w", err)
		}
		committer, err := p.write(ctx, d, db, cards, registry)
		if err != nil {
			return err
		}
		client, err := p.actors(ctx, db, committer, registry)
		if err != nil {
			return err
		}
		parts, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- runParts(parts, p.logger, grace, p.parts) }()
		err = f(client)
		stop()
		return errors.Join(err, <-ended)
	}
}

// SetRole implements operator.
func (o *localOperator) SetRole(ctx context.Context, username string, role user.Role) error {
	account, err := o.directory.ByUsername(ctx, username)
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		return fmt.Errorf("no user is called %q", username)
	case err != nil:
		return fmt.Errorf("find the user: %w", err)
	case account.Role == role:
		return nil
	}
	return o.commands(ctx, func(client *usergrain.Client) error {
		if _, err := client.Do(ctx, account.ID, user.UpdateProfile{Role: &role}); err != nil {
			return fmt.Errorf("set the role: %w", err)
		}
		return nil
	})
}
