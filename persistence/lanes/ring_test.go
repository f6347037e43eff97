package lanes_test

import (
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/lanes/lanestest"
)

// TestARingIsTheNewestPartOfItsLane compares rings with slices.
func TestARingIsTheNewestPartOfItsLane(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 9).Draw(t, "size")
		head := rapid.Uint64Range(0, 30).Draw(t, "head")
		ring := lanes.NewRing(size, head)
		var held []persistence.Record // what the ring may hold, before the bound
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0: // the heads were read again
				head += rapid.Uint64Range(0, 5).Draw(t, "unseen")
				held = nil
				ring.Reset(head)
			case 1: // a gap
				head += rapid.Uint64Range(1, 12).Draw(t, "gap")
				held = nil
				fallthrough
			default:
				var add []persistence.Record
				for range rapid.IntRange(1, 12).Draw(t, "records") {
					head++
					add = append(add, persistence.Record{Pos: head})
				}
				ring.Append(add)
				held = append(held, add...)
				held = held[max(0, len(held)-size):]
			}
			if ring.Head() != head {
				t.Fatalf("head %d, want %d", ring.Head(), head)
			}
			pos := rapid.Uint64Range(0, head+2).Draw(t, "pos")
			limit := rapid.IntRange(1, 12).Draw(t, "limit")
			got, ok := ring.After(pos, nil, limit)
			var want []persistence.Record
			for _, r := range held {
				if r.Pos > pos && len(want) < limit {
					want = append(want, r)
				}
			}
			wantOK := pos >= head || len(held) > 0 && pos+1 >= held[0].Pos
			if !wantOK {
				want = nil
			}
			if ok != wantOK || fmt.Sprint(positions(got)) != fmt.Sprint(positions(want)) {
				t.Fatalf("after %d: %v, %v; want %v, %v", pos, positions(got), ok, positions(want), wantOK)
			}
		}
	})
}

func positions(records []persistence.Record) []uint64 {
	var all []uint64
	for _, r := range records {
		all = append(all, r.Pos)
	}
	return all
}

// TestRingsAreDenseAndInOrder reads rings while many users commit.
func TestRingsAreDenseAndInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil).run()
	const users, turns = 40, 25
	var writers sync.WaitGroup
	for u := range uint64(users) {
		writers.Go(func() {
			for v := range uint64(turns) {
				done := make(chan answer, 1)
				if err := b.committer.Reserve(); err != nil {
					t.Errorf("reserve: %v", err)
					return
				}
				turn := lanestest.NewTurn(1+64*user.ID(u%4)+user.ID(u/4), 2*v, 2) // ten lanes, four users in each
				b.committer.Submit(turn, func(o persistence.Outcome, err error) { done <- answer{o.Status, err} })
				if a := <-done; a.err != nil || a.status != persistence.Committed {
					t.Errorf("turn: %v %v", a.status, a.err)
					return
				}
			}
		})
	}
	w := b.committer.Watch()
	var read [persistence.LaneCount]uint64
	total, buf := 0, []persistence.Record(nil)
	for total < users*turns*2 {
		<-w.Wake()
		w.Dirty()
		for lane := range uint8(persistence.LaneCount) {
			var ok bool
			buf, ok = b.committer.Ring(lane).After(read[lane], buf[:0], 1000)
			if !ok {
				t.Fatalf("lane %d: position %d fell out of the ring", lane, read[lane]+1)
			}
			for _, r := range buf {
				if r.Pos != read[lane]+1 || r.Lane != lane {
					t.Fatalf("lane %d: position %d follows %d", lane, r.Pos, read[lane])
				}
				read[lane] = r.Pos
				total++
			}
		}
	}
	writers.Wait()
}
