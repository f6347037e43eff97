package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

const takeIDs = `UPDATE counters SET next_user = next_user + $1 RETURNING next_user - $1`

// NextIDs implements persistence.Directory. Ids of an answer that was lost are
// lost too.
func (db *DB) NextIDs(ctx context.Context, n int) (user.ID, error) {
	if n < 1 {
		return 0, fmt.Errorf("postgres: next ids: %d asked for", n)
	}
	var first uint64
	if err := db.writes.QueryRow(ctx, takeIDs, n).Scan(&first); err != nil {
		return 0, fmt.Errorf("postgres: next ids: %w", settled(db.wrote(err)))
	}
	return user.ID(first), nil
}

// The accounts, by the primary key and by the unique indexes of users.
const (
	selectAccounts   = `SELECT ` + accountColumns + ` FROM ` + accountTables + ` WHERE u.id = ANY ($1)`
	selectByUsername = `SELECT ` + accountColumns + ` FROM ` + accountTables + ` WHERE u.username = $1`
	selectByUID      = `SELECT ` + accountColumns + ` FROM ` + accountTables + ` WHERE u.uid = $1`
)

// Accounts implements persistence.Directory.
func (db *DB) Accounts(ctx context.Context, ids []user.ID) ([]*user.Account, error) {
	found, err := readAccounts(ctx, db.reads, ids)
	if err != nil {
		return nil, fmt.Errorf("postgres: read %d accounts: %w", len(ids), fault(err))
	}
	accounts := make([]*user.Account, len(ids))
	for i, id := range ids {
		accounts[i] = found[id]
	}
	return accounts, nil
}

func readAccounts(ctx context.Context, q querier, ids []user.ID) (map[user.ID]*user.Account, error) {
	found := make(map[user.ID]*user.Account, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	rows, err := q.Query(ctx, selectAccounts, bigints(ids))
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the operation, which knows its key
	}
	defer rows.Close()
	for rows.Next() {
		a, err := scanAccount(rows)
		if err != nil {
			return nil, err
		}
		found[a.ID] = a
	}
	return found, rows.Err() //nolint:wrapcheck // wrapped by the operation
}

// bigints returns ids as the server takes them.
func bigints(ids []user.ID) []int64 {
	ints := make([]int64, len(ids))
	for i, id := range ids {
		ints[i] = clamp(uint64(id))
	}
	return ints
}

// ByUsername implements persistence.Directory. Index: users_username.
func (db *DB) ByUsername(ctx context.Context, username string) (*user.Account, error) {
	if !storable(username) {
		return nil, fmt.Errorf("postgres: account by username: %w", persistence.ErrNotFound)
	}
	return db.account(ctx, "username", selectByUsername, username)
}

// ByUID implements persistence.Directory. Index: users_uid.
func (db *DB) ByUID(ctx context.Context, uid user.UID) (*user.Account, error) {
	return db.account(ctx, "uid", selectByUID, [16]byte(uid))
}

func (db *DB) account(ctx context.Context, by, sql string, key any) (*user.Account, error) {
	a, err := scanAccount(db.reads.QueryRow(ctx, sql, key))
	if err = missing(err); err != nil { // without the key, which may be personal
		return nil, fmt.Errorf("postgres: account by %s: %w", by, fault(err))
	}
	return a, nil
}

// storable reports whether a text may be stored at all; the server refuses to be
// asked for others.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// missing makes the error of a query without a row persistence.ErrNotFound.
func missing(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return persistence.ErrNotFound
	}
	return err
}

// takeClaims takes claims, in their order, and returns those that the user holds
// then. A loose one that was held already is young again: its turn is coming.
const takeClaims = `INSERT INTO claims AS c (kind, value, user_id, at, loose) SELECT x.kind, x.value, $1, $2, true
	FROM unnest($3::smallint[], $4::text[]) WITH ORDINALITY AS x (kind, value, n) ORDER BY x.n
	ON CONFLICT (kind, value) DO UPDATE SET at = CASE WHEN c.loose THEN excluded.at ELSE c.at END WHERE c.user_id = excluded.user_id
	RETURNING c.kind, c.value`

