package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"kith/persistence/postgres"
	"kith/persistence/sqlite"
)

// migrateCommand brings the schema up to date, or shows where it is. A server
// does the same at its start with an embedded database, and with an empty one.
type migrateCommand struct {
	Up     migrateUp     `cmd:"" help:"Bring the schema up to date. With an embedded database not while a server runs."`
	Status migrateStatus `cmd:"" help:"Show which version the schema has, and which this kith knows."`
}

type migrateUp struct{ storage }

// Run implements kong's command.
func (c *migrateUp) Run(ctx context.Context, con *console) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	if c.DatabaseURL != "" {
		if err := postgres.Migrate(ctx, string(c.DatabaseURL)); err != nil {
			return fmt.Errorf("migrate %s: %w", masked(string(c.DatabaseURL)), err)
		}
		return c.printPostgres(ctx, con)
	}
	d, err := openDataDir(c.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := sqlite.Migrate(ctx, d.file(databaseFile)); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return printSQLite(ctx, con, d.file(databaseFile))
}

type migrateStatus struct{ storage }

// Run implements kong's command.
func (c *migrateStatus) Run(ctx context.Context, con *console) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.DatabaseURL != "" {
		return c.printPostgres(ctx, con)
	}
	path := (&dataDir{path: c.DataDir}).file(databaseFile)
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("no database in %s; is KITH_DATA_DIR right?", c.DataDir)
	}
	return printSQLite(ctx, con, path)
}

func (s *storage) printPostgres(ctx context.Context, con *console) error {
	v, err := postgres.Status(ctx, string(s.DatabaseURL))
	if err != nil {
		return fmt.Errorf("migration status: %w", err)
	}
	return printVersions(con, masked(string(s.DatabaseURL)), v.Current, v.Latest)
}

func printSQLite(ctx context.Context, con *console, path string) error {
	v, err := sqlite.Status(ctx, path)
	if err != nil {
		return fmt.Errorf("migration status: %w", err)
	}
	return printVersions(con, path, v.Current, v.Latest)
}

func printVersions(con *console, database string, current, latest int64) error {
	t := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "database\t%s\n", database)
	fmt.Fprintf(t, "schema version\t%d\n", current)
	fmt.Fprintf(t, "known to this kith\t%d\n", latest)
	switch {
	case current < latest:
		fmt.Fprintf(t, "to do\tkith migrate up\n")
	case current > latest:
		fmt.Fprintf(t, "to do\tinstall a newer kith\n")
	default:
		fmt.Fprintf(t, "to do\tnothing\n")
	}
	return t.Flush()
}
