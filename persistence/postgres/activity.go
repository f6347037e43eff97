package postgres

import (
	"context"
	"fmt"
	"math"

	"kith/actors/user"
	"kith/persistence"
)

// Places of events come from journal_activity alone, newest first; only then are
// their payloads fetched, by place.
const (
	listActivities = `SELECT ` + recordColumns + ` FROM (
		SELECT a.place, a.seq FROM journal a
		WHERE a.user_id = $1 AND a.seq < $2 AND a.kind IN (2, 11, 13) AND a.kind = 11 ORDER BY a.seq DESC LIMIT $3
		) page CROSS JOIN LATERAL (SELECT * FROM journal j WHERE j.place = page.place) j ORDER BY page.seq DESC`
	hasActivities = `SELECT EXISTS (SELECT 1 FROM journal a WHERE a.user_id = $1 AND a.seq < $2 AND a.kind IN (2, 11, 13) AND a.kind = 11)`
	selectEvent   = `SELECT ` + recordColumns + ` FROM journal j WHERE j.user_id = $1 AND j.event_id = $2`
)

// maxActivityChunk bounds the payloads that are fetched at once when most of
// them do not match.
const maxActivityChunk = 512

// Events implements persistence.Activities. The chunks grow while little matches.
// The first has one more than the page: mostly it is the only query.
func (db *DB) Events(ctx context.Context, id user.ID, before uint64, limit int, match func(*persistence.Record) bool) (persistence.ActivityPage, error) {
	below := int64(math.MaxInt64)
	if before > 0 {
		below = clamp(before)
	}
	page, err := db.events(ctx, int64(id), below, limit, match) //nolint:gosec // ids fit
	if err != nil {
		return persistence.ActivityPage{}, fmt.Errorf("postgres: list events of user %d before %d: %w", id, before, fault(err))
	}
	return page, nil
}

func (db *DB) events(ctx context.Context, id, below int64, limit int, match func(*persistence.Record) bool) (page persistence.ActivityPage, err error) {
	for chunk, scanned := limit+1, 0; scanned < persistence.MaxActivityScan; chunk = min(2*chunk, maxActivityChunk) {
		records, err := readRecords(ctx, db.reads, listActivities, id, below, chunk)
		if err != nil {
			return page, err
		}
		for i := range records {
			r := &records[i]
			if len(page.Records) == limit { // it is for the next page
				page.Next = uint64(below) //nolint:gosec // a seq
				return page, nil
			}
			below = int64(r.Seq) //nolint:gosec // stored as one
			if match == nil || match(r) {
				page.Records = append(page.Records, *r)
			}
		}
		if len(records) < chunk {
			return page, nil
		}
		scanned += len(records)
	}
	var more bool
	if err := db.reads.QueryRow(ctx, hasActivities, id, below).Scan(&more); err != nil {
		return page, err //nolint:wrapcheck // wrapped by Events
	}
	if more {
		page.Next = uint64(below) //nolint:gosec // a seq
	}
	return page, nil
}

// Event implements persistence.Activities. Index: journal_event.
func (db *DB) Event(ctx context.Context, id user.ID, eventID string) (persistence.Record, error) {
	if !storable(eventID) {
		return persistence.Record{}, fmt.Errorf("postgres: read an event of user %d: %w", id, persistence.ErrNotFound)
	}
	records, err := readRecords(ctx, db.reads, selectEvent, int64(id), eventID) //nolint:gosec // ids fit
	switch {
	case err != nil:
		return persistence.Record{}, fmt.Errorf("postgres: read an event of user %d: %w", id, fault(err))
	case len(records) == 0:
		return persistence.Record{}, fmt.Errorf("postgres: read an event of user %d: %w", id, persistence.ErrNotFound)
	}
	return records[0], nil
}
