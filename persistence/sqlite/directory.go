package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// NextIDs implements persistence.Directory.
func (db *DB) NextIDs(ctx context.Context, n int) (user.ID, error) {
	if n < 1 {
		return 0, fmt.Errorf("sqlite: next ids: %d asked for", n)
	}
	var first user.ID
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		if _, err := t.exec(ctx, `UPDATE ids SET next = next + ?`, int64(n)); err != nil {
			return err
		}
		return t.query(ctx, `SELECT next - ? FROM ids`, func(row []driver.Value) error {
			first = user.ID(number(row[0]))
			return nil
		}, int64(n))
	})
	if err != nil {
		return 0, fmt.Errorf("sqlite: next ids: %w", err)
	}
	return first, nil
}

const selectAccounts = `SELECT ` + accountColumns + ` FROM users WHERE id IN (SELECT value FROM json_each(?))`

// Accounts implements persistence.Directory.
func (db *DB) Accounts(ctx context.Context, ids []user.ID) ([]*user.Account, error) {
	found := make(map[user.ID]*user.Account, len(ids))
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error { return readAccounts(ctx, c, ids, found) })
	if err != nil {
		return nil, fmt.Errorf("sqlite: read %d accounts: %w", len(ids), err)
	}
	accounts := make([]*user.Account, len(ids))
	for i, id := range ids {
		accounts[i] = found[id]
	}
	return accounts, nil
}

func readAccounts(ctx context.Context, c *conn, ids []user.ID, found map[user.ID]*user.Account) error {
	put := func(row []driver.Value) error {
		a, err := scanAccount(row)
		if err != nil {
			return err
		}
		found[a.ID] = a
		return nil
	}
	if len(ids) == 1 {
		return c.query(ctx, `SELECT `+accountColumns+` FROM users WHERE id = ?`, put, int64(ids[0])) //nolint:gosec // ids fit
	}
	return c.query(ctx, selectAccounts, put, ints(ids))
}

const (
	selectByUsername = `SELECT ` + accountColumns + ` FROM users WHERE username = ?`
	selectByUID      = `SELECT ` + accountColumns + ` FROM users WHERE uid = ?`
)

// ByUsername implements persistence.Directory. Index: users_username.
func (db *DB) ByUsername(ctx context.Context, username string) (*user.Account, error) {
	return db.account(ctx, "username", selectByUsername, username)
}

// ByUID implements persistence.Directory. Index: users_uid.
func (db *DB) ByUID(ctx context.Context, uid user.UID) (*user.Account, error) {
	return db.account(ctx, "uid", selectByUID, uid[:])
}

func (db *DB) account(ctx context.Context, by, sql string, key driver.Value) (*user.Account, error) {
	var a *user.Account
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.query(ctx, sql, func(row []driver.Value) (err error) {
			a, err = scanAccount(row)
			return err
		}, key)
	})
	if err == nil && a == nil {
		err = persistence.ErrNotFound
	}
	if err != nil { // without the key, which may be personal
		return nil, fmt.Errorf("sqlite: account by %s: %w", by, err)
	}
	return a, nil
}

// Claim implements persistence.Directory. It looks at all claims before it takes
// the first.
func (db *DB) Claim(ctx context.Context, id user.ID, claims []persistence.Claim) error {
	claims = slices.SortedFunc(slices.Values(claims), compareClaims)
	now := db.now()
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		for _, c := range claims {
			holder, found, err := holderOf(ctx, t.conn, c)
			if err != nil {
				return err
			}
			if found && holder != id {
				return &persistence.TakenError{Claim: c}
			}
		}
		for _, c := range claims {
			// A loose one that was held already is young again: its turn is coming.
			if _, err := t.exec(ctx, `INSERT INTO claims (kind, value, user_id, at, loose) VALUES (?, ?, ?, ?, 1)
				ON CONFLICT (kind, value) DO UPDATE SET at = excluded.at WHERE loose = 1`, int64(c.Kind), c.Value, int64(id), now); err != nil { //nolint:gosec // ids fit
				return fmt.Errorf("take a claim: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlite: claim for user %d: %w", id, err)
	}
	return nil
}

func compareClaims(a, b persistence.Claim) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
}

