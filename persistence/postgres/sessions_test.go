package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kith/persistence"
)

// Whoever has a cursor has seen everything before it: an end that is under way
// makes the next one wait, which has a higher number.
func TestAnEndedSessionIsNeverAddedBeforeACursor(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	other := dial(t, url)
	until := time.UnixMicro(5).UTC()
	exec(t, other, `BEGIN`)
	exec(t, other, `UPDATE counters SET next_ended = next_ended + 1`)
	exec(t, other, `INSERT INTO ended_sessions (seq, id, until) VALUES (1, $1, $2)`, [16]byte{1}, until)
	done := make(chan error, 1)
	go func() {
		_, err := db.EndSessions(context.WithoutCancel(t.Context()), persistence.SessionEnd{ID: [16]byte{2}, Until: until})
		done <- err
	}()
	waitForLock(t, url)
	if ended, next, err := db.EndedSessions(t.Context(), 0, 10); len(ended) > 0 || next != 0 || err != nil {
		t.Errorf("while one is under way: %v, up to %d (%v)", ended, next, err)
	}
	exec(t, other, `COMMIT`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ended, next, err := db.EndedSessions(t.Context(), 0, 10)
	if err != nil || next != 2 || len(ended) != 2 || ended[0].ID[0] != 1 || ended[1].ID[0] != 2 {
		t.Errorf("afterwards %v, up to %d (%v)", ended, next, err)
	}
}

// Sessions are ended in the order of their ids, and while their user is kept from
// being deleted: so nobody who ends the same ones, or deletes them, waits for
// somebody who waits.
func TestSessionsAreEndedInOneOrder(t *testing.T) {
	t.Parallel()
	db, url := open(t)
	register(t, db, acquire(t, db), 1)
	at := time.UnixMicro(1).UTC()
	lowest, highest := [16]byte{1}, [16]byte{9}
	for _, id := range [][16]byte{highest, {5}, lowest} {
		if err := db.CreateSession(t.Context(), persistence.Session{ID: id, User: 1, CreatedAt: at, ExpiresAt: at, AccessUntil: at}); err != nil {
			t.Fatal(err)
		}
	}
	other := dial(t, url)
	exec(t, other, `BEGIN`)
	exec(t, other, `SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE`, lowest)
	done := make(chan error, 1)
	go func() {
		ended, err := db.EndSessions(context.WithoutCancel(t.Context()), persistence.SessionEnd{ID: highest, AllOf: 1, Until: at})
		if err == nil && len(ended) != 3 {
			err = fmt.Errorf("%d sessions ended", len(ended))
		}
		done <- err
	}()
	waitForLock(t, url)
	exec(t, other, `SELECT 1 FROM sessions WHERE id <> $1 FOR UPDATE NOWAIT`, lowest) // none of them is held
	third := dial(t, url)
	if _, err := third.Exec(t.Context(), `SELECT 1 FROM users WHERE id = 1 FOR UPDATE NOWAIT`); err == nil {
		t.Error("the user can be deleted meanwhile")
	}
	// The sweep does not wait for what is held.
	if n, err := db.SweepSessions(t.Context(), at.Add(time.Hour), 10); n != 0 || err != nil {
		t.Errorf("%d swept (%v)", n, err)
	}
	exec(t, other, `COMMIT`)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
