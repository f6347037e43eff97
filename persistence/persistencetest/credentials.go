//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"testing"

	"kith/persistence"
)

// Credentials checks password hashes.
func Credentials(t *testing.T, open func(*testing.T) Store) {
	rules(t, open, map[string]func(*testing.T, *world){
		"a user without a password has no hash": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			_, err := w.PasswordHash(t.Context(), g.id)
			wantError(t, err, persistence.ErrNotFound)
		},
	})
}
