package postgres_test

import (
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
	"kith/test/services"
)

const insertClaim = `INSERT INTO claims (kind, value, user_id, at, loose) VALUES ($1, $2, $3, now(), true)`

// renames returns a turn that needs a claim of an email.
func renames(a *user.Account, email string) *persistence.Turn {
	a.Email = email
	turn := next(a, persistence.KindProfileUpdated)
	turn.Claims = []persistence.Claim{{Kind: persistence.ClaimEmail, Value: user.EmailKey(email)}}
	return turn
}

func TestAClaimThatIsTouchedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		want persistence.TurnStatus
	}{
		"renewed":  {`UPDATE claims SET at = now() WHERE kind = 2`, persistence.Committed},
		"given up": {`DELETE FROM claims WHERE kind = 2`, persistence.ClaimMissing},
		"and another of the user's, which is not needed": {`UPDATE claims SET at = now()`, persistence.Committed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, url := open(t)
			node := acquire(t, db)
			rows := register(t, db, node, 1, 2)
			beside := dial(t, url)
			exec(t, beside, insertClaim, 2, "a@b.c", 1)
			exec(t, beside, insertClaim, 1, "user1", 1)
			exec(t, beside, `BEGIN`)
			exec(t, beside, c.sql)
			type result struct {
				outcomes []persistence.Outcome
				err      error
			}
			done := make(chan result)
			go func() {
				o, err := commit(t, db, node, renames(&rows[0], "a@b.c"), next(&rows[1], persistence.KindFollowed))
				done <- result{o, err}
			}()
			waitForLock(t, url)
			exec(t, beside, `COMMIT`)
			r := <-done
			if r.err != nil || r.outcomes[0].Status != c.want || r.outcomes[1].Status != persistence.Committed {
				t.Fatalf("outcomes %+v, error %v, want %d", r.outcomes, r.err, c.want)
			}
			if loose := ask[int](t, beside, `SELECT count(*) FROM claims WHERE loose`); c.want == persistence.Committed && loose != 0 {
				t.Errorf("%d claims that the row bears are loose", loose)
			}
		})
	}
}

func TestClaimsAreLockedInOneOrder(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	node := acquire(t, db)
	a := register(t, db, node, 1)[0]
	c := dial(t, url)
	for _, value := range []string{"a@b.c", "b@b.c"} { // from one to the other
		exec(t, c, insertClaim, 2, value, 1)
	}
	mustCommit(t, db, node, renames(&a, "a@b.c"))
	exec(t, c, `BEGIN`)
	exec(t, c, `SELECT 1 FROM claims WHERE value = 'a@b.c' FOR UPDATE`)
	done := make(chan error)
	go func() {
		_, err := commit(t, db, node, renames(&a, "b@b.c"))
		done <- err
	}()
	waitForLock(t, url)
	exec(t, c, `SELECT 1 FROM claims WHERE value = 'b@b.c' FOR UPDATE`)
	exec(t, c, `COMMIT`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if tied := ask[string](t, c, `SELECT string_agg(value, ' ') FROM claims WHERE NOT loose`); tied != "b@b.c" {
		t.Errorf("tied are %s", tied)
	}
}

func TestClaimsAreTiedToTheRowThatBearsThem(t *testing.T) {
	t.Parallel()
	url := services.Database(t)
	db := openAt(t, postgres.Config{URL: url, Quarantine: time.Hour})
	node := acquire(t, db)
	c := dial(t, url)
	a := someone(1)
	a.Email = "Old@B.c"
	exec(t, c, insertClaim, 1, "user1", 1)
	exec(t, c, insertClaim, 2, "old@b.c", 1)
	exec(t, c, insertClaim, 3, "issuer subject", 1)
	tied := func(want string) {
		t.Helper()
		if got := ask[string](t, c, `SELECT coalesce(string_agg(value, ', ' ORDER BY kind, value), '') FROM claims WHERE NOT loose`); got != want {
			t.Errorf("tied are %q, want %q", got, want)
		}
	}
	tied("")
	turn := next(&a, persistence.KindRegistered)
	turn.Claims = []persistence.Claim{{Kind: persistence.ClaimUsername, Value: "user1"}, {Kind: persistence.ClaimEmail, Value: "old@b.c"}, {Kind: persistence.ClaimEmail, Value: "old@b.c"}}
	mustCommit(t, db, node, turn)
	tied("user1, old@b.c, issuer subject")
	exec(t, c, insertClaim, 2, "new@b.c", 1)
	mustCommit(t, db, node, renames(&a, "new@B.c"))
	tied("user1, new@b.c, issuer subject")
	mustCommit(t, db, node, next(&a, persistence.KindDeleted))
	tied("")
	if until := ask[time.Time](t, c, `SELECT at FROM claims WHERE kind = 1`); !until.Equal(time.UnixMicro(1).Add(time.Hour)) {
		t.Errorf("the name is kept until %v", until)
	}
	if n := ask[int](t, c, `SELECT count(*) FROM claims WHERE at < '2000-01-01'`); n != 1 {
		t.Errorf("%d claims are dated by the quarantine, want that of the name", n)
	}
}
