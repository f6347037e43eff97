//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// Sessions checks sessions, their rotation and their end.
func Sessions(t *testing.T, open func(*testing.T) Store) {
	session := func(id byte, of user.ID) persistence.Session {
		return persistence.Session{ID: [16]byte{id, 15: 7}, User: of, CreatedAt: at(0), ExpiresAt: at(1000), AccessUntil: at(100)}
	}
	rotation := func(s persistence.Session, from uint32, when uint64) persistence.Rotation {
		return persistence.Rotation{ID: s.ID, From: from, At: at(when), ExpiresAt: at(when + 1000), AccessUntil: at(when + 100)}
	}
	ended := func(t *testing.T, w *world) []persistence.EndedSession {
		t.Helper()
		list, _, err := w.EndedSessions(t.Context(), 0, 1000)
		noError(t, err)
		return list
	}
	rules(t, open, map[string]func(*testing.T, *world){
		"a session needs a user": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			s := session(1, g.id)
			noError(t, w.CreateSession(t.Context(), s))
			equal(t, "session", must(w.Session(t.Context(), s.ID))(t), s)
			if err := w.CreateSession(t.Context(), s); err == nil {
				t.Fatal("two sessions of one id")
			}
			other := session(9, g.id+1)
			wantError(t, w.CreateSession(t.Context(), other), persistence.ErrNotFound)
			_, err := w.Session(t.Context(), other.ID)
			wantError(t, err, persistence.ErrNotFound)
		},
		"a rotation needs the generation that it replaces": func(t *testing.T, w *world) {
			s := session(1, w.registered(t, 1)[0].id)
			noError(t, w.CreateSession(t.Context(), s))
			want := s
			want.Generation, want.Rotations, want.ExpiresAt, want.AccessUntil = 1, []time.Time{at(5)}, at(1005), at(105)
			got, rotated, err := w.RotateSession(t.Context(), rotation(s, 0, 5))
			noError(t, err)
			equal(t, "rotated", rotated, true)
			equal(t, "session", got, want)
			for _, from := range []uint32{0, 2, 99} {
				got, rotated, err = w.RotateSession(t.Context(), rotation(s, from, 50))
				noError(t, err)
				equal(t, "rotated", rotated, false)
				equal(t, "session", got, want)
			}
			equal(t, "stored", must(w.Session(t.Context(), s.ID))(t), want)
			_, _, err = w.RotateSession(t.Context(), rotation(session(2, s.User), 0, 5))
			wantError(t, err, persistence.ErrNotFound)
		},
		"the newest generations' ends are remembered": func(t *testing.T, w *world) {
			s := session(1, w.registered(t, 1)[0].id)
			noError(t, w.CreateSession(t.Context(), s))
			for i := range uint32(persistence.MaxRotations + 3) {
				_, rotated, err := w.RotateSession(t.Context(), rotation(s, i, uint64(i)))
				noError(t, err)
				equal(t, "rotated", rotated, true)
			}
			s = must(w.Session(t.Context(), s.ID))(t)
			equal(t, "rotations", len(s.Rotations), persistence.MaxRotations)
			for generation := range s.Generation + 2 {
				when, known := s.Replaced(generation)
				equal(t, "known", known, generation >= 3 && generation < s.Generation)
				if known {
					equal(t, "replaced", when, at(uint64(generation)))
				}
			}
		},
		"a shorter access token does not shorten the session's": func(t *testing.T, w *world) {
			s := session(1, w.registered(t, 1)[0].id)
			noError(t, w.CreateSession(t.Context(), s))
			r := rotation(s, 0, 5)
			r.AccessUntil = at(50)
			_, _, err := w.RotateSession(t.Context(), r)
			noError(t, err)
			equal(t, "until", must(w.Session(t.Context(), s.ID))(t).AccessUntil, at(100))
		},
		"of many that rotate one generation one does": func(t *testing.T, w *world) {
			s := session(1, w.registered(t, 1)[0].id)
			noError(t, w.CreateSession(t.Context(), s))
			var running sync.WaitGroup
			won := make([]bool, 12)
			for i := range won {
				running.Go(func() {
					after, rotated, err := w.RotateSession(background(t), rotation(s, 0, 5))
					if err != nil || after.Generation != 1 {
						t.Errorf("generation %d, %v", after.Generation, err)
					}
					won[i] = rotated
				})
			}
			running.Wait()
			equal(t, "winners", len(slices.DeleteFunc(won, func(w bool) bool { return !w })), 1)
		},
		"an end removes the session and notes it": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			one, two := session(1, g.id), session(2, g.id)
			noError(t, w.CreateSession(t.Context(), one))
			noError(t, w.CreateSession(t.Context(), two))
			want := []persistence.EndedSession{{ID: one.ID, Until: at(100)}}
			end := persistence.SessionEnd{ID: one.ID, Until: at(50)}
			equal(t, "ended", must(w.EndSessions(t.Context(), end))(t), want)
			equal(t, "list", ended(t, w), want)
			_, err := w.Session(t.Context(), one.ID)
			wantError(t, err, persistence.ErrNotFound)
			_, _, err = w.RotateSession(t.Context(), rotation(one, 0, 5))
			wantError(t, err, persistence.ErrNotFound)
			noError(t, failed(w.EndSessions(t.Context(), end))) // again
			equal(t, "list", ended(t, w), want)
			equal(t, "the other", must(w.Session(t.Context(), two.ID))(t), two)
		},
		"a session that is not stored is noted": func(t *testing.T, w *world) {
			end := persistence.SessionEnd{ID: [16]byte{3}, Until: at(50)}
			want := []persistence.EndedSession{{ID: end.ID, Until: at(50)}}
			equal(t, "ended", must(w.EndSessions(t.Context(), end))(t), want)
			_, cursor, err := w.EndedSessions(t.Context(), 0, 10)
			noError(t, err)
			// For longer: whoever has read it must hear of it again.
			end.Until = at(60)
			noError(t, failed(w.EndSessions(t.Context(), end)))
			again, _, err := w.EndedSessions(t.Context(), cursor, 10)
			noError(t, err)
			equal(t, "prolonged", again, []persistence.EndedSession{{ID: end.ID, Until: at(60)}})
			equal(t, "list", ended(t, w), again)
		},
		"all sessions of a user end, and nobody else's": func(t *testing.T, w *world) {
			grains := w.registered(t, 2)
			for i := range byte(4) {
				noError(t, w.CreateSession(t.Context(), session(i, grains[i/3].id)))
			}
			list := must(w.EndSessions(t.Context(), persistence.SessionEnd{ID: [16]byte{8}, AllOf: grains[0].id, Until: at(50)}))(t)
			equal(t, "ended", len(list), 4) // three, and the one that is not stored
			equal(t, "list", len(ended(t, w)), 4)
			for i := range byte(3) {
				_, err := w.Session(t.Context(), session(i, 0).ID)
				wantError(t, err, persistence.ErrNotFound)
			}
			noError(t, failed(w.Session(t.Context(), session(3, 0).ID)))
		},
		"a deletion ends sessions without the list": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			noError(t, w.CreateSession(t.Context(), session(1, g.id)))
			w.takes(t, g, g.deletes())
			_, err := w.Session(t.Context(), session(1, 0).ID)
			wantError(t, err, persistence.ErrNotFound)
			equal(t, "list", len(ended(t, w)), 0)
		},
		"whoever reads along misses none": func(t *testing.T, w *world) {
			const writers, each = 4, 25
			var (
				writing sync.WaitGroup
				cursor  uint64
				seen    = map[[16]byte]int{}
			)
			for i := range byte(writers) {
				writing.Go(func() {
					for j := range byte(each) {
						if _, err := w.EndSessions(background(t), persistence.SessionEnd{ID: [16]byte{1, i, j}, Until: at(50)}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			done := make(chan struct{})
			go func() { writing.Wait(); close(done) }()
			for finished := false; ; {
				list, next, err := w.EndedSessions(t.Context(), cursor, 7)
				noError(t, err)
				for _, e := range list {
					seen[e.ID]++
				}
				cursor = next
				if finished && len(list) == 0 {
					break
				}
				select {
				case <-done:
					finished = true
				default:
				}
			}
			equal(t, "sessions", len(seen), writers*each)
			for id, n := range seen {
				if n != 1 {
					t.Errorf("%x came %d times", id, n)
				}
			}
		},
		"the sweep takes what has expired": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			for i := range byte(3) {
				noError(t, w.CreateSession(t.Context(), session(i, g.id)))
				noError(t, failed(w.EndSessions(t.Context(), persistence.SessionEnd{ID: [16]byte{9, i}, Until: at(2000)})))
			}
			equal(t, "young", must(w.SweepSessions(t.Context(), at(999), 10))(t), 0)
			equal(t, "at most the limit", must(w.SweepSessions(t.Context(), at(1000), 2))(t), 2)
			equal(t, "the rest", must(w.SweepSessions(t.Context(), at(1000), 2))(t), 1)
			equal(t, "list", len(ended(t, w)), 3)
			_, cursor, err := w.EndedSessions(t.Context(), 0, 10)
			noError(t, err)
			equal(t, "of the list", must(w.SweepSessions(t.Context(), at(2000), 10))(t), 3)
			// A cursor stays good over a sweep.
			noError(t, failed(w.EndSessions(t.Context(), persistence.SessionEnd{ID: [16]byte{5}, Until: at(3000)})))
			list, _, err := w.EndedSessions(t.Context(), cursor, 10)
			noError(t, err)
			equal(t, "after the sweep", list, []persistence.EndedSession{{ID: [16]byte{5}, Until: at(3000)}})
		},
	})
}

// failed returns the error of a call whose value does not matter.
func failed[T any](_ T, err error) error { return err }
