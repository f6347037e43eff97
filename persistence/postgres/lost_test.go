package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
	"kith/test/services"
)

// wantUnknown fails unless err leaves open whether anything was written.
func wantUnknown(tb testing.TB, err error) {
	tb.Helper()
	if err == nil || errors.Is(err, persistence.ErrNotCommitted) {
		tb.Fatalf("error %v, want one after which nobody knows", err)
	}
	if !postgres.Away(err) {
		tb.Errorf("%v does not pass for away", err)
	}
}

func TestACommitWhoseConnectionIsLostIsNeverDoubled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cut     direction
		written bool
	}{
		"the answer is lost":  {answers, true},
		"the request is lost": {requests, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, through := startProxy(t, services.Database(t))
			db := openAt(t, postgres.Config{URL: through})
			node := acquire(t, db)
			rows := register(t, db, node, 1, 65)
			for round := range 3 {
				turns := []*persistence.Turn{next(&rows[0], persistence.KindFollowed), next(&rows[1], persistence.KindFollowed)}
				p.cut(c.cut)
				_, err := commit(t, db, node, turns...)
				wantUnknown(t, err)
				// As the contract has it: raise the epoch, then read again.
				if node, err = db.Raise(t.Context(), node); err != nil {
					t.Fatal(err)
				}
				want, status := uint64(round+1), persistence.Committed
				if c.written {
					want, status = want+1, persistence.Stale
				}
				if v := version(t, db, 1); v != want {
					t.Fatalf("round %d: version %d, want %d", round, v, want)
				}
				outcomes, err := commit(t, db, node, turns...)
				if err != nil || outcomes[0].Status != status || outcomes[1].Status != status {
					t.Fatalf("round %d, again: %+v, %v", round, outcomes, err)
				}
				if records := lane(t, db, 1); len(records) != 2*(round+2) {
					t.Fatalf("round %d: %d records", round, len(records))
				}
			}
		})
	}
}

func TestARaiseWaitsForABatchThatItsClientHasGivenUp(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*proxy, context.CancelFunc){
		"the connection was lost": func(p *proxy, _ context.CancelFunc) { p.cutAll() },
		"the caller went away":    func(_ *proxy, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := services.Database(t)
			p, through := startProxy(t, at)
			db := openAt(t, postgres.Config{URL: through})
			node := acquire(t, db)
			row := register(t, db, node, 1)[0]
			// Somebody holds the batch up, while it holds the fence.
			c := dial(t, at)
			exec(t, c, `BEGIN`)
			exec(t, c, `SELECT 1 FROM users WHERE id = 1 FOR UPDATE`)
			ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
			defer cancel()
			turn := next(&row, persistence.KindFollowed)
			lost := make(chan error)
			go func() {
				_, err := db.Commit(ctx, persistence.Batch{Node: node, Turns: []*persistence.Turn{turn}})
				lost <- err
			}()
			waitForLock(t, at)
			lose(p, cancel)
			if err := <-lost; err == nil || errors.Is(err, persistence.ErrNotCommitted) {
				t.Fatalf("error %v, want one after which nobody knows", err)
			}
			type raise struct {
				node persistence.Node
				err  error
			}
			raised := make(chan raise)
			go func() {
				n, err := db.Raise(context.WithoutCancel(t.Context()), node)
				raised <- raise{n, err}
			}()
			// The server may have been told to cancel the batch; else it is the lock
			// that both wait for.
			beside := dial(t, at)
			var r raise
			for done := false; !done; {
				select {
				case r = <-raised:
					done = true
				default:
					if ask[int](t, beside, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 2 {
						exec(t, c, `COMMIT`)
						r = <-raised
						done = true
					}
				}
			}
			if r.err != nil {
				t.Fatal(r.err)
			}
			settled := version(t, db, 1)
			if !c.PgConn().IsClosed() && c.PgConn().TxStatus() == 'T' {
				exec(t, c, `COMMIT`)
			}
			outcomes, err := commit(t, db, r.node, turn)
			if err != nil {
				t.Fatal(err)
			}
			if (settled == 2) != (outcomes[0].Status == persistence.Stale) || version(t, db, 1) != 2 || len(lane(t, db, 1)) != 2 {
				t.Errorf("settled at version %d, then %+v, and version %d", settled, outcomes, version(t, db, 1))
			}
		})
	}
}

