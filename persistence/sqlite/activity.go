package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"

	"kith/actors/user"
	"kith/persistence"
)

// Places of events come from journal_activity alone, newest first; only then are
// their payloads fetched, by place.
const (
	listActivities = `SELECT ` + recordColumns + ` FROM (
		SELECT a.place FROM journal a INDEXED BY journal_activity
		WHERE a.user_id = ? AND (a.at, a.seq) < (?, ?) AND a.kind IN (2, 11, 13) AND a.kind = 11 ORDER BY a.at DESC, a.seq DESC LIMIT +?
		) page CROSS JOIN journal j ON j.place = page.place`
	selectActivity = `SELECT ` + recordColumns + ` FROM journal j WHERE j.user_id = ? AND j.event_id = ?`
	// timeFrom returns a time that all records from a seq on have reached, and none
	// before it has passed. Index: journal_user.
	timeFrom = `SELECT j.at FROM journal j WHERE j.user_id = ? AND j.seq >= ? ORDER BY j.seq LIMIT 1`
)

// maxActivityChunk bounds the payloads that are fetched at once when most of
// them do not match.
const maxActivityChunk = 512

// Events implements persistence.Activities. The chunks grow while little matches.
func (db *DB) Events(ctx context.Context, id user.ID, before uint64, limit int, match func(*persistence.Record) bool) (persistence.ActivityPage, error) {
	at, below := int64(math.MaxInt64), int64(math.MaxInt64)
	if before > 0 {
		below = clamp(before)
	}
	var page persistence.ActivityPage
	err := db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.read(ctx, func() error {
			if before > 0 {
				err := c.query(ctx, timeFrom, func(row []driver.Value) error {
					at = integer(row[0])
					return nil
				}, int64(id), below) //nolint:gosec // ids fit
				if err != nil {
					return err
				}
			}
			chunk := limit
			for scanned := 0; scanned < persistence.MaxActivityScan && len(page.Records) < limit; {
				rows := 0
				err := c.query(ctx, listActivities, func(row []driver.Value) error {
					rows++
					if len(page.Records) == limit {
						return nil // the rest of the chunk is for the next page
					}
					r := scanRecord(row)
					at, below = r.At.UnixMicro(), int64(r.Seq) //nolint:gosec // stored as one
					if match == nil || match(&r) {
						page.Records = append(page.Records, r)
					}
					return nil
				}, int64(id), at, below, int64(chunk)) //nolint:gosec // ids fit
				if err != nil {
					return err //nolint:wrapcheck // wrapped below, with the key
				}
				if rows < chunk && len(page.Records) < limit {
					return nil
				}
				scanned += rows
				chunk = min(2*chunk, maxActivityChunk)
			}
			return goesOn(ctx, c, &page, id, at, below)
		})
	})
	if err != nil {
		return persistence.ActivityPage{}, fmt.Errorf("sqlite: list events of user %d before %d: %w", id, before, err)
	}
	return page, nil
}

const hasActivities = `SELECT 1 FROM journal a INDEXED BY journal_activity
	WHERE a.user_id = ? AND (a.at, a.seq) < (?, ?) AND a.kind IN (2, 11, 13) AND a.kind = 11 LIMIT 1`

// goesOn sets where to go on, if anything is left below.
func goesOn(ctx context.Context, c *conn, page *persistence.ActivityPage, id user.ID, at, below int64) error {
	return c.query(ctx, hasActivities, func([]driver.Value) error {
		page.Next = uint64(below) //nolint:gosec // a seq
		return nil
	}, int64(id), at, below) //nolint:gosec // ids fit
}

// Event implements persistence.Activities. Index: journal_event.
func (db *DB) Event(ctx context.Context, id user.ID, eventID string) (persistence.Record, error) {
	records, err := db.records(ctx, selectActivity, int64(id), eventID) //nolint:gosec // ids fit
	switch {
	case err != nil:
		return persistence.Record{}, fmt.Errorf("sqlite: read an event of user %d: %w", id, err)
	case len(records) == 0:
		return persistence.Record{}, fmt.Errorf("sqlite: read an event of user %d: %w", id, persistence.ErrNotFound)
	}
	return records[0], nil
}
