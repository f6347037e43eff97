package persistencetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// FeedsAgree checks both readings of many histories against a model that keeps
// everything in maps and lists, on random graphs, settings and histories.
func FeedsAgree(t *testing.T, open func(*testing.T) Store) {
	t.Helper()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := &world{Store: open(t)}
			w.node = must(w.Acquire(t.Context(), "node-a", time.Hour))(t)
			m := newModel(t, w, seed)
			for range 3 {
				cursor := w.heads(t)
				for range 80 {
					m.step(t)
				}
				for _, g := range m.grains {
					m.checkFeed(t, g)
					m.checkMissed(t, g, cursor)
					m.checkMissed(t, g, m.cursor())
				}
			}
		})
	}
}

// model is what a store should know.
type model struct {
	w       *world
	rand    *rand.Rand
	grains  []*grain
	records map[*grain][]persistence.Record
	follows map[*grain]map[*grain]time.Time // since when
	gone    map[*grain]bool
	events  int
	now     time.Time
}

func newModel(t *testing.T, w *world, seed uint64) *model {
	t.Helper()
	m := &model{
		w: w, rand: rand.New(rand.NewPCG(seed, 1)), grains: w.registered(t, 12), now: at(10), //nolint:gosec // a test repeats itself
		records: make(map[*grain][]persistence.Record), follows: make(map[*grain]map[*grain]time.Time), gone: make(map[*grain]bool),
	}
	for _, g := range m.grains {
		m.follows[g] = make(map[*grain]time.Time)
	}
	return m
}

// types are those of the events, which an event's id begins with.
func types() []user.ActivityType {
	return []user.ActivityType{user.ActivityView, user.ActivityRating, user.ActivityReview, user.ActivityWatchlistAdd}
}

// step has somebody do something. Time stands still as often as not, so that the
// times of many are the same.
func (m *model) step(t *testing.T) {
	t.Helper()
	g, other := m.grains[m.rand.IntN(len(m.grains))], m.grains[m.rand.IntN(len(m.grains))]
	if m.gone[g] {
		return
	}
	m.now = m.now.Add(time.Duration(m.rand.IntN(2)) * time.Second)
	var turn *persistence.Turn
	_, followed := m.follows[g][other]
	switch n := m.rand.IntN(100); {
	case n < 25 && g != other && !followed && !m.gone[other]:
		turn = g.follows(other.id)
		m.follows[g][other], turn.Following[0].At = m.now, m.now
	case n < 32 && followed:
		turn = g.records(persistence.KindUnfollowed)
		turn.Following = []persistence.Edge{{ID: uint64(other.id), Removed: true}}
		delete(m.follows[g], other)
	case n < 70:
		var ids []string
		for range 1 + m.rand.IntN(6) {
			m.events++
			ids = append(ids, fmt.Sprintf("%s-%d", types()[m.rand.IntN(len(types()))], m.events))
		}
		turn = g.does(ids...)
	case n < 78:
		all := m.records[g]
		i := slices.IndexFunc(all, func(r persistence.Record) bool {
			return r.Kind == persistence.KindActivityRecorded && m.rand.IntN(3) == 0
		})
		if i < 0 {
			return
		}
		turn = g.erases(all[i].EventID)
		all[i].Kind, all[i].Payload = persistence.KindActivityErased, nil
	case n < 90:
		g.account.Privacy = user.Privacy{Profile: m.rand.IntN(2) > 0, WatchHistory: m.rand.IntN(2) > 0, Ratings: m.rand.IntN(2) > 0}
		turn = g.records(persistence.KindPrivacySet)
	case n < 98:
		turn = g.records(persistence.KindProfileUpdated, persistence.KindFollowerAdded, persistence.KindPreferencesSet)
	case n == 98 && m.rand.IntN(5) == 0:
		turn = g.deletes()
		m.gone[g] = true
	default:
		return
	}
	for i := range turn.Records {
		turn.Records[i].At = m.now
	}
	m.w.takes(t, g, turn)
	m.records[g] = append(m.records[g], turn.Records...)
}

// cursor is of somebody who knows some of each lane.
func (m *model) cursor() (cursor [persistence.LaneCount]uint64) {
	for g, records := range m.records {
		if len(records) > 0 {
			cursor[persistence.LaneOf(g.id)] = records[m.rand.IntN(len(records))].Pos
		}
	}
	return cursor
}

// sees judges as user.Visible does.
func sees(a *persistence.Author) func(*persistence.Record) bool {
	viewer := user.ViewerStranger
	if a.FollowsReader {
		viewer = user.ViewerFollowed
	}
	if !user.Visible(user.SectionWatchHistory, viewer, a.Card.Privacy) && !user.Visible(user.SectionRatings, viewer, a.Card.Privacy) {
		return nil
	}
	return func(r *persistence.Record) bool {
		for _, kind := range types() {
			if len(r.EventID) > len(kind) && r.EventID[:len(kind)] == string(kind) {
				return user.Visible(kind.Section(), viewer, a.Card.Privacy)
			}
		}
		return false
	}
}

func (m *model) author(reader, g *grain) *persistence.Author {
	_, back := m.follows[g][reader]
	return &persistence.Author{Card: g.account.Card, FollowsReader: back, FollowedAt: m.follows[reader][g]}
}

func (m *model) checkFeed(t *testing.T, reader *grain) {
	t.Helper()
	var want []persistence.Record
	for g := range m.follows[reader] {
		judge := sees(m.author(reader, g))
		if m.gone[g] || judge == nil {
			continue
		}
		for _, r := range m.records[g] {
			if r.Kind == persistence.KindActivityRecorded && judge(&r) {
				want = append(want, r)
			}
		}
	}
	newestFirst(want)
	for _, limit := range []int{len(want)/10 + 1 + m.rand.IntN(3), 1000} {
		got, _ := m.w.feed(t, reader.id, limit, sees)
		equal(t, fmt.Sprintf("the feed of user %d in pages of %d", reader.id, limit), got, want)
	}
}

func (m *model) checkMissed(t *testing.T, reader *grain, cursor [persistence.LaneCount]uint64) {
	t.Helper()
	var want []persistence.Record
	authors := make(map[user.ID]*persistence.Author)
	above := func(r *persistence.Record) bool { return r.Pos > cursor[persistence.LaneOf(r.User)] }
	for _, r := range m.records[reader] {
		switch r.Kind { //nolint:exhaustive // of the kinds that step makes, those that are told of
		case persistence.KindProfileUpdated, persistence.KindFollowed, persistence.KindUnfollowed, persistence.KindFollowerAdded:
			if above(&r) {
				want = append(want, r)
			}
		}
	}
	for g, since := range m.follows[reader] {
		for _, r := range m.records[g] {
			told := r.Kind == persistence.KindProfileUpdated || r.Kind == persistence.KindActivityRecorded || r.Kind == persistence.KindActivityDeleted
			if told && above(&r) && !r.At.Before(since) && !m.gone[g] {
				want = append(want, r)
				authors[g.id] = m.author(reader, g)
			}
		}
	}
	oldestFirst(want)
	missed := must(m.w.Missed(t.Context(), reader.id, cursor, len(want)))(t)
	equal(t, "missed", missed, persistence.Missed{Records: want, Authors: authors})
	if len(want) > 0 {
		missed = must(m.w.Missed(t.Context(), reader.id, cursor, len(want)-1))(t)
		equal(t, "more than asked for", missed, persistence.Missed{More: true})
	}
}
