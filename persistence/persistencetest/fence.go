//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"kith/persistence"
)

// Fence checks that whoever holds a stale epoch writes nothing at all.
func Fence(t *testing.T, open func(*testing.T) Store) {
	rules(t, open, map[string]func(*testing.T, *world){
		"a stale epoch writes nothing": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			stale := w.node
			w.node = must(w.Raise(t.Context(), stale))(t)
			before := w.everything(t)
			fresh := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			for _, n := range []persistence.Node{stale, {ID: "node-b", Epoch: 1}, {ID: stale.ID, Epoch: w.node.Epoch + 1}, {}} {
				_, err := w.Commit(t.Context(), persistence.Batch{
					Node: n, Turns: []*persistence.Turn{g.follows(7), fresh.registers()}, Marks: []persistence.Mark{{Tail: persistence.TailEffects, Lane: 1, Pos: 1}},
				})
				wantError(t, err, persistence.ErrFenced)
				wantError(t, err, persistence.ErrNotCommitted)
				wantError(t, w.Renew(t.Context(), n, time.Hour), persistence.ErrFenced)
				wantError(t, w.Park(t.Context(), n, []persistence.Parked{{Lane: 1, Pos: 1, Target: g.id, At: at(1)}}), persistence.ErrFenced)
				wantError(t, w.Unpark(t.Context(), n, []persistence.Parked{{Lane: 1, Pos: 1, Target: g.id}}), persistence.ErrFenced)
				wantError(t, w.PutSeverings(t.Context(), n, []persistence.Severing{{User: g.id, Pos: 1}}), persistence.ErrFenced)
				wantError(t, w.CloseSevering(t.Context(), n, g.id), persistence.ErrFenced)
				_, err = w.Raise(t.Context(), n)
				wantError(t, err, persistence.ErrFenced)
			}
			equal(t, "what is stored", w.everything(t), before)
			equal(t, "marks", must(w.Marks(t.Context(), persistence.TailEffects))(t), [persistence.LaneCount]uint64{})
			equal(t, "parked", len(must(w.ParkedTargets(t.Context()))(t)), 0)
			equal(t, "severings", len(must(w.Severings(t.Context()))(t)), 0)
			w.takes(t, g, g.follows(7)) // the current one goes on
		},
		"no batch leaks past a raise": func(t *testing.T, w *world) {
			const raises = 150
			grains := w.registered(t, 8)
			// Each committer goes on under the epoch it was given until it is
			// fenced; it notes what was taken under which epoch.
			var mu sync.Mutex
			node := w.node
			current := func() persistence.Node {
				mu.Lock()
				defer mu.Unlock()
				return node
			}
			type commit struct {
				epoch uint64
				rec   persistence.Record
			}
			var commits []commit
			heads := make(map[uint64][persistence.LaneCount]uint64) // epoch -> heads when it began
			stop := make(chan struct{})
			var running sync.WaitGroup
			errs := make(chan error, len(grains))
			ctx := background(t)
			for _, g := range grains {
				running.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						n, turn := current(), g.records(persistence.KindPrivacySet)
						outcomes, err := w.Commit(ctx, persistence.Batch{Node: n, Turns: []*persistence.Turn{turn}})
						switch {
						case errors.Is(err, persistence.ErrFenced):
							continue
						case err == nil && outcomes[0].Status != persistence.Committed:
							err = fmt.Errorf("user %d at version %d: status %d", g.id, turn.Version, outcomes[0].Status)
						}
						if err != nil {
							errs <- err
							return
						}
						g.took(turn)
						mu.Lock()
						commits = append(commits, commit{n.Epoch, turn.Records[0]})
						mu.Unlock()
					}
				})
			}
			for range raises {
				next := must(w.Raise(t.Context(), current()))(t)
				h := must(w.Heads(t.Context()))(t)
				mu.Lock()
				node, heads[next.Epoch] = next, h
				mu.Unlock()
			}
			close(stop)
			running.Wait()
			close(errs)
			for err := range errs {
				t.Error(err)
			}
			for _, c := range commits {
				if h, raised := heads[c.epoch+1]; raised && c.rec.Pos > h[c.rec.Lane] {
					t.Fatalf("a batch of epoch %d committed position %d of lane %d after the raise, which saw %d", c.epoch, c.rec.Pos, c.rec.Lane, h[c.rec.Lane])
				}
			}
			for _, g := range grains {
				h := w.history(t, g.id)
				noError(t, h.Err)
				equal(t, "version", h.Version, g.account.Version)
			}
		},
	})
}
