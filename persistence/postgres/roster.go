package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

const selectIdentities = `SELECT u.id, u.uid, u.username, u.created_at, false FROM users u WHERE u.id = ANY ($1)
	UNION ALL
	SELECT d.id, d.uid, d.username, d.created_at, true FROM deleted_users d WHERE d.id = ANY ($1)`

// Identities implements persistence.Roster, by primary keys.
func (db *DB) Identities(ctx context.Context, ids []user.ID) ([]*persistence.Identity, error) {
	identities := make([]*persistence.Identity, len(ids))
	if len(ids) == 0 {
		return identities, nil
	}
	var (
		found = make(map[user.ID]*persistence.Identity, len(ids))
		id    uint64
		uid   [16]byte
		one   persistence.Identity
		at    time.Time
	)
	rows, err := db.reads.Query(ctx, selectIdentities, bigints(ids))
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&id, &uid, &one.Username, &at, &one.Gone}, func() error {
			found[user.ID(id)] = &persistence.Identity{UID: uid, Username: one.Username, CreatedAt: at.UTC(), Gone: one.Gone}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: read %d identities: %w", len(ids), fault(err))
	}
	for i, id := range ids {
		identities[i] = found[id]
	}
	return identities, nil
}

// selectAccountsAfter says of both tables where to begin: a merge of them does not
// conclude it of one from the other.
const selectAccountsAfter = `SELECT ` + accountColumns + ` FROM ` + accountTables + ` WHERE u.id > $1 AND p.user_id > $1 ORDER BY u.id LIMIT $2`

// AccountsAfter implements persistence.Roster, by primary key.
func (db *DB) AccountsAfter(ctx context.Context, after user.ID, limit int) ([]*user.Account, error) {
	accounts, err := pageOfAccounts(ctx, db.reads, clamp(uint64(after)), limit)
	if err != nil {
		return nil, fmt.Errorf("postgres: read accounts after %d: %w", after, fault(err))
	}
	return accounts, nil
}

func pageOfAccounts(ctx context.Context, q querier, after int64, limit int) ([]*user.Account, error) {
	rows, err := q.Query(ctx, selectAccountsAfter, after, limit)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the operation
	}
	defer rows.Close()
	var accounts []*user.Account
	for rows.Next() {
		a, err := scanAccount(rows)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, a)
	}
	return accounts, rows.Err() //nolint:wrapcheck // wrapped by the operation
}
