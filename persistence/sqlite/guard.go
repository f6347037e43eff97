package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

// guard reads whatever may refuse a turn, so that a refused one has changed
// nothing. A turn that only needs its version is guarded by the statement that
// writes the row.
func guard(ctx context.Context, t *tx, turn *persistence.Turn) (persistence.TurnStatus, []persistence.EventConflictDetail, error) {
	events := len(turn.Erase) > 0
	for i := range turn.Records {
		events = events || turn.Records[i].EventID != ""
	}
	if turn.Version > 0 && len(turn.Claims) == 0 && !events {
		return persistence.Committed, nil, nil
	}
	// The version comes first: of a turn that was committed before, everything
	// else fails as well.
	version, found, err := versionOf(ctx, t, turn.User)
	if err != nil {
		return 0, nil, err
	}
	if version != turn.Version || found != (turn.Version > 0) {
		return persistence.Stale, nil, nil
	}
	for _, c := range turn.Claims {
		holder, ok, err := holderOf(ctx, t.conn, c)
		if err != nil {
			return 0, nil, err
		}
		if !ok || holder != turn.User {
			return persistence.ClaimMissing, nil, nil
		}
	}
	if !events {
		return persistence.Committed, nil, nil
	}
	conflicts, err := eventConflicts(ctx, t, turn)
	if err != nil {
		return 0, nil, err
	}
	if len(conflicts) > 0 {
		return persistence.EventConflict, conflicts, nil
	}
	return persistence.Committed, nil, nil
}

const selectVersion = `SELECT version FROM users WHERE id = ? UNION ALL SELECT -1 FROM deleted_users WHERE id = ?`

// versionOf returns the version of the row; found is also true for a deleted
// user, at a version that no turn has.
func versionOf(ctx context.Context, t *tx, id user.ID) (version uint64, found bool, err error) {
	err = t.query(ctx, selectVersion, func(row []driver.Value) error {
		version, found = number(row[0]), true
		return nil
	}, int64(id), int64(id)) //nolint:gosec // ids fit
	if err != nil {
		return 0, false, fmt.Errorf("read the version: %w", err)
	}
	return version, found, nil
}

func holderOf(ctx context.Context, c *conn, claim persistence.Claim) (holder user.ID, found bool, err error) {
	err = c.query(ctx, `SELECT user_id FROM claims WHERE kind = ? AND value = ?`, func(row []driver.Value) error {
		holder, found = user.ID(number(row[0])), true
		return nil
	}, int64(claim.Kind), claim.Value)
	if err != nil {
		return 0, false, fmt.Errorf("read the holder of a claim: %w", err)
	}
	return holder, found, nil
}

// eventConflicts returns what the journal knows of each event id of the turn
// that stands in its way.
func eventConflicts(ctx context.Context, t *tx, turn *persistence.Turn) ([]persistence.EventConflictDetail, error) {
	var conflicts []persistence.EventConflictDetail
	// What this turn did so far comes before what the journal says.
	seen := make(map[string]user.EventStatus)
	status := func(id string) (user.EventStatus, error) {
		if s, ok := seen[id]; ok {
			return s, nil
		}
		return eventStatus(ctx, t.conn, turn.User, id)
	}
	for i := range turn.Records {
		r := &turn.Records[i]
		if r.EventID == "" {
			continue
		}
		s, err := status(r.EventID)
		if err != nil {
			return nil, err
		}
		if s != user.EventMissing {
			conflicts = append(conflicts, persistence.EventConflictDetail{EventID: r.EventID, Status: s})
			continue
		}
		seen[r.EventID] = user.EventRecorded
		if r.Kind == persistence.KindActivityErased {
			seen[r.EventID] = user.EventErased
		}
	}
	for _, id := range turn.Erase {
		s, err := status(id)
		if err != nil {
			return nil, err
		}
		if s != user.EventRecorded {
			conflicts = append(conflicts, persistence.EventConflictDetail{EventID: id, Status: s})
			continue
		}
		seen[id] = user.EventErased
	}
	return conflicts, nil
}

const selectEvent = `SELECT kind FROM journal WHERE user_id = ? AND event_id = ?`

// eventStatus uses the index journal_event.
func eventStatus(ctx context.Context, c *conn, id user.ID, event string) (user.EventStatus, error) {
	status := user.EventMissing
	err := c.query(ctx, selectEvent, func(row []driver.Value) error {
		status = user.EventRecorded
		if persistence.Kind(number(row[0])) == persistence.KindActivityErased { //nolint:gosec // stored from a Kind
			status = user.EventErased
		}
		return nil
	}, int64(id), event) //nolint:gosec // ids fit
	if err != nil {
		return 0, fmt.Errorf("read an event id: %w", err)
	}
	return status, nil
}

// tieClaims notes which of the user's claims the row bears after the turn. The
// name of a user who is deleted is dated with the end of its quarantine here, in
// the same transaction, or the sweep could come first. Index: claims_user.
func (db *DB) tieClaims(ctx context.Context, t *tx, turn *persistence.Turn) error {
	row := &turn.Account
	if turn.Deleted {
		row = nil
	}
	claims, err := claimsOf(ctx, t.conn, turn.User)
	if err != nil {
		return err
	}
	for _, c := range claims {
		loose := int64(1)
		if bears(row, c.Claim) {
			loose = 0
		}
		if loose == c.loose {
			continue
		}
		if turn.Deleted && c.Kind == persistence.ClaimUsername && db.cfg.Quarantine > 0 {
			until := turn.Records[len(turn.Records)-1].At.Add(db.cfg.Quarantine)
			if _, err := t.exec(ctx, `UPDATE claims SET at = ? WHERE kind = ? AND value = ?`, until.UnixMicro(), int64(c.Kind), c.Value); err != nil {
				return fmt.Errorf("begin the quarantine of a name: %w", err)
			}
		}
		if _, err := t.exec(ctx, `UPDATE claims SET loose = ? WHERE kind = ? AND value = ?`, loose, int64(c.Kind), c.Value); err != nil {
			return fmt.Errorf("tie a claim: %w", err)
		}
	}
	return nil
}

type storedClaim struct {
	persistence.Claim
	loose int64
}

const selectClaims = `SELECT kind, value, loose FROM claims WHERE user_id = ? ORDER BY kind, value`

func claimsOf(ctx context.Context, c *conn, id user.ID) ([]storedClaim, error) {
	var claims []storedClaim
	err := c.query(ctx, selectClaims, func(row []driver.Value) error {
		claims = append(claims, storedClaim{
			Claim: persistence.Claim{Kind: persistence.ClaimKind(number(row[0])), Value: text(row[1])}, //nolint:gosec // stored from a ClaimKind
			loose: integer(row[2]),
		})
		return nil
	}, int64(id)) //nolint:gosec // ids fit
	if err != nil {
		return nil, fmt.Errorf("read the claims of user %d: %w", id, err)
	}
	return claims, nil
}
