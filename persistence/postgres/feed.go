package postgres

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/feeds"
)

// Feed implements persistence.Feeds.
func (db *DB) Feed(ctx context.Context, reader user.ID, before persistence.FeedPlace, limit int, match persistence.FeedMatch) (page persistence.FeedPage, err error) {
	err = db.snapshot(ctx, func(tx pgx.Tx) error {
		page, err = feeds.Feed(ctx, moment{tx}, reader, before, limit, match)
		return err //nolint:wrapcheck // wrapped below, with the key
	})
	if err != nil {
		return persistence.FeedPage{}, fmt.Errorf("postgres: read the feed of user %d: %w", reader, err)
	}
	return page, nil
}

// Missed implements persistence.Feeds.
func (db *DB) Missed(ctx context.Context, reader user.ID, cursor [persistence.LaneCount]uint64, limit int) (missed persistence.Missed, err error) {
	err = db.snapshot(ctx, func(tx pgx.Tx) error {
		missed, err = feeds.Missed(ctx, moment{tx}, reader, cursor, limit)
		return err //nolint:wrapcheck // wrapped below, with the key
	})
	if err != nil {
		return persistence.Missed{}, fmt.Errorf("postgres: read what user %d missed: %w", reader, err)
	}
	return missed, nil
}

// moment implements feeds.Moment in a transaction that sees one state.
type moment struct{ tx pgx.Tx }

const (
	selectFollowed = `SELECT f.id, f.at, u.last_activity_at FROM following f JOIN users u ON u.id = f.id WHERE f.user_id = $1`
	// Each is looked up in the list, however long that is: LIMIT keeps it from being
	// joined as a whole, and ctid, which no index has, keeps to the primary key.
	selectAuthors = `SELECT ` + accountColumns + `, f.at, EXISTS (SELECT 1 FROM following b WHERE b.user_id = u.id AND b.id = $1)
		FROM ` + accountTables + ` CROSS JOIN LATERAL (SELECT f.at FROM following f WHERE f.user_id = $1 AND f.id = u.id AND f.ctid IS NOT NULL LIMIT 1) f WHERE u.id = ANY ($2)`

	// The places are the outer side, journal_feed is inside, and covers both.
	selectEvents = `SELECT x.id, a.place, a.seq, a.kind, a.at FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) WITH ORDINALITY AS x (id, at, seq, n)
		CROSS JOIN LATERAL (SELECT a.place, a.seq, a.kind, a.at FROM journal a
			WHERE a.user_id = x.id AND (a.at, a.seq) < (x.at, x.seq) AND a.kind IN (2, 11, 13) AND a.kind = 11
			ORDER BY a.at DESC, a.seq DESC LIMIT $4) a
		ORDER BY x.n, a.at DESC, a.seq DESC`
	selectDoings = `SELECT x.id, a.place, a.seq, a.kind, a.at FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) WITH ORDINALITY AS x (id, at, seq, n)
		CROSS JOIN LATERAL (SELECT a.place, a.seq, a.kind, a.at FROM journal a
			WHERE a.user_id = x.id AND (a.at, a.seq) < (x.at, x.seq) AND a.kind IN (2, 11, 13)
			ORDER BY a.at DESC, a.seq DESC LIMIT $4) a
		ORDER BY x.n, a.at DESC, a.seq DESC`
	// Index: journal_user.
	selectJournal = `SELECT j.user_id, j.place, j.seq, j.kind, j.at FROM journal j WHERE j.user_id = $1 AND j.seq < $2 ORDER BY j.seq DESC LIMIT $3`
	selectPlaces  = `SELECT ` + recordColumns + ` FROM unnest($1::bigint[]) WITH ORDINALITY AS x (place, n) JOIN journal j ON j.place = x.place ORDER BY x.n`
)

