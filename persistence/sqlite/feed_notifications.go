package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"kith/actors/user"
	"kith/persistence"
)

// countUnread goes along followers_newest from the mark.
const countUnread = `SELECT count(*) FROM (SELECT 1 FROM followers f
	WHERE f.user_id = ? AND f.seq > coalesce((SELECT s.seq FROM notifications_seen s WHERE s.user_id = ?), 0)
	AND EXISTS (SELECT 1 FROM users u WHERE u.id = f.id) LIMIT +?) page`

// Unread implements persistence.Notifications.
func (db *DB) Unread(ctx context.Context, id user.ID) (unread int, err error) {
	err = db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.query(ctx, countUnread, func(row []driver.Value) error {
			unread = int(integer(row[0]))
			return nil
		}, int64(id), int64(id), int64(persistence.MaxUnread)) //nolint:gosec // ids fit
	})
	if err != nil {
		return 0, fmt.Errorf("sqlite: count the unread notifications of user %d: %w", id, err)
	}
	return unread, nil
}

// markSeen finds the record by journal_user.
const markSeen = `INSERT INTO notifications_seen (user_id, seq)
	SELECT j.user_id, j.seq FROM journal j WHERE j.user_id = ? AND j.seq = ? AND j.kind = 14 AND EXISTS (SELECT 1 FROM users u WHERE u.id = j.user_id)
	ON CONFLICT (user_id) DO UPDATE SET seq = max(seq, excluded.seq)`

// MarkSeen implements persistence.Notifications.
func (db *DB) MarkSeen(ctx context.Context, id user.ID, seq uint64) error {
	err := db.writer.do(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.exec(ctx, markSeen, int64(id), clamp(seq)) //nolint:gosec // ids fit
		if err == nil && n == 0 {
			err = persistence.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlite: mark the notifications of user %d up to %d as seen: %w", id, seq, err)
	}
	return nil
}
