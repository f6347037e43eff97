package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"
	"google.golang.org/protobuf/encoding/protowire"

	"kith/persistence"
)

// edgeLists are the follow lists, each with the kind of record that begins its
// edges.
func edgeLists() map[persistence.Kind]string {
	return map[persistence.Kind]string{
		persistence.KindFollowed:       "following",
		persistence.KindFollowerAdded:  "followers",
		persistence.KindCrewFollowed:   "followed_crew",
		persistence.KindStudioFollowed: "followed_studios",
	}
}

// selectBeginnings reads the records that begin edges, in the order of the lanes.
const selectBeginnings = `SELECT place, user_id, seq, kind, payload FROM journal WHERE place > ? AND kind IN (5, 7, 9, 14) ORDER BY place LIMIT +?`

const createSeen = `CREATE TABLE notifications_seen (
	user_id INTEGER PRIMARY KEY,
	seq     INTEGER NOT NULL
) STRICT`

// edgeMigration is the migration to version 5: each edge keeps the seq of the
// record with which it began, and lists are in that order. It is in Go since SQL
// cannot read the records that have it.
func edgeMigration() *goose.Migration {
	return goose.NewGoMigration(5, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		// How far a user has seen the notifications: a seq of the journal.
		if _, err := tx.ExecContext(ctx, createSeen); err != nil {
			return fmt.Errorf("create notifications_seen: %w", err)
		}
		for _, list := range edgeLists() {
			// No record has the seq 0.
			if _, err := tx.ExecContext(ctx, `ALTER TABLE `+list+` ADD COLUMN seq INTEGER NOT NULL DEFAULT 0`); err != nil {
				return fmt.Errorf("add seq to %s: %w", list, err)
			}
		}
		if err := fillEdges(ctx, tx); err != nil {
			return err
		}
		for _, list := range edgeLists() {
			var without int64
			if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM `+list+` WHERE seq = 0`).Scan(&without); err != nil {
				return fmt.Errorf("check %s: %w", list, err)
			}
			if without > 0 {
				return fmt.Errorf("%d rows of %s have no record in the journal: the data is damaged, restore it from a backup", without, list)
			}
			if _, err := tx.ExecContext(ctx, `DROP INDEX `+list+`_newest`); err != nil {
				return fmt.Errorf("drop the index of %s: %w", list, err)
			}
			if _, err := tx.ExecContext(ctx, `CREATE INDEX `+list+`_newest ON `+list+` (user_id, seq, at)`); err != nil {
				return fmt.Errorf("index %s: %w", list, err)
			}
		}
		return nil
	}}, nil)
}

// fillEdges sets the seq of every edge. Of several records of one pair the last
// began the edge that is there: a journal follows nobody twice without an end in
// between.
func fillEdges(ctx context.Context, tx *sql.Tx) error {
	set := make(map[persistence.Kind]*sql.Stmt)
	for kind, list := range edgeLists() {
		st, err := tx.PrepareContext(ctx, `UPDATE `+list+` SET seq = ? WHERE user_id = ? AND id = ?`) //nolint:gosec // a table of ours
		if err != nil {
			return fmt.Errorf("set the seqs of %s: %w", list, err)
		}
		set[kind] = st // closed with the transaction
	}
	type beginning struct {
		place, user, seq int64
		kind             persistence.Kind
		payload          []byte
	}
	page := make([]beginning, 0, fillPage)
	for after := int64(-1); ; after = page[len(page)-1].place {
		page = page[:0]
		rows, err := tx.QueryContext(ctx, selectBeginnings, after, fillPage)
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		for rows.Next() {
			var b beginning
			if err := rows.Scan(&b.place, &b.user, &b.seq, &b.kind, &b.payload); err != nil {
				return errors.Join(fmt.Errorf("read the journal: %w", err), rows.Close())
			}
			page = append(page, b)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		for _, b := range page {
			other, err := firstNumber(b.payload)
			if err != nil {
				return fmt.Errorf("record %d of user %d: %w", b.seq, b.user, err)
			}
			if _, err := set[b.kind].ExecContext(ctx, b.seq, b.user, int64(other)); err != nil { //nolint:gosec // stored as one
				return fmt.Errorf("set the seq of an edge of user %d: %w", b.user, err)
			}
		}
		if len(page) < fillPage {
			return nil
		}
	}
}

// firstNumber returns field 1 of a message, a varint: in each record that begins
// an edge, what is followed.
func firstNumber(message []byte) (n uint64, err error) {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return 0, fmt.Errorf("decode: %w", protowire.ParseError(size))
		}
		message = message[size:]
		if number == 1 && kind == protowire.VarintType {
			if n, size = protowire.ConsumeVarint(message); size < 0 {
				return 0, fmt.Errorf("decode: %w", protowire.ParseError(size))
			}
		} else if size = protowire.ConsumeFieldValue(number, kind, message); size < 0 {
			return 0, fmt.Errorf("decode: %w", protowire.ParseError(size))
		}
		message = message[size:]
	}
	return n, nil
}
