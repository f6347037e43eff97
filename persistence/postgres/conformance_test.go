package postgres_test

import (
	"testing"

	"kith/actors/user"
	"kith/persistence/persistencetest"
	"kith/persistence/postgres"
)

// store is a database that can lose a record, which the engine cannot.
type store struct {
	*postgres.DB
	url string
}

// Break implements persistencetest.Store.
func (s store) Break(t *testing.T, id user.ID, seq uint64) {
	t.Helper()
	exec(t, dial(t, s.url), `DELETE FROM journal WHERE user_id = $1 AND seq = $2`, int64(id), int64(seq))
}

// The engine keeps every contract of a database.
func TestContracts(t *testing.T) {
	t.Parallel()
	persistencetest.Run(t, func(t *testing.T) persistencetest.Store {
		t.Helper()
		db, url := open(t)
		return store{db, url}
	})
}
