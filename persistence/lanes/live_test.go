package lanes_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/lanes/lanestest"
)

// storedUsers finds who exists by reading all lanes.
type storedUsers struct{ journal persistence.Journal }

func (s storedUsers) LiveIDs(ctx context.Context, each func([]user.ID) error) ([persistence.LaneCount]uint64, error) {
	heads, err := s.journal.Heads(ctx)
	if err != nil {
		return heads, err
	}
	for lane, head := range heads {
		records, err := s.journal.ReadLane(ctx, uint8(lane), 0, int(head))
		if err != nil {
			return heads, err
		}
		for _, r := range records {
			gone := slices.ContainsFunc(records, func(o persistence.Record) bool {
				return o.User == r.User && o.Kind == persistence.KindDeleted
			})
			if r.Kind == persistence.KindRegistered && !gone {
				if err := each([]user.ID{r.User}); err != nil {
					return heads, err
				}
			}
		}
	}
	return heads, nil
}

func (b *bench) live() *lanes.Live {
	b.t.Helper()
	live, err := lanes.NewLive(b.t.Context(), lanes.LiveConfig{
		Users: storedUsers{b.store}, Journal: b.store, Committer: b.committer, Logger: slog.New(slog.DiscardHandler), Registerer: b.registry,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return live
}

// follow runs live until stop is called.
func (b *bench) follow(live *lanes.Live) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- live.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("run: %v", err)
		}
	}
}

func turnOf(id user.ID, version uint64, kinds ...persistence.Kind) *persistence.Turn {
	turn := lanestest.NewTurn(id, version, len(kinds))
	for i, kind := range kinds {
		turn.Records[i].Kind = kind
		turn.Deleted = kind == persistence.KindDeleted
	}
	return turn
}

func registers(id user.ID) *persistence.Turn { return turnOf(id, 0, persistence.KindRegistered) }

func deletes(id user.ID, version uint64) *persistence.Turn {
	return turnOf(id, version, persistence.KindDeleted)
}

// listed returns everybody, ascending.
func listed(live *lanes.Live) []user.ID {
	ids := live.Page("seed", 0, live.Len())
	slices.Sort(ids)
	return ids
}

func TestAUserIsListedWhenTheTurnIsAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	live := b.live() // which does not run: nothing has to be caught up with
	b.run()
	for id := user.ID(1); id <= 200; id++ {
		b.want(b.submit(registers(id)), persistence.Committed, nil)
		if live.Len() != int(id) || !slices.Contains(live.Page("seed", 0, 200), id) {
			t.Fatalf("user %d is answered and not listed", id)
		}
	}
	b.want(b.submit(deletes(7, 1)), persistence.Committed, nil)
	if slices.Contains(live.Page("seed", 0, 200), 7) {
		t.Fatal("user 7 is deleted and listed")
	}
	b.want(b.submit(turnOf(300, 0, persistence.KindRegistered, persistence.KindDeleted)), persistence.Committed, nil)
	b.want(b.submit(registers(8)), persistence.Stale, nil)
	if got := b.gauge("kith_live_users"); live.Len() != 199 || got != 199 {
		t.Fatalf("%d users, %v in the metrics, want 199", live.Len(), got)
	}
}

func TestWhoExistsIsReadAtTheStart(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil).run()
	for id := user.ID(1); id <= 100; id++ {
		b.want(b.submit(registers(id)), persistence.Committed, nil)
	}
	b.want(b.submit(deletes(64, 1)), persistence.Committed, nil)
	live := b.live()
	if live.Len() != 99 || slices.Contains(listed(live), 64) {
		t.Fatalf("%d users: %v", live.Len(), listed(live))
	}
	b.want(b.submit(registers(101)), persistence.Committed, nil) // it follows from there
	b.want(b.submit(deletes(1, 1)), persistence.Committed, nil)
	if got := listed(live); len(got) != 99 || got[0] != 2 || got[98] != 101 {
		t.Fatalf("%d users: %v", live.Len(), got)
	}
}

func TestWhatAnUnknownOutcomeHidIsCaughtUpWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		s.on(lanestest.OpCommit, normal, lose)
		b := newBench(t, s.around)
		live := b.live()
		stop := b.follow(live)
		defer stop()
		b.run()
		b.want(b.submit(registers(1)), persistence.Committed, nil)
		b.want(b.submit(registers(65)), 0, lanes.ErrUnknown) // of the same lane, and committed
		synctest.Wait()
		if got := listed(live); !slices.Equal(got, []user.ID{1, 65}) {
			t.Fatalf("listed: %v", got)
		}
		b.want(b.submit(registers(129)), persistence.Committed, nil)
		if got := listed(live); !slices.Equal(got, []user.ID{1, 65, 129}) {
			t.Fatalf("listed: %v", got)
		}
		b.stop()
	})
}

// Run and the committer bring the same records, each at its own pace.
func TestRecordsAreTakenOnceAndInOrder(t *testing.T) {
	t.Parallel()
	live := newBench(t, nil).live()
	record := func(pos uint64, id user.ID, kind persistence.Kind) persistence.Record {
		return persistence.Record{Lane: 1, Pos: pos, User: id, Kind: kind}
	}
	records := []persistence.Record{
		record(1, 1, persistence.KindRegistered), record(2, 65, persistence.KindRegistered),
		record(3, 1, persistence.KindDeleted), record(4, 129, persistence.KindRegistered),
	}
	live.Apply(1, records[2:]) // after a gap
	if got := listed(live); len(got) != 0 {
		t.Fatalf("listed after a gap: %v", got)
	}
	live.Apply(1, records[:3])
	live.Apply(1, records) // three of them again
	live.Apply(1, records[:2])
	if got := listed(live); !slices.Equal(got, []user.ID{65, 129}) {
		t.Fatalf("listed: %v", got)
	}
}

func TestALaneThatCannotBeReadIsReadLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s script
		b := newBench(t, s.around)
		live := b.live()
		s.on(lanestest.OpCommit, lose).on(lanestest.OpReadLane, away, refuse, away)
		stop := b.follow(live)
		defer stop()
		b.run()
		b.want(b.submit(registers(3)), 0, lanes.ErrUnknown)
		synctest.Wait()
		if live.Len() != 0 {
			t.Fatal("the user is listed, though no lane could be read")
		}
		// Behind a gap nothing is taken, so that nothing is passed over.
		b.want(b.submit(registers(67)), persistence.Committed, nil)
		synctest.Wait()
		for live.Len() < 2 { // virtual time
			<-time.After(time.Second)
		}
		if got := listed(live); !slices.Equal(got, []user.ID{3, 67}) {
			t.Fatalf("listed: %v", got)
		}
		b.stop()
	})
}

func TestTheListNeedsADatabaseThatAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	cfg := lanes.LiveConfig{Users: brokenUsers{}, Journal: b.store, Committer: b.committer, Logger: slog.New(slog.DiscardHandler)}
	if _, err := lanes.NewLive(t.Context(), cfg); !errors.Is(err, errAway) {
		t.Errorf("error %v, want %v", err, errAway)
	}
	cfg.Users = nil
	if _, err := lanes.NewLive(t.Context(), cfg); err == nil {
		t.Error("no error without a database")
	}
}

type brokenUsers struct{}

func (brokenUsers) LiveIDs(context.Context, func([]user.ID) error) (heads [persistence.LaneCount]uint64, err error) {
	return heads, errAway
}
