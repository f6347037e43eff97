package postgres

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
)

func compareClaims(a, b persistence.Claim) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
}

// bears reports whether a row (nil: there is none) bears the value of a claim.
// An outside identity has no column: it holds as long as the user.
//
// Whoever gives claims up reads the row in a statement after the one that locked
// the claims (FOR UPDATE, by kind and value): a batch that requires them has
// locked them too, and is then committed or has yet to look.
func bears(a *user.Account, c persistence.Claim) bool {
	if a == nil {
		return false
	}
	switch c.Kind {
	case persistence.ClaimUsername:
		return a.Username == c.Value
	case persistence.ClaimEmail:
		return user.EmailKey(a.Email) == c.Value
	case persistence.ClaimIdentity:
		return true
	}
	return false
}

// contradicts reports whether a turn records or erases an event twice.
func contradicts(t *persistence.Turn) bool {
	events := len(t.Erase)
	for i := range t.Records {
		if t.Records[i].EventID != "" {
			events++
		}
	}
	return events > 1 && len(conflicts(t, func(string) user.EventStatus { return 0 })) > 0
}

// conflicts returns the event ids of a turn that stand in its way. What the turn
// did so far comes before what the journal says; a journal that says 0 does not
// care.
func conflicts(t *persistence.Turn, journal func(id string) user.EventStatus) []persistence.EventConflictDetail {
	var found []persistence.EventConflictDetail
	seen := make(map[string]user.EventStatus, len(t.Erase))
	check := func(id string, want, after user.EventStatus) {
		s, ok := seen[id]
		if !ok {
			s = journal(id)
		}
		if s != want && s != 0 {
			found = append(found, persistence.EventConflictDetail{EventID: id, Status: s})
			return
		}
		seen[id] = after
	}
	for i := range t.Records {
		r := &t.Records[i]
		switch {
		case r.EventID == "":
		case r.Kind == persistence.KindActivityErased:
			check(r.EventID, user.EventMissing, user.EventErased)
		default:
			check(r.EventID, user.EventMissing, user.EventRecorded)
		}
	}
	for _, id := range t.Erase {
		check(id, user.EventRecorded, user.EventErased)
	}
	return found
}

// outcomes says what became of the turns of a committed batch. What refused a turn
// is read afterwards; nobody but its user's grain, which waits for this, changes
// what it depends on.
func (db *DB) outcomes(ctx context.Context, turns []*persistence.Turn, taken []bool) []persistence.Outcome {
	outcomes := make([]persistence.Outcome, len(turns))
	var refused []*persistence.Turn
	for i, t := range turns {
		if taken[i] {
			outcomes[i].Status = persistence.Committed
		} else {
			outcomes[i].Status = persistence.Stale
			refused = append(refused, t)
		}
	}
	if len(refused) == 0 {
		return outcomes
	}
	why, err := explain(ctx, db.committer.conn, refused)
	if err != nil {
		// The batch is committed all the same. Whoever is told that its turn is stale
		// loads its history again, and finds out.
		db.cfg.Logger.Warn("why turns were refused could not be read; they are called stale", "turns", len(refused), "error", err)
		db.committer.doubt(ctx, err)
		return outcomes
	}
	for i, t := range turns {
		if !taken[i] {
			outcomes[i] = why.outcome(t)
		}
	}
	return outcomes
}

// The three queries that explain a refusal.
const (
	selectVersions = `SELECT id, version FROM users WHERE id = ANY ($1) UNION ALL SELECT id, -1 FROM deleted_users WHERE id = ANY ($1)`
	// selectHeld uses the primary key of claims.
	selectHeld = `SELECT c.user_id, c.kind, c.value FROM unnest($1::bigint[], $2::smallint[], $3::text[]) AS x (user_id, kind, value)
	JOIN claims c ON c.kind = x.kind AND c.value = x.value AND c.user_id = x.user_id`
	// selectKnown uses the index journal_event.
	selectKnown = `SELECT j.user_id, j.event_id, j.kind FROM unnest($1::bigint[], $2::text[]) AS x (user_id, id)
	JOIN journal j ON j.user_id = x.user_id AND j.event_id = x.id`
)

// reasons are what the database knows of turns that were refused.
type reasons struct {
	versions map[user.ID]int64
	held     map[userClaim]bool
	events   map[userEvent]user.EventStatus
}

type userClaim struct {
	id user.ID
	persistence.Claim
}

type userEvent struct {
	id    user.ID
	event string
}

func explain(ctx context.Context, conn *pgx.Conn, turns []*persistence.Turn) (*reasons, error) {
	why := &reasons{versions: make(map[user.ID]int64), held: make(map[userClaim]bool), events: make(map[userEvent]user.EventStatus)}
	var (
		ids, claimUsers, eventUsers []int64
		kinds                       []int16
		values, events              []string
	)
	for _, t := range turns {
		id := int64(t.User) //nolint:gosec // ids fit
		ids = append(ids, id)
		for _, c := range t.Claims {
			claimUsers, kinds, values = append(claimUsers, id), append(kinds, int16(c.Kind)), append(values, c.Value)
		}
		for i := range t.Records {
			if e := t.Records[i].EventID; e != "" {
				eventUsers, events = append(eventUsers, id), append(events, e)
			}
		}
		for _, e := range t.Erase {
			eventUsers, events = append(eventUsers, id), append(events, e)
		}
	}
	var (
		id      uint64
		version int64
		kind    int16
		value   string
		b       pgx.Batch
	)
	b.Queue(selectVersions, ids).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&id, &version}, func() error {
			why.versions[user.ID(id)] = version
			return nil
		})
		return err //nolint:wrapcheck // wrapped below
	})
	b.Queue(selectHeld, claimUsers, kinds, values).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&id, &kind, &value}, func() error {
			why.held[userClaim{user.ID(id), persistence.Claim{Kind: persistence.ClaimKind(kind), Value: value}}] = true //nolint:gosec // stored from a ClaimKind
			return nil
		})
		return err //nolint:wrapcheck // wrapped below
	})
	b.Queue(selectKnown, eventUsers, events).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&id, &value, &kind}, func() error {
			status := user.EventRecorded
			if persistence.Kind(kind) == persistence.KindActivityErased { //nolint:gosec // stored from a Kind
				status = user.EventErased
			}
			why.events[userEvent{user.ID(id), value}] = status
			return nil
		})
		return err //nolint:wrapcheck // wrapped below
	})
	if err := conn.SendBatch(ctx, &b).Close(); err != nil {
		return nil, fmt.Errorf("read why turns were refused: %w", err)
	}
	return why, nil
}

// outcome returns why a turn was refused. The version comes first: of a turn that
// was committed before, everything else fails as well.
func (w *reasons) outcome(t *persistence.Turn) persistence.Outcome {
	version, found := w.versions[t.User]
	if found != (t.Version > 0) || found && version != int64(t.Version) { //nolint:gosec // versions fit
		return persistence.Outcome{Status: persistence.Stale}
	}
	for _, c := range t.Claims {
		if !w.held[userClaim{t.User, c}] {
			return persistence.Outcome{Status: persistence.ClaimMissing}
		}
	}
	details := conflicts(t, func(id string) user.EventStatus {
		if s, ok := w.events[userEvent{t.User, id}]; ok {
			return s
		}
		return user.EventMissing
	})
	switch {
	case len(details) > 0:
		return persistence.Outcome{Status: persistence.EventConflict, Conflicts: details}
	case len(t.Claims) > 0: // taken since
		return persistence.Outcome{Status: persistence.ClaimMissing}
	}
	return persistence.Outcome{Status: persistence.Stale}
}
