package lanestest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// The operations that Around sees.
const (
	OpCommit       = "commit" // with the persistence.Batch
	OpLoad         = "load"
	OpReadLane     = "read lane" // with the lane
	OpHeads        = "heads"
	OpErase        = "erase"
	OpAcquire      = "acquire"
	OpRenew        = "renew"
	OpRaise        = "raise"
	OpMarks        = "marks"
	OpPark         = "park"   // with the []persistence.Parked
	OpUnpark       = "unpark" // with the []persistence.Parked
	OpParked       = "parked"
	OpPutSeverings = "put severings" // with the []persistence.Severing
	OpClose        = "close severing"
	OpSeverings    = "severings"
	OpNeighbours   = "neighbours"
	OpAccounts     = "accounts"
	OpRelease      = "release" // with the user.ID
)

// Around is put around a call: do makes it. What Around returns is what the
// caller sees, so that a call can fail before it is made or after.
type Around func(ctx context.Context, op string, arg any, do func() error) error

// Store is a database in memory. It is safe for concurrent use.
type Store struct {
	around Around

	mu        sync.Mutex
	epochs    map[string]uint64
	owner     string
	lanes     [persistence.LaneCount][]persistence.Record
	journals  map[user.ID][]persistence.Record
	accounts  map[user.ID]user.Account
	deleted   map[user.ID]bool
	edges     map[edgeSide]map[user.ID]bool
	erased    map[user.ID]bool
	released  map[user.ID]bool
	marks     map[markKey]uint64
	parked    map[parkedKey]persistence.Parked
	severings map[user.ID]persistence.Severing
	faults    []error
}

type (
	markKey struct {
		tail persistence.TailName
		lane uint8
	}
	parkedKey struct {
		lane   uint8
		pos    uint64
		target user.ID
	}
	edgeSide struct {
		kind persistence.EdgeKind
		id   user.ID
	}
)

// NewStore returns an empty store. around may be nil.
func NewStore(around Around) *Store {
	if around == nil {
		around = func(_ context.Context, _ string, _ any, do func() error) error { return do() }
	}
	return &Store{
		around:    around,
		epochs:    make(map[string]uint64),
		journals:  make(map[user.ID][]persistence.Record),
		accounts:  make(map[user.ID]user.Account),
		deleted:   make(map[user.ID]bool),
		edges:     make(map[edgeSide]map[user.ID]bool),
		erased:    make(map[user.ID]bool),
		released:  make(map[user.ID]bool),
		marks:     make(map[markKey]uint64),
		parked:    make(map[parkedKey]persistence.Parked),
		severings: make(map[user.ID]persistence.Severing),
	}
}

// call makes one call, with Around around it and the lock held inside.
func (s *Store) call(ctx context.Context, op string, arg any, do func() error) error {
	return s.around(ctx, op, arg, func() error {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return do()
	})
}

var errFenced = fmt.Errorf("%w: %w", persistence.ErrNotCommitted, persistence.ErrFenced)

func (s *Store) fence(n persistence.Node) error {
	if s.owner != n.ID || s.epochs[n.ID] != n.Epoch {
		return errFenced
	}
	return nil
}

// Commit implements persistence.Journal.
func (s *Store) Commit(ctx context.Context, b persistence.Batch) ([]persistence.Outcome, error) {
	var outcomes []persistence.Outcome
	err := s.call(ctx, OpCommit, b, func() error {
		if err := s.fence(b.Node); err != nil {
			return err
		}
		outcomes = make([]persistence.Outcome, len(b.Turns))
		for i, t := range b.Turns {
			outcomes[i].Status = s.commitTurn(t)
		}
		for _, m := range b.Marks {
			k := markKey{m.Tail, m.Lane}
			s.marks[k] = max(s.marks[k], m.Pos)
		}
		return nil
	})
	return outcomes, err
}

func (s *Store) commitTurn(t *persistence.Turn) persistence.TurnStatus {
	if s.deleted[t.User] || uint64(len(s.journals[t.User])) != t.Version {
		return persistence.Stale
	}
	lane := persistence.LaneOf(t.User)
	for i := range t.Records {
		r := &t.Records[i]
		r.Lane, r.Pos = lane, uint64(len(s.lanes[lane]))+1
		s.lanes[lane] = append(s.lanes[lane], *r)
		s.journals[t.User] = append(s.journals[t.User], *r)
	}
	s.applyEdges(edgeSide{persistence.EdgeFollowing, t.User}, t.Following)
	s.applyEdges(edgeSide{persistence.EdgeFollowers, t.User}, t.Followers)
	if t.Deleted {
		delete(s.accounts, t.User)
		s.deleted[t.User] = true
		return persistence.Committed
	}
	s.accounts[t.User] = t.Account
	s.check(t.Account)
	return persistence.Committed
}