func TestAConnectionThatIsLostIsMadeAnew(t *testing.T) {
	t.Parallel()
	p, through := startProxy(t, services.Database(t))
	db := openAt(t, postgres.Config{URL: through})
	node := acquire(t, db)
	row := register(t, db, node, 1)[0]
	p.cutAll()
	// Whoever uses a connection that was lost is told so, once.
	for range 3 {
		if _, err := db.Heads(t.Context()); err == nil {
			break
		} else if !postgres.Away(err) {
			t.Fatal(err)
		}
	}
	node, err := db.Acquire(t.Context(), "node", time.Hour)
	for range 2 {
		if err != nil {
			node, err = db.Acquire(t.Context(), "node", time.Hour)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	turn := next(&row, persistence.KindFollowed)
	if _, err = commit(t, db, node, turn); err != nil {
		_, err = commit(t, db, node, turn)
	}
	if err != nil || version(t, db, 1) != 2 {
		t.Fatal(err)
	}
}

func TestAServerThatWasKilledIsUsedAgainOnceItIsBack(t *testing.T) {
	t.Parallel()
	s := services.StartPostgres(t, services.PostgresConfig{})
	at := s.URL()
	db := openAt(t, postgres.Config{URL: at})
	node := acquire(t, db)
	row := register(t, db, node, 1)[0]
	const rounds = 200
	acknowledged := make(chan uint64, rounds)
	ended := make(chan error, 1)
	go func() {
		a := row
		for range rounds {
			turn := next(&a, persistence.KindFollowed)
			if _, err := commit(t, db, node, turn); err != nil {
				ended <- err
				return
			}
			acknowledged <- a.Version
		}
		ended <- nil
	}()
	last := <-acknowledged
	s.Kill()
	if err := <-ended; err != nil && !postgres.Away(err) {
		t.Errorf("%v does not pass for away", err)
	}
	close(acknowledged)
	for v := range acknowledged {
		last = v
	}
	_, err := commit(t, db, node, next(&row, persistence.KindFollowed))
	if !postgres.Away(err) {
		t.Errorf("%v does not pass for away", err)
	}
	wantError(t, err, persistence.ErrNotCommitted)
	if _, err := db.Load(t.Context(), []user.ID{1}); !postgres.Away(err) {
		t.Errorf("%v does not pass for away", err)
	}
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: at}); !postgres.Away(err) {
		t.Errorf("%v does not pass for away", err)
	}
	s.Start()
	node, err = db.Acquire(t.Context(), "node", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	v := version(t, db, 1)
	if v < last || v > last+1 {
		t.Fatalf("version %d, acknowledged was %d", v, last)
	}
	row.Version = v
	mustCommit(t, db, node, next(&row, persistence.KindFollowed))
	lane(t, db, 1)
}

func TestAServerThatTakesNoWritesIsLeftOnceAnotherDoes(t *testing.T) {
	t.Parallel()
	db, at := open(t)
	node := acquire(t, db)
	row := register(t, db, node, 1)[0]
	c := dial(t, at)
	name := ask[string](t, c, `SELECT current_database()`)
	exec(t, c, `ALTER DATABASE `+name+` SET default_transaction_read_only = on`)
	exec(t, c, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	turn := next(&row, persistence.KindFollowed)
	var err error
	for range 3 { // the first may find the connection lost
		if _, err = commit(t, db, node, turn); errors.Is(err, persistence.ErrNotCommitted) {
			break
		}
	}
	wantError(t, err, persistence.ErrNotCommitted)
	if !postgres.Away(err) {
		t.Errorf("%v does not pass for away", err)
	}
	if version(t, db, 1) != 1 { // reads go on
		t.Error("the turn was written")
	}
	for range 3 {
		if err = db.Renew(t.Context(), node, time.Hour); err == nil || !postgres.Away(err) {
			t.Errorf("renewed: %v", err)
		}
	}
	exec(t, c, `SET default_transaction_read_only = off`)
	exec(t, c, `ALTER DATABASE `+name+` RESET default_transaction_read_only`)
	mustCommit(t, db, node, turn)
}

// TestWhatAServerSaysBeforeItLetsOneIn: which of it may be otherwise a little
// later.
func TestWhatAServerSaysBeforeItLetsOneIn(t *testing.T) {
	t.Parallel()
	for code, away := range map[string]bool{
		"57P03": true, "53300": true, "57P01": true, "53200": true,
		"28P01": false, "28000": false, "3D000": false, "42501": false, "42704": false,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			_, err := postgres.Open(t.Context(), postgres.Config{URL: refuser(t, code)})
			if err == nil || postgres.Away(err) != away {
				t.Errorf("error %v: away is %t", err, postgres.Away(err))
			}
		})
	}
}

// refuser returns the URL of a server that refuses everybody with a code.
func refuser(tb testing.TB, code string) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	tb.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := pgproto3.NewBackend(c, c)
			if _, err := b.ReceiveStartupMessage(); err == nil {
				b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: "no"})
				_ = b.Flush()
			}
			_ = c.Close()
		}
	}()
	return fmt.Sprintf("postgres://u:%s@%s/d?sslmode=disable", secret, l.Addr())
}

func TestWhoDoesNotAnswerIsAway(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		t.Fatal(err)
	}
	silent := fmt.Sprintf("postgres://u:%s@%s/d?connect_timeout=1", secret, l.Addr())
	_, err = postgres.Open(t.Context(), postgres.Config{URL: silent})
	if !postgres.Away(err) || strings.Contains(err.Error(), secret) {
		t.Errorf("silent: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	_, err = postgres.Open(t.Context(), postgres.Config{URL: silent})
	if !postgres.Away(err) || strings.Contains(err.Error(), secret) {
		t.Errorf("refused: %v", err)
	}
	_, err = postgres.Open(t.Context(), postgres.Config{URL: "postgres://u@no-such-host.invalid/d"})
	if !postgres.Away(err) {
		t.Errorf("unknown host: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = postgres.Open(ctx, postgres.Config{URL: silent}); err == nil || postgres.Away(err) {
		t.Errorf("canceled: %v", err)
	}
}
