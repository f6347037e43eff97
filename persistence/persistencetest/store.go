package persistencetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"kith/actors/user"
	"kith/persistence"
)

// Store is a database under test. Each suite opens many, and the function that
// opens them closes them when the test ends.
type Store interface {
	persistence.Journal
	persistence.Lanes
	persistence.Directory
	persistence.Edges
	persistence.Activities
	persistence.Feeds
	persistence.Notifications
	persistence.Credentials
	persistence.Audit
	persistence.Roster
	persistence.BrokerLedger
	persistence.LiveUsers
	persistence.Search

	// Break removes one record of a user's journal, which nothing in the
	// contracts can.
	Break(t *testing.T, id user.ID, seq uint64)
}

// Run runs the suites of all contracts of a database. Their tests run in
// parallel.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for name, suite := range map[string]func(*testing.T, func(*testing.T) Store){
		"Commit": Commit, "Guards": Guards, "Fence": Fence, "History": History, "Directory": Directory,
		"Edges": Edges, "Activities": Activities, "Credentials": Credentials, "Sessions": Sessions, "Lanes": Lanes, "Audit": Audit, "Roster": Roster, "Broker": Broker,
		"LiveUsers": LiveUsers, "Search": Search, "Feeds": Feeds, "Missed": Missed, "FeedsAgree": FeedsAgree, "Notifications": Notifications,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite(t, open)
		})
	}
}

// rules runs each test of a suite on a store of its own.
func rules(t *testing.T, open func(*testing.T) Store, tests map[string]func(*testing.T, *world)) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{Store: open(t)}
			w.node = must(w.Acquire(t.Context(), "node-a", time.Hour))(t)
			test(t, w)
		})
	}
}

// world is a store with a node that owns it.
type world struct {
	Store
	node persistence.Node
}

// grain stands for the grain of a user: it makes turns that are true.
type grain struct {
	id      user.ID
	account user.Account
}

// start is the time of the first record of everybody.
func start() time.Time { return time.Date(2024, 1, 15, 10, 30, 0, 123456000, time.UTC) }

// at is the time of the record with that seq.
func at(seq uint64) time.Time { return start().Add(time.Duration(seq) * time.Second) } //nolint:gosec // small

func newGrain(id user.ID) *grain {
	return &grain{id: id, account: user.Account{
		Card: user.Card{
			ID: id, UID: user.UID{0: 1, 15: byte(id), 14: byte(id >> 8), 13: byte(id >> 16)}, Username: fmt.Sprintf("user%d", id), Name: "Name", //nolint:gosec // the low bytes
			Role: user.RoleUser, Privacy: user.DefaultPrivacy(), CreatedAt: start(), UpdatedAt: start(),
		},
		Preferences: user.DefaultPreferences(),
	}}
}

// records returns a turn with records of these kinds and g's row after it.
func (g *grain) records(kinds ...persistence.Kind) *persistence.Turn {
	t := &persistence.Turn{User: g.id, Version: g.account.Version, Account: g.account}
	for i, kind := range kinds {
		seq := t.Version + 1 + uint64(i)
		t.Records = append(t.Records, persistence.Record{User: g.id, Seq: seq, Kind: kind, At: at(seq), Payload: fmt.Appendf(nil, "payload %d/%d", g.id, seq)})
	}
	t.Account.Version += uint64(len(kinds))
	return t
}

// registers returns the turn that registers g.
func (g *grain) registers() *persistence.Turn { return g.records(persistence.KindRegistered) }

// deletes returns the turn that deletes g.
func (g *grain) deletes() *persistence.Turn {
	t := g.records(persistence.KindDeleted)
	t.Deleted = true
	return t
}

// follows returns the turn by which g follows others, in order.
func (g *grain) follows(others ...user.ID) *persistence.Turn {
	t := g.records(slices.Repeat([]persistence.Kind{persistence.KindFollowed}, len(others))...)
	for i, other := range others {
		t.Following = append(t.Following, persistence.Edge{ID: uint64(other), At: t.Records[i].At, Seq: t.Records[i].Seq})
	}
	t.Account.Following += int64(len(others))
	return t
}

