package effects_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/lanes/lanestest"
	"kith/streams/effects"
)

// instant are grains that do everything at once.
type instant struct{}

func (instant) Deliver(context.Context, user.ID, []usergrain.Effect) error { return nil }

func (instant) Do(context.Context, user.ID, user.Command) (usergrain.Result, error) {
	return usergrain.Result{}, nil
}

// BenchmarkTail is what the tail itself costs per effect: reading, queueing,
// calling, acknowledging.
func BenchmarkTail(b *testing.B) {
	for _, bm := range []struct {
		name    string
		targets uint64
	}{{"spread", 10_000}, {"star", 1}} {
		b.Run(bm.name, func(b *testing.B) {
			store := lanestest.NewStore(nil)
			for i := range uint64(b.N) {
				_, _, payload, err := usergrain.EncodeEvent(user.Followed{Target: user.ID(1 + i%bm.targets), At: time.Unix(1, 0)})
				if err != nil {
					b.Fatal(err)
				}
				store.Append(persistence.Record{User: user.ID(1 + i), Kind: persistence.KindFollowed, Payload: payload})
			}
			node, err := store.Acquire(b.Context(), "n1", time.Hour)
			if err != nil {
				b.Fatal(err)
			}
			log := slog.New(slog.DiscardHandler)
			cards := &lanestest.Cards{}
			committer, err := lanes.New(b.Context(), lanes.Config{Journal: store, Lanes: store, Cards: cards, Logger: log}, node)
			if err != nil {
				b.Fatal(err)
			}
			tail, err := effects.New(effects.Config{
				Journal: store, Lanes: store, Directory: store, Cards: cards, Committer: committer, Grains: instant{}, Logger: log,
			})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error, 1)
			b.ReportAllocs()
			b.ResetTimer()
			go func() { done <- tail.Run(ctx) }()
			for w := committer.Watch(); !caughtUp(store, tail); {
				select {
				case <-w.Wake():
				case <-time.After(time.Millisecond):
				}
			}
			b.StopTimer()
			cancel()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// caughtUp reports whether the tail has begun, and has nothing left.
func caughtUp(store *lanestest.Store, tail *effects.Tail) bool {
	for lane := range uint8(persistence.LaneCount) {
		if tail.Done(lane) != store.Head(lane) {
			return false
		}
	}
	return true
}
