package usergrain_test

import (
	"path/filepath"
	"sync"
	"testing"

	"kith/actors/user"
	"kith/test/world"
)

func TestAReportedChangeCountsOnceForEver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	w := world.Start(t, world.Options{Path: path})
	ada, bob := w.Register("ada"), w.Register("bob")
	count := func(id user.ID, content string, streams, videos int64, changed bool) {
		t.Helper()
		r, err := w.Client.Do(t.Context(), id, user.CountContent{ID: content, Streams: streams, Videos: videos})
		if err != nil || r.Changed != changed {
			t.Errorf("%s: changed %v, %v; want %v", content, r.Changed, err, changed)
		}
	}
	count(ada.ID, "a", 5, 1, true)
	count(ada.ID, "a", 5, 1, false)
	count(bob.ID, "a", 1, 1, true)                         // an id is of its user
	w.Do(ada.ID, user.RecordActivity{Activity: view("a")}) // and not one of an event
	w.Stop()
	w = world.Start(t, world.Options{Path: path})
	count(ada.ID, "a", 5, 1, false)
	count(ada.ID, "b", -2, -9, true)

	var running sync.WaitGroup
	for range 20 { // in one turn, or in many
		running.Go(func() {
			if _, err := w.Client.Do(t.Context(), ada.ID, user.CountContent{ID: "c", Streams: 10}); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	accounts, err := w.DB.Accounts(t.Context(), []user.ID{ada.ID, bob.ID})
	if err != nil {
		t.Fatal(err)
	}
	if r := w.Verify(); r.Differences > 0 {
		t.Errorf("%+v", r)
	}
	if a, b := accounts[0], accounts[1]; a.Streams != 13 || a.Videos != 0 || b.Streams != 1 || b.Videos != 1 {
		t.Errorf("totals %d, %d and %d, %d; want 13, 0 and 1, 1", a.Streams, a.Videos, b.Streams, b.Videos)
	}
}