// followedBy returns the turn by which others follow g, in order.
func (g *grain) followedBy(others ...user.ID) *persistence.Turn {
	t := g.records(slices.Repeat([]persistence.Kind{persistence.KindFollowerAdded}, len(others))...)
	for i, other := range others {
		t.Followers = append(t.Followers, persistence.Edge{ID: uint64(other), At: t.Records[i].At, Seq: t.Records[i].Seq})
	}
	t.Account.Followers += int64(len(others))
	return t
}

// does returns the turn that records behaviour events.
func (g *grain) does(events ...string) *persistence.Turn {
	t := g.records(slices.Repeat([]persistence.Kind{persistence.KindActivityRecorded}, len(events))...)
	for i, id := range events {
		t.Records[i].EventID = id
	}
	return t
}

// erases returns the turn that deletes a behaviour event.
func (g *grain) erases(events ...string) *persistence.Turn {
	t := g.records(slices.Repeat([]persistence.Kind{persistence.KindActivityDeleted}, len(events))...)
	t.Erase = events
	return t
}

// took tells g that its turn was committed.
func (g *grain) took(turn *persistence.Turn) { g.account = turn.Account }

// commits commits turns, which must succeed as a batch.
func (w *world) commits(t *testing.T, turns ...*persistence.Turn) []persistence.Outcome {
	t.Helper()
	outcomes, err := w.Commit(t.Context(), persistence.Batch{Node: w.node, Turns: turns})
	noError(t, err)
	if len(outcomes) != len(turns) {
		t.Fatalf("%d outcomes for %d turns", len(outcomes), len(turns))
	}
	return outcomes
}

// committed commits turns of gs, all of which must be taken.
func (w *world) committed(t *testing.T, turns map[*grain]*persistence.Turn) {
	t.Helper()
	for g, turn := range turns {
		if o := w.commits(t, turn)[0]; o.Status != persistence.Committed {
			t.Fatalf("turn of user %d at version %d: status %d, want committed", g.id, turn.Version, o.Status)
		}
		g.took(turn)
	}
}

// takes commits one turn of g, which must be taken.
func (w *world) takes(t *testing.T, g *grain, turn *persistence.Turn) {
	t.Helper()
	w.committed(t, map[*grain]*persistence.Turn{g: turn})
}

// registered returns grains of n registered users.
func (w *world) registered(t *testing.T, n int) []*grain {
	t.Helper()
	first := must(w.NextIDs(t.Context(), n))(t)
	grains := make([]*grain, n)
	turns := make([]*persistence.Turn, n)
	for i := range grains {
		grains[i] = newGrain(first + user.ID(i))
		turns[i] = grains[i].registers()
	}
	for i, o := range w.commits(t, turns...) {
		if o.Status != persistence.Committed {
			t.Fatalf("registration %d: status %d, want committed", i, o.Status)
		}
		grains[i].took(turns[i])
	}
	return grains
}

// history loads one user.
func (w *world) history(t *testing.T, id user.ID) persistence.History {
	t.Helper()
	return must(w.Load(t.Context(), []user.ID{id}))(t)[0]
}

// lane reads a whole lane.
func (w *world) lane(t *testing.T, lane uint8) []persistence.Record {
	t.Helper()
	return must(w.ReadLane(t.Context(), lane, 0, 1<<20))(t)
}

// everything returns all that is stored about users, for comparing before and after.
func (w *world) everything(t *testing.T) []persistence.AuditedUser {
	t.Helper()
	s := must(w.Snapshot(t.Context()))(t)
	users, err := s.Users(t.Context(), 0, 1<<20)
	noError(t, errors.Join(err, s.Close()))
	return users
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		noError(t, err)
		return v
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantError(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error %v, want one that matches %v", err, target)
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	// An empty payload and none are the same.
	bytesEqual := gocmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) })
	if diff := gocmp.Diff(want, got, bytesEqual); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func statuses(outcomes []persistence.Outcome) []persistence.TurnStatus {
	s := make([]persistence.TurnStatus, len(outcomes))
	for i, o := range outcomes {
		s[i] = o.Status
	}
	return s
}

func byPos(a, b persistence.Record) int {
	return cmp.Or(cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Pos, b.Pos))
}

// background is the context of what goes on beside a test's own goroutine.
func background(t *testing.T) context.Context {
	t.Helper()
	return context.WithoutCancel(t.Context())
}
