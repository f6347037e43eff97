package postgres

import (
	"context"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

// countUnread goes along followers_newest from the mark.
const countUnread = `SELECT count(*) FROM (SELECT 1 FROM followers f
	WHERE f.user_id = $1 AND f.seq > coalesce((SELECT s.seq FROM notifications_seen s WHERE s.user_id = $1), 0)
	AND EXISTS (SELECT 1 FROM users u WHERE u.id = f.id) ORDER BY f.seq DESC LIMIT $2) page`

// Unread implements persistence.Notifications.
func (db *DB) Unread(ctx context.Context, id user.ID) (unread int, err error) {
	if err := db.reads.QueryRow(ctx, countUnread, int64(id), persistence.MaxUnread).Scan(&unread); err != nil { //nolint:gosec // ids fit
		return 0, fmt.Errorf("postgres: count the unread notifications of user %d: %w", id, fault(err))
	}
	return unread, nil
}

// markSeen finds the record by journal_user. It locks the row of the user, so that
// a deletion is before all of it or after.
const markSeen = `WITH there AS MATERIALIZED (SELECT u.id FROM users u WHERE u.id = $1 FOR KEY SHARE)
	INSERT INTO notifications_seen AS s (user_id, seq)
	SELECT j.user_id, j.seq FROM journal j WHERE j.user_id = $1 AND j.seq = $2 AND j.kind = 14 AND EXISTS (SELECT 1 FROM there)
	ON CONFLICT (user_id) DO UPDATE SET seq = greatest(s.seq, excluded.seq)`

// MarkSeen implements persistence.Notifications.
func (db *DB) MarkSeen(ctx context.Context, id user.ID, seq uint64) error {
	tag, err := db.writes.Exec(ctx, markSeen, int64(id), clamp(seq)) //nolint:gosec // ids fit
	if err == nil && tag.RowsAffected() == 0 {
		err = persistence.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("postgres: mark the notifications of user %d up to %d as seen: %w", id, seq, settled(fault(err)))
	}
	return nil
}
