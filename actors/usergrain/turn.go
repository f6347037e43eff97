package usergrain

import (
	"fmt"

	"kith/actors/user"
	"kith/persistence"
	kithv1 "kith/proto/kith/v1"
)

// turn gathers what the commands of one turn change, as rows. The grain decides
// and applies one event after another; what a turn does and undoes to one pair
// is netted out, since the parts of one statement share a snapshot.
type turn struct {
	row     *persistence.Turn
	changes []change
	index   map[edgeKey]int // into changes, once there are many
	views   bool            // the turn changed what the published view shows
	bytes   int             // of payloads

	requests []request // decided in this turn
	replies  []reply   // to each of them
}

// change is the last change of the turn to one pair.
type change struct {
	kind    persistence.EdgeKind
	edge    persistence.Edge
	existed bool // the pair was there before the turn
}

type edgeKey struct {
	kind persistence.EdgeKind
	id   uint64
}

// reply is what a request is answered once the turn has committed.
type reply struct {
	changed    bool
	err        error // why the request was refused
	activities []*kithv1.ActivityResult
}

func newTurn(s *user.State) *turn {
	return &turn{row: &persistence.Turn{User: s.ID, Version: s.Version}}
}

// full reports whether further requests go into the next turn.
func (t *turn) full() bool {
	return len(t.row.Records) >= maxTurnRecords || t.bytes >= maxTurnBytes
}

// record applies e to s and adds it to the turn. What cannot be encoded changes
// nothing.
func (t *turn) record(s *user.State, e user.Event) error {
	rec := persistence.Record{User: s.ID, Seq: s.Version + 1, At: e.RecordedAt()}
	var err error
	if rec.Kind, rec.EventID, rec.Payload, err = EncodeEvent(e); err != nil {
		return fmt.Errorf("encode record %d of user %d: %w", rec.Seq, s.ID, err)
	}
	t.project(s, e)
	s.Apply(e)
	rec.User = s.ID // a registration brings it
	t.row.Records = append(t.row.Records, rec)
	t.bytes += len(rec.Payload)
	return nil
}

// project adds the changes of own rows that e means. s is the state before e.
func (t *turn) project(s *user.State, e user.Event) {
	seq := s.Version + 1 // of the record of e
	switch e := e.(type) {
	case user.Registered:
		t.row.User, t.views = e.ID, true
		t.claim(persistence.ClaimUsername, e.Username)
		t.claim(persistence.ClaimEmail, user.EmailKey(e.Email))
	case user.ProfileUpdated:
		if e.Email != s.Email {
			t.claim(persistence.ClaimEmail, user.EmailKey(e.Email))
		}
	case user.Followed:
		t.edge(persistence.EdgeFollowing, persistence.Edge{ID: uint64(e.Target), At: e.At, Seq: seq})
	case user.Unfollowed:
		t.edge(persistence.EdgeFollowing, persistence.Edge{ID: uint64(e.Target), Removed: true})
	case user.FollowerAdded:
		t.edge(persistence.EdgeFollowers, persistence.Edge{ID: uint64(e.Source), At: e.FollowedAt, Seq: seq})
	case user.FollowerRemoved:
		t.edge(persistence.EdgeFollowers, persistence.Edge{ID: uint64(e.Source), Removed: true})
	case user.Severed:
		if s.Following.Contains(e.Gone) {
			t.edge(persistence.EdgeFollowing, persistence.Edge{ID: uint64(e.Gone), Removed: true})
		}
		if s.Followers.Contains(e.Gone) {
			t.edge(persistence.EdgeFollowers, persistence.Edge{ID: uint64(e.Gone), Removed: true})
		}
	case user.CrewFollowed:
		t.edge(persistence.EdgeCrew, persistence.Edge{ID: uint64(e.Crew), At: e.At, Seq: seq}) //nolint:gosec // positive
	case user.CrewUnfollowed:
		t.edge(persistence.EdgeCrew, persistence.Edge{ID: uint64(e.Crew), Removed: true}) //nolint:gosec // positive
	case user.StudioFollowed:
		t.edge(persistence.EdgeStudios, persistence.Edge{ID: uint64(e.Studio), At: e.At, Seq: seq}) //nolint:gosec // positive
	case user.StudioUnfollowed:
		t.edge(persistence.EdgeStudios, persistence.Edge{ID: uint64(e.Studio), Removed: true}) //nolint:gosec // positive
	case user.ActivityDeleted:
		t.row.Erase = append(t.row.Erase, e.EventID)
	case user.Deleted:
		// The archive keeps the account as it was at the end.
		t.row.Account, t.row.Deleted, t.views = s.Account(), true, true
	case user.PreferencesSet, user.PrivacySet, user.ActivityRecorded, user.ActivityErased, user.ContentCounted:
	}
}

func (t *turn) claim(kind persistence.ClaimKind, value string) {
	if value != "" {
		t.row.Claims = append(t.row.Claims, persistence.Claim{Kind: kind, Value: value})
	}
}

// edge notes a change. What the turn did to the same pair before is replaced.
func (t *turn) edge(kind persistence.EdgeKind, e persistence.Edge) {
	if kind == persistence.EdgeFollowing {
		t.views = true
	}
	if i, ok := t.find(edgeKey{kind, e.ID}); ok {
		t.changes[i].edge = e
		return
	}
	// The grain refuses to follow twice, so a removal means that it was there.
	t.changes = append(t.changes, change{kind: kind, edge: e, existed: e.Removed})
	if t.index != nil {
		t.index[edgeKey{kind, e.ID}] = len(t.changes) - 1
	}
}

// smallTurn is the number of changes up to which a scan beats a map.
const smallTurn = 8

func (t *turn) find(key edgeKey) (int, bool) {
	if len(t.changes) <= smallTurn {
		for i := range t.changes {
			if t.changes[i].kind == key.kind && t.changes[i].edge.ID == key.id {
				return i, true
			}
		}
		return 0, false
	}
	if t.index == nil {
		t.index = make(map[edgeKey]int, 4*smallTurn)
		for i := range t.changes {
			t.index[edgeKey{t.changes[i].kind, t.changes[i].edge.ID}] = i
		}
	}
	i, ok := t.index[key]
	return i, ok
}

// seal completes the row changes. s is the state after the turn.
func (t *turn) seal(s *user.State) *persistence.Turn {
	for i := range t.changes {
		c := &t.changes[i]
		if c.edge.Removed && !c.existed {
			continue // begun and ended in this turn
		}
		list := &t.row.Following
		switch c.kind {
		case persistence.EdgeFollowing:
		case persistence.EdgeFollowers:
			list = &t.row.Followers
		case persistence.EdgeCrew:
			list = &t.row.Crew
		case persistence.EdgeStudios:
			list = &t.row.Studios
		}
		*list = append(*list, c.edge)
	}
	if !t.row.Deleted {
		t.row.Account = s.Account()
	}
	t.row.Account.Version = s.Version
	return t.row
}
