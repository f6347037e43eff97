package lanestest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// Acquire implements persistence.Lanes.
func (s *Store) Acquire(ctx context.Context, id string, _ time.Duration) (persistence.Node, error) {
	var n persistence.Node
	err := s.call(ctx, OpAcquire, id, func() error {
		s.epochs[id]++
		s.owner = id
		n = persistence.Node{ID: id, Epoch: s.epochs[id]}
		return nil
	})
	return n, err
}

// Renew implements persistence.Lanes.
func (s *Store) Renew(ctx context.Context, n persistence.Node, _ time.Duration) error {
	return s.call(ctx, OpRenew, n, func() error { return s.fence(n) })
}

// Raise implements persistence.Lanes.
func (s *Store) Raise(ctx context.Context, n persistence.Node) (persistence.Node, error) {
	raised := persistence.Node{}
	err := s.call(ctx, OpRaise, n, func() error {
		if err := s.fence(n); err != nil {
			return err
		}
		s.epochs[n.ID]++
		raised = persistence.Node{ID: n.ID, Epoch: s.epochs[n.ID]}
		return nil
	})
	return raised, err
}

// Marks implements persistence.Lanes.
func (s *Store) Marks(ctx context.Context, tail persistence.TailName) ([persistence.LaneCount]uint64, error) {
	var marks [persistence.LaneCount]uint64
	err := s.call(ctx, OpMarks, tail, func() error {
		for lane := range uint8(persistence.LaneCount) {
			marks[lane] = s.marks[markKey{tail, lane}]
		}
		return nil
	})
	return marks, err
}

// Mark returns one saved mark.
func (s *Store) Mark(tail persistence.TailName, lane uint8) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[markKey{tail, lane}]
}

// Rewind forgets the marks of a tail, as a crash forgets the last ones.
func (s *Store) Rewind(tail persistence.TailName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for lane := range uint8(persistence.LaneCount) {
		delete(s.marks, markKey{tail, lane})
	}
}

// Head returns the highest position of a lane.
func (s *Store) Head(lane uint8) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.lanes[lane]))
}

// Park implements persistence.Lanes.
func (s *Store) Park(ctx context.Context, n persistence.Node, parked []persistence.Parked) error {
	return s.call(ctx, OpPark, parked, func() error {
		if err := s.fence(n); err != nil {
			return err
		}
		for _, p := range parked {
			k := parkedKey{p.Lane, p.Pos, p.Target}
			if _, there := s.parked[k]; !there {
				s.parked[k] = p
			}
		}
		return nil
	})
}

// Unpark implements persistence.Lanes.
func (s *Store) Unpark(ctx context.Context, n persistence.Node, parked []persistence.Parked) error {
	return s.call(ctx, OpUnpark, parked, func() error {
		if err := s.fence(n); err != nil {
			return err
		}
		for _, p := range parked {
			delete(s.parked, parkedKey{p.Lane, p.Pos, p.Target})
		}
		return nil
	})
}

// ParkedEffects implements persistence.Lanes.
func (s *Store) ParkedEffects(ctx context.Context, target user.ID, limit int) ([]persistence.Parked, error) {
	var list []persistence.Parked
	err := s.call(ctx, OpParked, target, func() error {
		for _, p := range s.parked {
			if p.Target == target {
				list = append(list, p)
			}
		}
		slices.SortFunc(list, func(a, b persistence.Parked) int {
			return cmp.Or(cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Pos, b.Pos))
		})
		list = list[:min(limit, len(list))]
		return nil
	})
	return list, err
}

// ParkedTargets implements persistence.Lanes.
func (s *Store) ParkedTargets(ctx context.Context) (map[user.ID]int, error) {
	counts := make(map[user.ID]int)
	err := s.call(ctx, OpParked, user.ID(0), func() error {
		for _, p := range s.parked {
			counts[p.Target]++
		}
		return nil
	})
	return counts, err
}

// PutSeverings implements persistence.Lanes.
func (s *Store) PutSeverings(ctx context.Context, n persistence.Node, jobs []persistence.Severing) error {
	return s.call(ctx, OpPutSeverings, jobs, func() error {
		if err := s.fence(n); err != nil {
			return err
		}
		for _, j := range jobs {
			j.Cursor = max(j.Cursor, s.severings[j.User].Cursor)
			s.severings[j.User] = j
		}
		return nil
	})
}

// CloseSevering implements persistence.Lanes.
func (s *Store) CloseSevering(ctx context.Context, n persistence.Node, id user.ID) error {
	return s.call(ctx, OpClose, id, func() error {
		if err := s.fence(n); err != nil {
			return err
		}
		delete(s.severings, id)
		delete(s.edges, edgeSide{persistence.EdgeFollowing, id})
		delete(s.edges, edgeSide{persistence.EdgeFollowers, id})
		return nil
	})
}

// Severings implements persistence.Lanes.
func (s *Store) Severings(ctx context.Context) ([]persistence.Severing, error) {
	var jobs []persistence.Severing
	err := s.call(ctx, OpSeverings, nil, func() error {
		for _, j := range s.severings {
			jobs = append(jobs, j)
		}
		slices.SortFunc(jobs, func(a, b persistence.Severing) int { return cmp.Compare(a.User, b.User) })
		return nil
	})
	return jobs, err
}

// Neighbours implements persistence.Lanes.
func (s *Store) Neighbours(ctx context.Context, id user.ID, after uint64, limit int) ([]user.ID, error) {
	var ids []user.ID
	err := s.call(ctx, OpNeighbours, id, func() error {
		for _, kind := range []persistence.EdgeKind{persistence.EdgeFollowing, persistence.EdgeFollowers} {
			for other := range s.edges[edgeSide{kind, id}] {
				if uint64(other) > after {
					ids = append(ids, other)
				}
			}
		}
		slices.Sort(ids)
		ids = slices.Compact(ids)
		ids = ids[:min(limit, len(ids))]
		return nil
	})
	return ids, err
}

// LaneUpTo returns the records of a lane up to a position.
func (s *Store) LaneUpTo(lane uint8, pos uint64) []persistence.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lanes[lane][:min(pos, uint64(len(s.lanes[lane])))]
}
