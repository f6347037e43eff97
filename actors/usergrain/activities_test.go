package usergrain_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/test/world"
)

func view(id string) user.Activity {
	return user.Activity{EventID: id, Type: user.ActivityView, MovieID: 7}
}

func TestEventsOfABatchAreRefusedForThemselves(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	ada := w.Register("ada").ID
	record := func(ids ...string) []usergrain.ActivityResult {
		t.Helper()
		activities := make([]user.Activity, len(ids))
		for i, id := range ids {
			activities[i] = view(id)
		}
		results, err := w.Client.RecordActivities(t.Context(), ada, activities)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.EventID != ids[i] {
				t.Fatalf("result %d is of %q, want %q", i, r.EventID, ids[i])
			}
		}
		return results
	}
	errs := func(results []usergrain.ActivityResult) (all []error) {
		for _, r := range results {
			all = append(all, r.Err)
		}
		return all
	}
	same := func(got []error, want ...error) {
		t.Helper()
		for i := range want {
			if len(got) != len(want) || !errors.Is(got[i], want[i]) {
				t.Fatalf("results %v, want %v", got, want)
			}
		}
	}
	same(errs(record("a", "b", "a")), nil, nil, user.ErrAlreadyRecorded)
	if _, err := w.Client.Do(t.Context(), ada, user.DeleteActivity{EventID: "b"}); err != nil {
		t.Fatal(err)
	}
	same(errs(record("b", "c", "a")), user.ErrEventDeleted, nil, user.ErrAlreadyRecorded)
	same(errs(record("a", "b", "c")), user.ErrAlreadyRecorded, user.ErrEventDeleted, user.ErrAlreadyRecorded)

	if results, err := w.Client.RecordActivities(t.Context(), ada, nil); err != nil || results != nil {
		t.Errorf("no events: %v, %v", results, err)
	}
	if _, err := w.Client.RecordActivities(t.Context(), ada+1000, []user.Activity{view("a"), view("b")}); !errors.Is(err, user.ErrNotRegistered) {
		t.Errorf("nobody's events: %v", err)
	}
	if _, err := w.Client.Do(t.Context(), ada, user.Delete{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Client.RecordActivities(t.Context(), ada, []user.Activity{view("x"), view("y")}); !errors.Is(err, user.ErrDeleted) {
		t.Errorf("events of a deleted user: %v", err)
	}
}

// Batches that overlap and are sent at once record each event once.
func TestBatchesSentAtOnceRecordEachEventOnce(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	ada := w.Register("ada").ID
	var recorded atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			var batch []user.Activity
			for j := range 40 {
				batch = append(batch, view(fmt.Sprintf("e%d", i*10+j)))
			}
			results, err := w.Client.RecordActivities(t.Context(), ada, batch)
			if err != nil {
				t.Error(err)
			}
			for _, r := range results {
				if r.Err == nil {
					recorded.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := recorded.Load(); n != 190 {
		t.Errorf("%d events were recorded, 190 differ", n)
	}
}