// Release implements persistence.Directory.
func (db *DB) Release(ctx context.Context, id user.ID, claims []persistence.Claim) error {
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		give := claims
		if len(give) == 0 {
			held, err := claimsOf(ctx, t.conn, id)
			if err != nil {
				return err
			}
			for _, c := range held {
				give = append(give, c.Claim)
			}
		}
		row := make(map[user.ID]*user.Account, 1)
		if err := readAccounts(ctx, t.conn, []user.ID{id}, row); err != nil {
			return fmt.Errorf("read the row: %w", err)
		}
		held, err := db.quarantined(ctx, t, id)
		if err != nil {
			return err
		}
		for _, c := range give {
			if bears(row[id], c) {
				continue
			}
			if held > 0 && c.Kind == persistence.ClaimUsername {
				// The sweep gives it up once it is as old as that.
				if _, err := t.exec(ctx, `UPDATE claims SET loose = 1, at = ? WHERE kind = ? AND value = ? AND user_id = ?`, held, int64(c.Kind), c.Value, int64(id)); err != nil { //nolint:gosec // ids fit
					return fmt.Errorf("keep a name: %w", err)
				}
				continue
			}
			if _, err := t.exec(ctx, `DELETE FROM claims WHERE kind = ? AND value = ? AND user_id = ?`, int64(c.Kind), c.Value, int64(id)); err != nil { //nolint:gosec // ids fit
				return fmt.Errorf("release a claim: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlite: release claims of user %d: %w", id, err)
	}
	return nil
}

// quarantined returns until when the name of a user stays taken who was deleted,
// 0 when it does not.
func (db *DB) quarantined(ctx context.Context, t *tx, id user.ID) (until int64, err error) {
	if db.cfg.Quarantine <= 0 {
		return 0, nil
	}
	err = t.query(ctx, `SELECT deleted_at FROM deleted_users WHERE id = ?`, func(row []driver.Value) error {
		until = int64(number(row[0])) + db.cfg.Quarantine.Microseconds() //nolint:gosec // a time
		return nil
	}, int64(id)) //nolint:gosec // ids fit
	if err != nil {
		return 0, fmt.Errorf("read when a user was deleted: %w", err)
	}
	if until <= db.cfg.Now().UnixMicro() {
		return 0, nil
	}
	return until, nil
}

const selectLoose = `SELECT kind, value, user_id FROM claims WHERE loose = 1 AND at < ? ORDER BY at LIMIT +?`

// SweepClaims implements persistence.Directory. Index: claims_loose.
func (db *DB) SweepClaims(ctx context.Context, before time.Time, limit int) (int, error) {
	swept := 0
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		swept = 0
		type loose struct {
			persistence.Claim
			id user.ID
		}
		var found []loose
		rows := make(map[user.ID]*user.Account)
		var ids []user.ID
		err := t.query(ctx, selectLoose, func(row []driver.Value) error {
			c := loose{persistence.Claim{Kind: persistence.ClaimKind(number(row[0])), Value: text(row[1])}, user.ID(number(row[2]))} //nolint:gosec // stored from a ClaimKind
			found, ids = append(found, c), append(ids, c.id)
			return nil
		}, before.UnixMicro(), int64(limit))
		if err != nil {
			return fmt.Errorf("read the loose claims: %w", err)
		}
		if err := readAccounts(ctx, t.conn, ids, rows); err != nil {
			return fmt.Errorf("read the rows: %w", err)
		}
		for _, c := range found {
			// One that its row bears after all is tied, so that it is not read again.
			if bears(rows[c.id], c.Claim) {
				if _, err := t.exec(ctx, `UPDATE claims SET loose = 0 WHERE kind = ? AND value = ?`, int64(c.Kind), c.Value); err != nil {
					return fmt.Errorf("tie a claim: %w", err)
				}
				continue
			}
			if _, err := t.exec(ctx, `DELETE FROM claims WHERE kind = ? AND value = ?`, int64(c.Kind), c.Value); err != nil {
				return fmt.Errorf("sweep a claim: %w", err)
			}
			swept++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("sqlite: sweep claims: %w", err)
	}
	return swept, nil
}

// ClaimHolder implements persistence.Directory.
func (db *DB) ClaimHolder(ctx context.Context, claim persistence.Claim) (user.ID, error) {
	var holder user.ID
	err := db.readers.get(ctx, func(_ context.Context, c *conn) error {
		id, found, err := holderOf(ctx, c, claim)
		if err == nil && !found {
			err = persistence.ErrNotFound
		}
		holder = id
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("sqlite: holder of a claim: %w", err)
	}
	return holder, nil
}