// Followed implements feeds.Moment.
func (m moment) Followed(ctx context.Context, reader user.ID) ([]feeds.Followed, error) {
	rows, err := m.tx.Query(ctx, selectFollowed, int64(reader)) //nolint:gosec // ids fit
	if err != nil {
		return nil, fmt.Errorf("read the followed: %w", err)
	}
	defer rows.Close()
	var followed []feeds.Followed
	for rows.Next() {
		row := rows.RawValues()
		f := feeds.Followed{User: user.ID(rawInt(row[0])), Since: rawTime(row[1]).UnixMicro(), Quiet: row[2] == nil} //nolint:gosec // an id
		if !f.Quiet {
			f.Last = rawTime(row[2]).UnixMicro()
		}
		followed = append(followed, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the followed: %w", err)
	}
	return followed, nil
}

// Authors implements feeds.Moment.
func (m moment) Authors(ctx context.Context, reader user.ID, ids []user.ID) ([]*persistence.Author, error) {
	rows, err := m.tx.Query(ctx, selectAuthors, int64(reader), bigints(ids)) //nolint:gosec // ids fit
	if err != nil {
		return nil, fmt.Errorf("read %d authors: %w", len(ids), err)
	}
	defer rows.Close()
	authors := make([]*persistence.Author, 0, len(ids))
	for rows.Next() {
		author := new(persistence.Author)
		a, err := scanAccount(rows, &author.FollowedAt, &author.FollowsReader)
		if err != nil {
			return nil, fmt.Errorf("read %d authors: %w", len(ids), err)
		}
		author.Card, author.FollowedAt = a.Card, author.FollowedAt.UTC()
		authors = append(authors, author)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %d authors: %w", len(ids), err)
	}
	return authors, nil
}

// Events implements feeds.Moment.
func (m moment) Events(ctx context.Context, below []feeds.Place, n int) ([]feeds.Entry, error) {
	return m.histories(ctx, selectEvents, below, n)
}

// Doings implements feeds.Moment.
func (m moment) Doings(ctx context.Context, below []feeds.Place, n int) ([]feeds.Entry, error) {
	return m.histories(ctx, selectDoings, below, n)
}

func (m moment) histories(ctx context.Context, sql string, below []feeds.Place, n int) ([]feeds.Entry, error) {
	ids, ats, seqs := make([]int64, len(below)), make([]pgtype.Timestamptz, len(below)), make([]int64, len(below))
	for i, p := range below {
		ids[i], seqs[i], ats[i] = int64(p.User), clamp(p.Seq), pgtype.Timestamptz{Time: time.UnixMicro(p.At), Valid: true} //nolint:gosec // ids fit
		if p.At == math.MaxInt64 {
			ats[i] = pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
		}
	}
	return m.entries(ctx, sql, ids, ats, seqs, n)
}

// Journal implements feeds.Moment.
func (m moment) Journal(ctx context.Context, id user.ID, seq uint64, n int) ([]feeds.Entry, error) {
	return m.entries(ctx, selectJournal, int64(id), clamp(seq), n) //nolint:gosec // ids fit
}

func (m moment) entries(ctx context.Context, sql string, args ...any) ([]feeds.Entry, error) {
	rows, err := m.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read the index of records: %w", err)
	}
	defer rows.Close()
	var entries []feeds.Entry
	for rows.Next() {
		row := rows.RawValues()
		entries = append(entries, feeds.Entry{
			Place: feeds.Place{User: user.ID(rawInt(row[0])), At: rawTime(row[4]).UnixMicro(), Seq: uint64(rawInt(row[2]))}, //nolint:gosec // never negative
			Kind:  persistence.Kind(rawInt(row[3])), Pos: uint64(rawInt(row[1])) & (1<<laneShift - 1),                       //nolint:gosec // never negative
		})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the index of records: %w", err)
	}
	return entries, nil
}

// Records implements feeds.Moment, by primary key.
func (m moment) Records(ctx context.Context, entries []feeds.Entry) ([]persistence.Record, error) {
	places := make([]int64, len(entries))
	for i := range entries {
		places[i] = place(persistence.LaneOf(entries[i].User), entries[i].Pos)
	}
	records, err := readRecords(ctx, m.tx, selectPlaces, places)
	if err != nil {
		return nil, fmt.Errorf("read %d records: %w", len(entries), err)
	}
	return records, nil
}
