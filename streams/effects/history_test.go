package effects_test

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/actors/usergrain"
)

// step is one thing that happens in a random history.
type step struct {
	What string
	A, B user.ID
	Wait time.Duration // before the next one
}

// TestBothSidesAgreeWhateverHappens lets users follow, unfollow and delete
// themselves while grains are busy or broken, answers are lost, the database
// refuses, and the process crashes; then all heals. It checks all along that no
// mark passes an effect that is owed, and that no target gets effects of a lane
// out of order.
func TestBothSidesAgreeWhateverHappens(t *testing.T) {
	t.Parallel()
	const population = 8
	// Two lanes for some, so that effects of one lane have many targets.
	ids := []user.ID{1, 65, 129, 2, 66, 3, 4, 5}
	id := rapid.Custom(func(t *rapid.T) user.ID { return ids[rapid.IntRange(0, population-1).Draw(t, "user")] })
	draw := rapid.Custom(func(t *rapid.T) step {
		return step{
			What: rapid.SampledFrom([]string{"follow", "follow", "follow", "follow", "unfollow", "unfollow", "delete", "break", "mend", "crash", "stop", "idle"}).Draw(t, "what"),
			A:    id.Draw(t, "a"), B: id.Draw(t, "b"),
			Wait: time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 30, 2000, 60_000}).Draw(t, "wait")) * time.Millisecond,
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(draw, 1, 60).Draw(rt, "steps")
		seed := rapid.Uint64().Draw(rt, "seed")
		trouble := rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(rt, "trouble")
		var err error
		synctest.Test(t, func(t *testing.T) { err = live(t, ids, steps, seed, trouble) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func live(t *testing.T, ids []user.ID, steps []step, seed uint64, trouble float64) error {
	t.Helper()
	w := newWorld(t, seed).start()
	defer w.stop()
	w.register(ids...)
	w.setTrouble(trouble)
	deleted := 0
	for _, s := range steps {
		switch s.What {
		case "follow":
			w.follow(s.A, s.B)
		case "unfollow":
			w.unfollow(s.A, s.B)
		case "delete":
			if deleted < 3 {
				deleted++
				w.remove(s.A)
			}
		case "break":
			w.setBroken(s.A, usergrain.ErrBroken)
		case "mend":
			w.setBroken(s.A, nil)
		case "crash":
			w.crash()
			w.start()
		case "stop":
			w.stop()
			w.start()
		}
		if s.Wait > 0 {
			pause(s.Wait)
		}
	}
	w.setTrouble(0)
	if err := w.quiet(); err != nil {
		return err
	}
	return w.check(ids)
}
