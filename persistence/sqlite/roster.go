package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

const selectIdentities = `SELECT id, uid, username, created_at, 0 FROM users WHERE id IN (SELECT value FROM json_each(?1))
	UNION ALL
	SELECT id, uid, username, created_at, 1 FROM deleted_users WHERE id IN (SELECT value FROM json_each(?1))`

// Identities implements persistence.Roster, by primary keys.
func (db *DB) Identities(ctx context.Context, ids []user.ID) ([]*persistence.Identity, error) {
	found := make(map[user.ID]*persistence.Identity, len(ids))
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.query(ctx, selectIdentities, func(row []driver.Value) error {
			found[user.ID(number(row[0]))] = &persistence.Identity{
				UID: user.UID(blob(row[1])), Username: text(row[2]), CreatedAt: moment(row[3]), Gone: integer(row[4]) != 0,
			}
			return nil
		}, ints(ids))
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: read %d identities: %w", len(ids), err)
	}
	identities := make([]*persistence.Identity, len(ids))
	for i, id := range ids {
		identities[i] = found[id]
	}
	return identities, nil
}

const selectAccountsAfter = `SELECT ` + accountColumns + ` FROM users WHERE id > ? ORDER BY id LIMIT +?`

// AccountsAfter implements persistence.Roster, by primary key.
func (db *DB) AccountsAfter(ctx context.Context, after user.ID, limit int) ([]*user.Account, error) {
	var accounts []*user.Account
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.query(ctx, selectAccountsAfter, func(row []driver.Value) error {
			a, err := scanAccount(row)
			accounts = append(accounts, a)
			return err
		}, clamp(uint64(after)), int64(limit))
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: read accounts after %d: %w", after, err)
	}
	return accounts, nil
}
