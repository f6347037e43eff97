package postgres_test

import (
	"context"
	"errors"
	"testing"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
)

// Claims are taken in one order, whatever the caller's: so nobody who wants the
// same ones waits for somebody who waits. All are taken or none.
func TestClaimsAreTakenInOneOrder(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	claims := []persistence.Claim{
		{Kind: persistence.ClaimIdentity, Value: "issuer\nsubject"}, {Kind: persistence.ClaimUsername, Value: "b"}, {Kind: persistence.ClaimUsername, Value: "a"},
	}
	other := dial(t, url)
	exec(t, other, `BEGIN`)
	exec(t, other, insertClaim, 1, "a", 5)
	done := make(chan error, 1)
	go func() { done <- db.Claim(context.WithoutCancel(t.Context()), 6, claims) }()
	waitForLock(t, url)
	exec(t, other, `SET LOCAL lock_timeout = '100ms'`)
	exec(t, other, insertClaim, 1, "b", 5) // nobody holds it
	exec(t, other, insertClaim, 3, "issuer\nsubject", 5)
	exec(t, other, `DELETE FROM claims WHERE kind = 3`)
	exec(t, other, `COMMIT`)
	wantError(t, <-done, persistence.ErrTaken)
	if _, err := db.ClaimHolder(t.Context(), claims[0]); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("the claim that was free: %v", err)
	}
}

// What no text of the server can be is nobody's.
func TestWhatCannotBeStoredIsNotFound(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	for _, text := range []string{"\x00", "a\x00b", "\xff"} {
		_, err := db.ByUsername(t.Context(), text)
		wantError(t, err, persistence.ErrNotFound)
		_, err = db.ClaimHolder(t.Context(), persistence.Claim{Kind: persistence.ClaimIdentity, Value: text})
		wantError(t, err, persistence.ErrNotFound)
		_, err = db.Event(t.Context(), 1, text)
		wantError(t, err, persistence.ErrNotFound)
	}
}

// The ids are read page by page, whether or not the last page is full.
func TestLiveIDsReadsEveryPage(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	c := dial(t, url)
	exec(t, c, `CREATE FUNCTION add(first bigint, last bigint) RETURNS void LANGUAGE sql AS $$
		INSERT INTO users SELECT i, ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid, 'u' || i, '', '', '', 0, 0, 0, 0, 0, now(), now(), 1, 0, 0 FROM generate_series(first, last) AS i $$`)
	have := 0
	for _, users := range []int{0, 1, postgres.LiveChunk, postgres.LiveChunk + 1, 2 * postgres.LiveChunk} {
		exec(t, c, `SELECT add($1, $2)`, have+1, users)
		have = users
		next := user.ID(1)
		_, err := db.LiveIDs(t.Context(), func(ids []user.ID) error {
			for _, id := range ids {
				if id != next {
					t.Fatalf("of %d users: id %d, want %d", users, id, next)
				}
				next++
			}
			return nil
		})
		if err != nil || next != user.ID(users)+1 {
			t.Errorf("of %d users: up to %d (%v)", users, next-1, err)
		}
	}
	stop := errors.New("stop")
	_, err := db.LiveIDs(t.Context(), func([]user.ID) error { return stop })
	wantError(t, err, stop)
}
