//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"testing"

	"kith/persistence"
)

// Credentials checks password hashes and sessions.
func Credentials(t *testing.T, open func(*testing.T) Store) {
	rules(t, open, map[string]func(*testing.T, *world){
		"a user without a password has no hash": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			_, err := w.PasswordHash(t.Context(), g.id)
			wantError(t, err, persistence.ErrNotFound)
		},
		"a session needs a user": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			s := persistence.Session{ID: [16]byte{1, 2}, User: g.id, RefreshHash: [32]byte{3}, CreatedAt: at(0), ExpiresAt: at(1)}
			noError(t, w.CreateSession(t.Context(), s))
			if err := w.CreateSession(t.Context(), s); err == nil {
				t.Fatal("two sessions of one id")
			}
			s.ID[0], s.User = 9, g.id+1
			wantError(t, w.CreateSession(t.Context(), s), persistence.ErrNotFound)
		},
	})
}