// Claim implements persistence.Directory. All who take several take them in one
// order, so that no two wait for each other.
func (db *DB) Claim(ctx context.Context, id user.ID, claims []persistence.Claim) error {
	if len(claims) == 0 {
		return nil
	}
	claims = slices.Compact(slices.SortedFunc(slices.Values(claims), compareClaims))
	kinds, values := make([]int16, len(claims)), make([]string, len(claims))
	for i, c := range claims {
		kinds[i], values[i] = int16(c.Kind), c.Value
	}
	now := db.cfg.Now()
	err := db.write(ctx, func(tx pgx.Tx) error {
		held, err := readClaims(ctx, tx, takeClaims, int64(id), now, kinds, values) //nolint:gosec // ids fit
		if err != nil {
			return fmt.Errorf("take the claims: %w", err)
		}
		for _, c := range claims {
			if !slices.Contains(held, c) {
				return &persistence.TakenError{Claim: c}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("postgres: claim for user %d: %w", id, err)
	}
	return nil
}

const (
	// lockClaims returns the claims of a user, locked: whoever requires them in a
	// turn has committed then, or has yet to look. Index: claims_user.
	lockClaims = `SELECT c.kind, c.value FROM claims c WHERE c.user_id = $1 ORDER BY c.kind, c.value FOR UPDATE`
	keepClaim  = `UPDATE claims SET loose = true, at = $3 WHERE kind = $1 AND value = $2`
	tieClaim   = `UPDATE claims SET loose = false WHERE kind = $1 AND value = $2`
	dropClaim  = `DELETE FROM claims WHERE kind = $1 AND value = $2`
)

// Release implements persistence.Directory.
func (db *DB) Release(ctx context.Context, id user.ID, claims []persistence.Claim) error {
	err := db.write(ctx, func(tx pgx.Tx) error {
		held, err := readClaims(ctx, tx, lockClaims, int64(id)) //nolint:gosec // ids fit
		if err != nil {
			return fmt.Errorf("lock the claims: %w", err)
		}
		rows, err := readAccounts(ctx, tx, []user.ID{id})
		if err != nil {
			return fmt.Errorf("read the row: %w", err)
		}
		until, err := db.quarantined(ctx, tx, id)
		if err != nil {
			return err
		}
		var b pgx.Batch
		for _, c := range held {
			switch {
			case len(claims) > 0 && !slices.Contains(claims, c) || bears(rows[id], c):
			case !until.IsZero() && c.Kind == persistence.ClaimUsername:
				// The sweep gives it up once it is as old as that.
				b.Queue(keepClaim, int16(c.Kind), c.Value, until)
			default:
				b.Queue(dropClaim, int16(c.Kind), c.Value)
			}
		}
		if err := tx.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("give the claims up: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("postgres: release claims of user %d: %w", id, err)
	}
	return nil
}

func readClaims(ctx context.Context, q querier, sql string, args ...any) ([]persistence.Claim, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the operation
	}
	var (
		claims []persistence.Claim
		kind   int16
		value  string
	)
	_, err = pgx.ForEachRow(rows, []any{&kind, &value}, func() error {
		claims = append(claims, persistence.Claim{Kind: persistence.ClaimKind(kind), Value: value}) //nolint:gosec // stored from a ClaimKind
		return nil
	})
	return claims, err //nolint:wrapcheck // wrapped by the operation
}

const selectDeletedAt = `SELECT d.deleted_at FROM deleted_users d WHERE d.id = $1`

// quarantined returns until when the name of a user stays taken who was deleted;
// the zero time when it does not.
func (db *DB) quarantined(ctx context.Context, tx pgx.Tx, id user.ID) (time.Time, error) {
	if db.cfg.Quarantine <= 0 {
		return time.Time{}, nil
	}
	var deleted time.Time
	err := tx.QueryRow(ctx, selectDeletedAt, int64(id)).Scan(&deleted) //nolint:gosec // ids fit
	switch until := deleted.Add(db.cfg.Quarantine); {
	case errors.Is(err, pgx.ErrNoRows):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("read when a user was deleted: %w", err)
	case !until.After(db.cfg.Now()):
		return time.Time{}, nil
	default:
		return until, nil
	}
}

// selectLoose finds those to sweep in claims_loose. One that is locked is wanted
// by somebody, and stays for the next sweep.
const selectLoose = `SELECT c.kind, c.value, c.user_id FROM claims c WHERE c.loose AND c.at < $1 ORDER BY c.at LIMIT $2 FOR UPDATE SKIP LOCKED`

// SweepClaims implements persistence.Directory.
func (db *DB) SweepClaims(ctx context.Context, before time.Time, limit int) (int, error) {
	swept := 0
	err := db.write(ctx, func(tx pgx.Tx) error {
		type loose struct {
			persistence.Claim
			id user.ID
		}
		var (
			found []loose
			ids   []user.ID
			kind  int16
			value string
			id    uint64
		)
		swept = 0
		rows, err := tx.Query(ctx, selectLoose, before, limit)
		if err == nil {
			_, err = pgx.ForEachRow(rows, []any{&kind, &value, &id}, func() error {
				found = append(found, loose{persistence.Claim{Kind: persistence.ClaimKind(kind), Value: value}, user.ID(id)}) //nolint:gosec // stored from a ClaimKind
				ids = append(ids, user.ID(id))
				return nil
			})
		}
		if err != nil {
			return fmt.Errorf("read the loose claims: %w", err)
		}
		accounts, err := readAccounts(ctx, tx, ids)
		if err != nil {
			return fmt.Errorf("read the rows: %w", err)
		}
		var b pgx.Batch
		for _, c := range found {
			if bears(accounts[c.id], c.Claim) {
				// So that it is not read again.
				b.Queue(tieClaim, int16(c.Kind), c.Value)
				continue
			}
			b.Queue(dropClaim, int16(c.Kind), c.Value)
			swept++
		}
		if err := tx.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("give the claims up: %w", err)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("postgres: sweep claims: %w", err)
	}
	return swept, nil
}

const selectHolder = `SELECT c.user_id FROM claims c WHERE c.kind = $1 AND c.value = $2`

// ClaimHolder implements persistence.Directory.
func (db *DB) ClaimHolder(ctx context.Context, claim persistence.Claim) (user.ID, error) {
	if !storable(claim.Value) {
		return 0, fmt.Errorf("postgres: holder of a claim: %w", persistence.ErrNotFound)
	}
	var holder uint64
	if err := db.reads.QueryRow(ctx, selectHolder, int16(claim.Kind), claim.Value).Scan(&holder); err != nil {
		return 0, fmt.Errorf("postgres: holder of a claim: %w", fault(missing(err)))
	}
	return user.ID(holder), nil
}
