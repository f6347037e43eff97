package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
)

const (
	fillBatch   = 2048 // turns of one commit
	fillWorkers = 256  // single writes at once; the database groups them
	fillLease   = time.Millisecond
	fillNode    = "fill"
)

// filler writes a population into a database of Kith, through the contracts and
// with the core, so that what is stored is what the same commands would have
// left: journals, rows, edges on both sides, marks.
type filler struct {
	db     store
	node   persistence.Node
	people *population
	states []user.State
	bases  []uint64 // the position of each user's first record
	step   func(n int)
}

// fillSteps is how often fill reports for a population, for a progress bar.
func fillSteps(p *population) int { return 2 * len(p.People) }

// fill writes people into a new database and gives them ids. It calls step with
// how much was done. It returns the states, for saveSnapshots.
func fill(ctx context.Context, at place, people *population, step func(n int)) (states []user.State, err error) {
	db, err := at.open(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// The lease is over when the next process comes, so it need not wait.
	node, err := db.Acquire(ctx, fillNode, fillLease)
	if err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	n := len(people.People)
	first, err := db.NextIDs(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	for i := range people.People {
		people.People[i].ID = first + user.ID(i)
	}
	f := &filler{db: db, node: node, people: people, states: make([]user.State, n), bases: make([]uint64, n), step: step}
	if err := f.claimNames(ctx); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	if err := f.commit(ctx, people.own); err != nil {
		return nil, fmt.Errorf("fill: register and follow: %w", err)
	}
	effects := func(i int) []user.Event { return people.effects(i, func(source int) uint64 { return f.bases[source] }) }
	if err := f.commit(ctx, effects); err != nil {
		return nil, fmt.Errorf("fill: add followers: %w", err)
	}
	if err := people.saveSessions(ctx, db); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	if err := mark(ctx, db, node, tails()); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	return f.states, nil
}

func (f *filler) claimNames(ctx context.Context) error {
	return each(ctx, fillWorkers, len(f.people.People), func(i int) error {
		u := &f.people.People[i]
		return f.db.Claim(ctx, u.ID, []persistence.Claim{{Kind: persistence.ClaimUsername, Value: u.Username}})
	})
}

// saveSessions stores the sessions of those who have one.
func (p *population) saveSessions(ctx context.Context, db store) error {
	return each(ctx, fillWorkers, p.Active, func(k int) error {
		u := &p.People[p.active(k)]
		if u.Token == "" {
			return nil
		}
		return db.CreateSession(ctx, u.session(p.At))
	})
}

// commit commits one turn of every user, in large batches.
func (f *filler) commit(ctx context.Context, events func(i int) []user.Event) error {
	for from := 0; from < len(f.states); from += fillBatch {
		until := min(from+fillBatch, len(f.states))
		batch := persistence.Batch{Node: f.node}
		for i := from; i < until; i++ {
			turn, err := turnOf(&f.states[i], f.people.People[i].ID, events(i))
			if err != nil {
				return err
			}
			batch.Turns = append(batch.Turns, turn)
		}
		if err := commitAll(ctx, f.db, batch); err != nil {
			return err
		}
		for i, turn := range batch.Turns {
			if turn.Version == 0 {
				f.bases[from+i] = turn.Records[0].Pos
			}
		}
		f.step(until - from)
	}
	return nil
}

// commitAll commits a batch of which nothing may be refused.
func commitAll(ctx context.Context, db store, batch persistence.Batch) error {
	outcomes, err := db.Commit(ctx, batch)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for i, o := range outcomes {
		if o.Status != persistence.Committed {
			return fmt.Errorf("commit: the turn of user %d was refused: status %d", batch.Turns[i].User, o.Status)
		}
	}
	return nil
}

// own returns the registration of user i and whom they follow.
func (p *population) own(i int) []user.Event {
	u, at := &p.People[i], p.At
	events := []user.Event{user.Registered{ID: u.ID, UID: u.UID, Username: u.Username, Name: u.Name, At: at}}
	for _, o := range p.Offsets {
		events = append(events, user.Followed{Target: p.People[(i+o)%len(p.People)].ID, At: at})
	}
	return events
}

// effects returns what the follows of others mean for user i, in the order of
// their positions, as a tail would deliver them. base returns the position of a
// user's first record.
func (p *population) effects(i int, base func(source int) uint64) []user.Event {
	n, at := len(p.People), p.At
	added := make([]user.FollowerAdded, len(p.Offsets))
	for k, o := range p.Offsets {
		source := (i - o + n) % n
		id := p.People[source].ID
		// The registration is before the follows.
		pos := base(source) + 1 + uint64(k)
		added[k] = user.FollowerAdded{Source: id, Lane: persistence.LaneOf(id), Pos: pos, FollowedAt: at, At: at}
	}
	slices.SortFunc(added, func(a, b user.FollowerAdded) int { return cmp.Compare(a.Pos, b.Pos) })
	events := make([]user.Event, len(added))
	for k := range added {
		events[k] = added[k]
	}
	return events
}

// turnOf applies events to the state of a user and returns them as rows.
func turnOf(s *user.State, id user.ID, events []user.Event) (*persistence.Turn, error) {
	t := &persistence.Turn{User: id, Version: s.Version}
	for _, e := range events {
		kind, eventID, payload, err := usergrain.EncodeEvent(e)
		if err != nil {
			return nil, fmt.Errorf("encode an event of user %d: %w", id, err)
		}
		t.Records = append(t.Records, persistence.Record{User: id, Seq: s.Version + 1, Kind: kind, At: e.RecordedAt(), EventID: eventID, Payload: payload})
		seq := s.Version + 1
		switch e := e.(type) { //nolint:gochecksumtype // no other is made here
		case user.Registered:
			t.Claims = []persistence.Claim{{Kind: persistence.ClaimUsername, Value: e.Username}}
		case user.Followed:
			t.Following = append(t.Following, persistence.Edge{ID: uint64(e.Target), At: e.At, Seq: seq})
		case user.FollowerAdded:
			t.Followers = append(t.Followers, persistence.Edge{ID: uint64(e.Source), At: e.FollowedAt, Seq: seq})
		}
		s.Apply(e)
	}
	t.Account = s.Account()
	return t, nil
}

// tails are those of a kith with nothing outside.
func tails() []persistence.TailName {
	return []persistence.TailName{persistence.TailEffects, persistence.TailBroker}
}

// mark tells tails that everything has had its effect.
func mark(ctx context.Context, db store, node persistence.Node, done []persistence.TailName) error {
	heads, err := db.Heads(ctx)
	if err != nil {
		return fmt.Errorf("read the heads: %w", err)
	}
	batch := persistence.Batch{Node: node}
	for lane, pos := range heads {
		for _, tail := range done {
			if pos > 0 {
				batch.Marks = append(batch.Marks, persistence.Mark{Tail: tail, Lane: uint8(lane), Pos: pos})
			}
		}
	}
	if _, err := db.Commit(ctx, batch); err != nil {
		return fmt.Errorf("save the marks: %w", err)
	}
	return nil
}

// saveSnapshots stores a snapshot of every state, as passivation would.
func saveSnapshots(ctx context.Context, at place, states []user.State) (err error) {
	db, err := at.open(ctx, 0)
	if err != nil {
		return fmt.Errorf("save snapshots: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for batch := range slices.Chunk(states, fillBatch) {
		snapshots := make([]persistence.Snapshot, len(batch))
		for i := range batch {
			encoded, err := usergrain.EncodeSnapshot(&batch[i])
			if err != nil {
				return fmt.Errorf("save snapshots: %w", err)
			}
			snapshots[i] = persistence.Snapshot{User: batch[i].ID, Seq: batch[i].Version, State: encoded}
		}
		if err := db.SaveSnapshots(ctx, snapshots); err != nil {
			return fmt.Errorf("save snapshots: %w", err)
		}
	}
	return nil
}

// each calls f for 0 to n-1, so many at once, and returns the first error, after
// which no more are begun.
func each(ctx context.Context, atOnce, n int, f func(i int) error) error {
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	for range min(n, atOnce) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				err := ctx.Err()
				if err == nil {
					err = f(i)
				}
				if err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}
