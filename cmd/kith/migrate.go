package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"kith/persistence/sqlite"
)

// migrateCommand brings the schema up to date, or shows where it is. A server
// with an embedded database does the same at its start.
type migrateCommand struct {
	Up     migrateUp     `cmd:"" help:"Bring the schema up to date. Not while a server runs."`
	Status migrateStatus `cmd:"" help:"Show which version the schema has, and which this kith knows."`
}

type migrateUp struct{ storage }

// Run implements kong's command.
func (c *migrateUp) Run(ctx context.Context, con *console) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	d, err := openDataDir(c.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := sqlite.Migrate(ctx, d.file(databaseFile)); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return printVersions(ctx, con, d.file(databaseFile))
}

type migrateStatus struct{ storage }

// Run implements kong's command.
func (c *migrateStatus) Run(ctx context.Context, con *console) error {
	if err := c.check(); err != nil {
		return err
	}
	path := (&dataDir{path: c.DataDir}).file(databaseFile)
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("no database in %s; is KITH_DATA_DIR right?", c.DataDir)
	}
	return printVersions(ctx, con, path)
}

func printVersions(ctx context.Context, con *console, path string) error {
	v, err := sqlite.Status(ctx, path)
	if err != nil {
		return fmt.Errorf("migration status: %w", err)
	}
	t := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "database\t%s\n", path)
	fmt.Fprintf(t, "schema version\t%d\n", v.Current)
	fmt.Fprintf(t, "known to this kith\t%d\n", v.Latest)
	switch {
	case v.Current < v.Latest:
		fmt.Fprintf(t, "to do\tkith migrate up\n")
	case v.Current > v.Latest:
		fmt.Fprintf(t, "to do\tinstall a newer kith\n")
	default:
		fmt.Fprintf(t, "to do\tnothing\n")
	}
	return t.Flush()
}
