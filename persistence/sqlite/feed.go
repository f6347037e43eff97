package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/feeds"
)

// Feed implements persistence.Feeds.
func (db *DB) Feed(ctx context.Context, reader user.ID, before persistence.FeedPlace, limit int, match persistence.FeedMatch) (page persistence.FeedPage, err error) {
	err = db.moment(ctx, func(ctx context.Context, m moments) error {
		page, err = feeds.Feed(ctx, m, reader, before, limit, match)
		return err //nolint:wrapcheck // wrapped below, with the key
	})
	if err != nil {
		return persistence.FeedPage{}, fmt.Errorf("sqlite: read the feed of user %d: %w", reader, err)
	}
	return page, nil
}

// Missed implements persistence.Feeds.
func (db *DB) Missed(ctx context.Context, reader user.ID, cursor [persistence.LaneCount]uint64, limit int) (missed persistence.Missed, err error) {
	err = db.moment(ctx, func(ctx context.Context, m moments) error {
		missed, err = feeds.Missed(ctx, m, reader, cursor, limit)
		return err //nolint:wrapcheck // wrapped below, with the key
	})
	if err != nil {
		return persistence.Missed{}, fmt.Errorf("sqlite: read what user %d missed: %w", reader, err)
	}
	return missed, nil
}

// moment runs f in one read transaction.
func (db *DB) moment(ctx context.Context, f func(context.Context, moments) error) error {
	return db.readers.get(ctx, func(ctx context.Context, c *conn) error {
		return c.read(ctx, func() error { return f(ctx, moments{c}) })
	})
}

// moments implements feeds.Moment in a read transaction. Statements of one user
// are cheaper here, where nothing travels, than one statement of many.
type moments struct{ c *conn }

const (
	// The rows of users come in the order of their table.
	selectFollowed = `SELECT f.id, f.at, u.last_activity_at FROM following f CROSS JOIN users u ON u.id = f.id WHERE f.user_id = ? ORDER BY f.id`
	selectAuthors  = `SELECT ` + accountColumns + `,
		EXISTS (SELECT 1 FROM following b WHERE b.user_id = users.id AND b.id = ?),
		(SELECT f.at FROM following f WHERE f.user_id = ? AND f.id = users.id)
		FROM users WHERE id IN (SELECT value FROM json_each(?))
		AND EXISTS (SELECT 1 FROM following f WHERE f.user_id = ? AND f.id = users.id)`

	// The index covers both.
	selectEvents = `SELECT a.place, a.seq, a.kind, a.at FROM journal a INDEXED BY journal_activity
		WHERE a.user_id = ? AND (a.at, a.seq) < (?, ?) AND a.kind IN (2, 11, 13) AND a.kind = 11 ORDER BY a.at DESC, a.seq DESC LIMIT +?`
	selectDoings = `SELECT a.place, a.seq, a.kind, a.at FROM journal a INDEXED BY journal_activity
		WHERE a.user_id = ? AND (a.at, a.seq) < (?, ?) AND a.kind IN (2, 11, 13) ORDER BY a.at DESC, a.seq DESC LIMIT +?`
	// Index: journal_user.
	selectJournal = `SELECT j.place, j.seq, j.kind, j.at FROM journal j WHERE j.user_id = ? AND j.seq < ? ORDER BY j.seq DESC LIMIT +?`
	selectPlaces  = `SELECT ` + recordColumns + ` FROM json_each(?) e CROSS JOIN journal j ON j.place = e.value`
)

// Followed implements feeds.Moment.
func (m moments) Followed(ctx context.Context, reader user.ID) ([]feeds.Followed, error) {
	var followed []feeds.Followed
	err := m.c.query(ctx, selectFollowed, func(row []driver.Value) error {
		followed = append(followed, feeds.Followed{User: user.ID(number(row[0])), Since: integer(row[1]), Last: integer(row[2]), Quiet: row[2] == nil})
		return nil
	}, int64(reader)) //nolint:gosec // ids fit
	if err != nil {
		return nil, fmt.Errorf("read the followed: %w", err)
	}
	return followed, nil
}

// Authors implements feeds.Moment.
func (m moments) Authors(ctx context.Context, reader user.ID, ids []user.ID) ([]*persistence.Author, error) {
	authors := make([]*persistence.Author, 0, len(ids))
	err := m.c.query(ctx, selectAuthors, func(row []driver.Value) error {
		a, err := scanAccount(row)
		if err != nil {
			return err
		}
		authors = append(authors, &persistence.Author{Card: a.Card, FollowsReader: integer(row[len(row)-2]) != 0, FollowedAt: moment(row[len(row)-1])})
		return nil
	}, int64(reader), int64(reader), ints(ids), int64(reader)) //nolint:gosec // ids fit
	if err != nil {
		return nil, fmt.Errorf("read %d authors: %w", len(ids), err)
	}
	return authors, nil
}

// Events implements feeds.Moment.
func (m moments) Events(ctx context.Context, below []feeds.Place, n int) ([]feeds.Entry, error) {
	return m.histories(ctx, selectEvents, below, n)
}

// Doings implements feeds.Moment.
func (m moments) Doings(ctx context.Context, below []feeds.Place, n int) ([]feeds.Entry, error) {
	return m.histories(ctx, selectDoings, below, n)
}

func (m moments) histories(ctx context.Context, sql string, below []feeds.Place, n int) ([]feeds.Entry, error) {
	var entries []feeds.Entry
	for i := range below {
		p := &below[i]
		if err := m.entries(ctx, &entries, p.User, sql, int64(p.User), p.At, clamp(p.Seq), int64(n)); err != nil { //nolint:gosec // ids fit
			return nil, err
		}
	}
	return entries, nil
}

// Journal implements feeds.Moment.
func (m moments) Journal(ctx context.Context, id user.ID, seq uint64, n int) ([]feeds.Entry, error) {
	var entries []feeds.Entry
	return entries, m.entries(ctx, &entries, id, selectJournal, int64(id), clamp(seq), int64(n)) //nolint:gosec // ids fit
}

func (m moments) entries(ctx context.Context, into *[]feeds.Entry, id user.ID, sql string, args ...driver.Value) error {
	err := m.c.query(ctx, sql, func(row []driver.Value) error {
		*into = append(*into, feeds.Entry{
			Place: feeds.Place{User: id, At: integer(row[3]), Seq: number(row[1])},
			Kind:  persistence.Kind(number(row[2])), Pos: number(row[0]) & (1<<laneShift - 1), //nolint:gosec // stored from a Kind
		})
		return nil
	}, args...)
	if err != nil {
		return fmt.Errorf("read the index of user %d: %w", id, err)
	}
	return nil
}

// Records implements feeds.Moment, by primary key in the order asked.
func (m moments) Records(ctx context.Context, entries []feeds.Entry) ([]persistence.Record, error) {
	b := make([]byte, 0, 2+20*len(entries))
	b = append(b, '[')
	for i := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, place(persistence.LaneOf(entries[i].User), entries[i].Pos), 10)
	}
	records, err := readRecords(ctx, m.c, selectPlaces, string(append(b, ']')))
	if err != nil {
		return nil, fmt.Errorf("read %d records: %w", len(entries), err)
	}
	return records, nil
}
