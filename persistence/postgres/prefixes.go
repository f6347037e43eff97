package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

// versionedName is the name of a user as of a version.
type versionedName struct {
	version uint64
	name    string
}

// changesName reports whether the turn can change under what name a user is found
// who has a row.
func changesName(t *persistence.Turn) bool {
	return t.Version > 0 && (t.Deleted || updatesProfile(t))
}

// namesBefore returns the names of the users whose turns may change them. They are
// read before the batch; one belongs to the turn if its version does, and a turn
// whose version is another will not be taken.
func namesBefore(ctx context.Context, conn *pgx.Conn, turns []*persistence.Turn) (map[user.ID]versionedName, error) {
	var ids []int64
	for _, t := range turns {
		if changesName(t) {
			ids = append(ids, int64(t.User)) //nolint:gosec // ids fit
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := conn.Query(ctx, `SELECT id, version, name FROM users WHERE id = ANY ($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("read the names: %w", err)
	}
	names := make(map[user.ID]versionedName, len(ids))
	var (
		id uint64
		n  versionedName
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &n.version, &n.name}, func() error {
		names[user.ID(id)] = n
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the names: %w", err)
	}
	return names, nil
}

// nameRows encodes the search prefixes that come and go with a turn.
func (b *batch) nameRows(t *persistence.Turn, before versionedName) {
	old, now := "", ""
	if !t.Deleted {
		now = t.Account.Name
	}
	switch {
	case t.Version == 0:
	case !changesName(t) || before.version != t.Version:
		return
	default:
		old = before.name
	}
	if old == now {
		return
	}
	was, is := persistence.SearchPrefixes(old), persistence.SearchPrefixes(now)
	for _, change := range [...]struct {
		part              part
		user, prefix, of  column
		these, theseStays []string
	}{
		{partDropNames, colDropUser, colDropPrefix, colDropName, was, is},
		{partAddNames, colAddUser, colAddPrefix, colAddName, is, was},
	} {
		for _, prefix := range change.these {
			if _, stays := slices.BinarySearch(change.theseStays, prefix); stays {
				continue
			}
			b.parts |= change.part
			b.cols[change.user].uint8(uint64(t.User))
			b.cols[change.prefix].text(prefix)
			b.cols[change.of].text(t.Account.Username)
		}
	}
}
