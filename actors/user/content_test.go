package user_test

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kith/actors/user"
)

func TestCountContent(t *testing.T) {
	t.Parallel()
	counted := user.ContentCounted{ID: "c", Streams: 3, Videos: -2, At: at(1)}
	tellAll(t, []story{
		{rule: "a change is recorded as it was reported", given: events(ada), when: user.CountContent{ID: "c", Streams: 3, Videos: -2, At: at(1)}, then: events(counted)},
		{rule: "the same id again is satisfied", given: events(ada, counted), when: user.CountContent{ID: "c", Streams: 8, At: at(2)}},
		{rule: "a change of nothing counts, too", given: events(ada), when: user.CountContent{ID: "c", At: at(1)}, then: events(user.ContentCounted{ID: "c", At: at(1)})},
	})
}

func TestAChangeThatWasCountedIsSatisfied(t *testing.T) {
	t.Parallel()
	var s user.State
	s.Apply(ada)
	s.Learn(user.ContentKey("c"), user.EventRecorded)
	if got, err := user.Decide(&s, user.CountContent{ID: "c", Streams: 3, At: at(1)}); err != nil || got != nil {
		t.Errorf("%v, %v; want nothing", got, err)
	}
	if got, err := user.Decide(&s, user.CountContent{ID: "d", Streams: 3, At: at(1)}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v; want an event", got, err)
	}
	if got, err := user.Decide(&s, user.RecordActivity{Activity: user.Activity{EventID: "c"}, At: at(1)}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v; want an event: the ids of behaviour are others", got, err)
	}
}

func TestTotalsNeverGoBelowZeroNorAround(t *testing.T) {
	t.Parallel()
	change := rapid.OneOf(rapid.Int64Range(-5, 5), rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}))
	rapid.Check(t, func(t *rapid.T) {
		var s user.State
		s.Apply(ada)
		for range rapid.IntRange(1, 20).Draw(t, "changes") {
			before := s.Account()
			e := user.ContentCounted{ID: "c", Streams: change.Draw(t, "streams"), Videos: change.Draw(t, "videos"), At: at(1)}
			s.Apply(e)
			for _, total := range [][3]int64{{before.Streams, e.Streams, s.Streams}, {before.Videos, e.Videos, s.Videos}} {
				from, by, to := total[0], total[1], total[2]
				if to < 0 || by >= 0 && to < from || by <= 0 && to > from || to > 0 && to < math.MaxInt64 && to-from != by {
					t.Fatalf("%d changed by %d is %d", from, by, to)
				}
			}
			if s.UpdatedAt != before.UpdatedAt {
				t.Fatal("updated_at moves with the user's own changes alone")
			}
		}
	})
}

func TestContentIDs(t *testing.T) {
	t.Parallel()
	for id, ok := range map[string]bool{
		"c": true, "stream/42": true, strings.Repeat("é", 128): true,
		"": false, strings.Repeat("é", 129): false, "a\nb": false, "a\x00": false, "\xff": false,
	} {
		if _, err := user.ParseContentID(id); (err == nil) != ok {
			t.Errorf("%q: %v", id, err)
		}
	}
	if id, ok := user.ContentID(user.ContentKey("c")); !ok || id != "c" {
		t.Errorf("the key of c is the key of %q", id)
	}
	for _, key := range []string{"", "c", "content:"} {
		if _, ok := user.ContentID(key); ok {
			t.Errorf("%q is a key", key)
		}
	}
}
