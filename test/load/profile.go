package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// profile fetches profiles of kith, of its CPU and of what it allocates, for about
// as long as a round lasts, when they were asked for. The function that it returns
// waits for them.
func (b *bench) profile(ctx context.Context, s *server, name string, d time.Duration) (wait func() error) {
	if b.profileDir == "" {
		return func() error { return nil }
	}
	statements := b.countStatements(ctx, s, name)
	var fetching errgroup.Group
	for _, x := range []struct{ kind, file string }{{"profile", name + ".pprof"}, {"allocs", name + "-allocs.pprof"}} {
		fetching.Go(func() error {
			body, err := get(ctx, fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", s.ops, x.kind, max(1, int(math.Round(d.Seconds())))))
			if err == nil {
				err = os.WriteFile(filepath.Join(b.profileDir, x.file), body, 0o600)
			}
			return err
		})
	}
	return func() error {
		if err := fetching.Wait(); err != nil {
			return fmt.Errorf("profile kith: %w", err)
		}
		return statements()
	}
}

// countStatements has PostgreSQL count its statements from now on. The function
// that it returns writes what they were and took beside the profile.
func (b *bench) countStatements(ctx context.Context, s *server, name string) (write func() error) {
	if s.stores == nil {
		return func() error { return nil }
	}
	err := s.stores.with(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SELECT pg_stat_statements_reset()")
		return err //nolint:wrapcheck // wrapped below
	})
	return func() error {
		if err != nil {
			return fmt.Errorf("count statements: %w", err)
		}
		return s.stores.with(ctx, func(conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, `SELECT format('%s calls, %s rows, %s ms, %s ms of planning, %s bytes of log, %s full pages, %s blocks hit, %s read: %s',
					calls, rows, round(total_exec_time), round(total_plan_time), wal_bytes, wal_fpi, shared_blks_hit, shared_blks_read, query)
				FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 20`)
			if err != nil {
				return fmt.Errorf("read the statements: %w", err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return fmt.Errorf("read the statements: %w", err)
			}
			if err := os.WriteFile(filepath.Join(b.profileDir, name+"-statements.txt"), []byte(strings.Join(lines, "\n\n")+"\n"), 0o600); err != nil {
				return fmt.Errorf("write the statements: %w", err)
			}
			return nil
		})
	}
}

// profileSelf begins a CPU profile of this process, when a place for it is named.
func profileSelf(base string) (stop func() error, err error) {
	if base == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(base + ".pprof") //nolint:gosec // named by our parent
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close() //nolint:wrapcheck // names the file
	}, nil
}

// writeHeap writes what is on the heap of this process, when a place is named.
func writeHeap(base string) (err error) {
	if base == "" {
		return nil
	}
	f, err := os.Create(base + "-heap.pprof") //nolint:gosec // named by our parent
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.WriteHeapProfile(f); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return nil
}
