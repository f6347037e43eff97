package main

import (
	"context"
	"errors"
	"fmt"

	"kith/actors/user"
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
	return withOperator(ctx, access{storage: c.storage}, func(o operator) error {
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