func (s *Store) applyEdges(side edgeSide, changes []persistence.Edge) {
	for _, e := range changes {
		list := s.edges[side]
		if list == nil {
			list = make(map[user.ID]bool)
			s.edges[side] = list
		}
		if list[user.ID(e.ID)] == !e.Removed {
			s.faults = append(s.faults, fmt.Errorf("list %d of user %d: edge to %d changed to what it was (removed: %v)", side.kind, side.id, e.ID, e.Removed))
		}
		if e.Removed {
			delete(list, user.ID(e.ID))
		} else {
			list[user.ID(e.ID)] = true
		}
	}
}

// check notes a row whose counters are not its edges.
func (s *Store) check(a user.Account) {
	following := len(s.edges[edgeSide{persistence.EdgeFollowing, a.ID}])
	followers := len(s.edges[edgeSide{persistence.EdgeFollowers, a.ID}])
	if a.Following != int64(following) || a.Followers != int64(followers) {
		s.faults = append(s.faults, fmt.Errorf("user %d: counters say %d following and %d followers, edges %d and %d", a.ID, a.Following, a.Followers, following, followers))
	}
}

// Faults returns what was written that must never be.
func (s *Store) Faults() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.faults...)
}

// Load implements persistence.Journal, without snapshots.
func (s *Store) Load(ctx context.Context, ids []user.ID) ([]persistence.History, error) {
	var histories []persistence.History
	err := s.call(ctx, OpLoad, ids, func() error {
		for _, id := range ids {
			h := persistence.History{User: id, Deleted: s.deleted[id]}
			if !h.Deleted {
				h.Records = slices.Clone(s.journals[id])
				h.Version = uint64(len(h.Records))
			}
			histories = append(histories, h)
		}
		return nil
	})
	return histories, err
}

// Records implements persistence.Journal.
func (s *Store) Records(ctx context.Context, id user.ID, after uint64, limit int) ([]persistence.Record, error) {
	var records []persistence.Record
	err := s.call(ctx, OpLoad, id, func() error {
		records = page(s.journals[id], after, limit)
		return nil
	})
	return records, err
}

// ReadLane implements persistence.Journal.
func (s *Store) ReadLane(ctx context.Context, lane uint8, after uint64, limit int) ([]persistence.Record, error) {
	var records []persistence.Record
	err := s.call(ctx, OpReadLane, lane, func() error {
		records = page(s.lanes[lane], after, limit)
		return nil
	})
	return records, err
}

func page(records []persistence.Record, after uint64, limit int) []persistence.Record {
	if after >= uint64(len(records)) {
		return nil
	}
	rest := records[after:]
	return slices.Clone(rest[:min(limit, len(rest))])
}

// Heads implements persistence.Journal.
func (s *Store) Heads(ctx context.Context) ([persistence.LaneCount]uint64, error) {
	var heads [persistence.LaneCount]uint64
	err := s.call(ctx, OpHeads, nil, func() error {
		for lane := range s.lanes {
			heads[lane] = uint64(len(s.lanes[lane]))
		}
		return nil
	})
	return heads, err
}

// SaveSnapshots implements persistence.Journal: it drops them all.
func (s *Store) SaveSnapshots(context.Context, []persistence.Snapshot) error { return nil }

// EraseUser implements persistence.Journal: it takes two calls.
func (s *Store) EraseUser(ctx context.Context, id user.ID, _ int) (bool, error) {
	var done bool
	err := s.call(ctx, OpErase, id, func() error {
		done = s.erased[id]
		s.erased[id] = true
		return nil
	})
	return done, err
}

// NewTurn returns a turn of n records that mean nothing to anybody else.
func NewTurn(id user.ID, version uint64, n int) *persistence.Turn {
	t := &persistence.Turn{User: id, Version: version}
	for i := range n {
		t.Records = append(t.Records, persistence.Record{
			User: id, Seq: version + uint64(i) + 1, Kind: persistence.KindPrivacySet, At: time.Unix(1, 0).UTC(),
		})
	}
	t.Account.ID, t.Account.Version = id, version+uint64(n) //nolint:gosec // not negative
	return t
}

// Append puts a record into a lane as it is, past every guard: a record that
// nothing in the house would write.
func (s *Store) Append(r persistence.Record) persistence.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Lane = persistence.LaneOf(r.User)
	r.Pos = uint64(len(s.lanes[r.Lane])) + 1
	if r.At.IsZero() {
		r.At = time.Unix(1, 0).UTC()
	}
	s.lanes[r.Lane] = append(s.lanes[r.Lane], r)
	return r
}

// Edges returns a list of a user, ascending.
func (s *Store) Edges(kind persistence.EdgeKind, id user.ID) []user.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.edges[edgeSide{kind, id}]))
}

// Deleted reports whether a user was deleted.
func (s *Store) Deleted(id user.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deleted[id]
}

// Erased reports whether EraseUser was called for a user.
func (s *Store) Erased(id user.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.erased[id]
}

// Released reports whether all claims of a user were released.
func (s *Store) Released(id user.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released[id]
}
