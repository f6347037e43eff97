//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// Commit checks what committed turns write.
func Commit(t *testing.T, open func(*testing.T) Store) {
	rules(t, open, map[string]func(*testing.T, *world){
		"everything in a row is kept": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			turn := g.records(persistence.KindProfileUpdated, persistence.KindPreferencesSet)
			turn.Account = user.Account{
				Card: user.Card{
					ID: g.id, UID: g.account.UID, Username: g.account.Username, Name: "Ünïcode 名", Role: user.RoleCreator, Picture: "https://example.com/p.png",
					Followers: 3, Following: 4, Streams: 5, Videos: 6, Privacy: user.Privacy{Profile: false, WatchHistory: true, Ratings: false},
					CreatedAt: start(), UpdatedAt: at(3), Version: 3,
				},
				Email: "Some.One@Example.com", Bio: "two\nlines\tand more",
				Preferences: user.Preferences{FavGenres: []int64{3, 1, 2}, AdultContent: true, Notifications: map[string]bool{"sms": true}, Language: "de-CH"},
				CrewMembers: 7, Studios: 8,
			}
			w.takes(t, g, turn)
			for _, get := range []func() (*user.Account, error){
				func() (*user.Account, error) { return w.ByUsername(t.Context(), g.account.Username) },
				func() (*user.Account, error) { return w.ByUID(t.Context(), g.account.UID) },
				func() (*user.Account, error) {
					a, err := w.Accounts(t.Context(), []user.ID{g.id})
					return a[0], err
				},
			} {
				equal(t, "the row", *must(get())(t), turn.Account)
			}
		},
		"preferences that were never set are the default": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			equal(t, "preferences", must(w.ByUID(t.Context(), g.account.UID))(t).Preferences, user.DefaultPreferences())
		},
		"positions are dense per lane and told to committed records alone": func(t *testing.T, w *world) {
			const users = 3 * persistence.LaneCount
			grains := w.registered(t, users)
			var turns []*persistence.Turn
			for i, g := range grains {
				turn := g.records(persistence.KindPrivacySet, persistence.KindPrivacySet)
				if i%2 == 0 {
					turn = g.records(persistence.KindPrivacySet)
					turn.Version += 5 // stale
					turn.Records[0].Seq, turn.Account.Version = turn.Version+1, turn.Version+1
				}
				turns = append(turns, turn)
			}
			outcomes := w.commits(t, turns...)
			var told []persistence.Record
			for i, turn := range turns {
				want := persistence.Committed
				if i%2 == 0 {
					want = persistence.Stale
				}
				if outcomes[i].Status != want {
					t.Fatalf("turn %d: status %d, want %d", i, outcomes[i].Status, want)
				}
				if want == persistence.Committed {
					told = append(told, turn.Records...)
				}
			}
			heads := must(w.Heads(t.Context()))(t)
			var stored []persistence.Record
			for lane := range uint8(persistence.LaneCount) {
				records := w.lane(t, lane)
				for i, r := range records {
					if r.Lane != lane || r.Pos != uint64(i)+1 || persistence.LaneOf(r.User) != lane {
						t.Fatalf("record %d of lane %d is at (%d, %d) and of user %d", i, lane, r.Lane, r.Pos, r.User)
					}
					if r.Seq > 1 {
						stored = append(stored, r)
					}
				}
				if heads[lane] != uint64(len(records)) {
					t.Fatalf("head of lane %d is %d, it has %d records", lane, heads[lane], len(records))
				}
			}
			slices.SortFunc(told, byPos)
			equal(t, "what the lanes hold", stored, told)
		},
		"a batch sent twice is stale the second time": func(t *testing.T, w *world) {
			grains := w.registered(t, 4)
			noError(t, w.Claim(t.Context(), grains[2].id, []persistence.Claim{{Kind: persistence.ClaimEmail, Value: "a@b.c"}}))
			claims := grains[2].records(persistence.KindProfileUpdated)
			claims.Claims = []persistence.Claim{{Kind: persistence.ClaimEmail, Value: "a@b.c"}}
			claims.Account.Email = "a@b.c"
			fresh := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			turns := []*persistence.Turn{grains[0].follows(grains[1].id), grains[1].does("e1", "e2"), claims, grains[3].deletes(), fresh.registers()}
			for _, o := range w.commits(t, turns...) {
				if o.Status != persistence.Committed {
					t.Fatalf("first time: status %d, want committed", o.Status)
				}
			}
			before := w.everything(t)
			equal(t, "second time", statuses(w.commits(t, turns...)), slices.Repeat([]persistence.TurnStatus{persistence.Stale}, len(turns)))
			equal(t, "what is stored", w.everything(t), before)
		},
		"a turn writes the lists of its user alone": func(t *testing.T, w *world) {
			grains := w.registered(t, 3)
			a, b := grains[0], grains[1]
			w.takes(t, a, a.follows(b.id, grains[2].id))
			w.takes(t, b, b.followedBy(a.id))
			turn := a.records(persistence.KindCrewFollowed, persistence.KindStudioFollowed)
			turn.Crew = []persistence.Edge{{ID: 1<<63 - 1, At: at(9), Seq: turn.Records[0].Seq}}
			turn.Studios = []persistence.Edge{{ID: 7, At: at(9), Seq: turn.Records[1].Seq}}
			w.takes(t, a, turn)
			all := w.everything(t)
			equal(t, "following", all[0].Following, []uint64{uint64(b.id), uint64(grains[2].id)})
			equal(t, "crew", all[0].Crew, []uint64{1<<63 - 1})
			equal(t, "studios", all[0].Studios, []uint64{7})
			equal(t, "followers", all[1].Followers, []uint64{uint64(a.id)})
			equal(t, "not yet told", all[2].Followers, nil)

			turn = a.records(persistence.KindUnfollowed, persistence.KindUnfollowed, persistence.KindFollowed)
			turn.Following = []persistence.Edge{{ID: uint64(b.id), Removed: true}, {ID: uint64(grains[2].id), At: at(99), Seq: turn.Records[2].Seq}}
			w.takes(t, a, turn)
			equal(t, "an edge begun anew has its new time and place", must(w.List(t.Context(), persistence.EdgeFollowing, a.id, 0, 9))(t),
				[]persistence.Edge{{ID: uint64(grains[2].id), At: at(99), Seq: turn.Records[2].Seq}})
		},
		"marks are saved with the batch and never go back": func(t *testing.T, w *world) {
			save := func(marks ...persistence.Mark) {
				t.Helper()
				outcomes, err := w.Commit(t.Context(), persistence.Batch{Node: w.node, Marks: marks})
				noError(t, err)
				equal(t, "outcomes", len(outcomes), 0)
			}
			save(persistence.Mark{Tail: persistence.TailEffects, Lane: 0, Pos: 7}, persistence.Mark{Tail: persistence.TailEffects, Lane: 63, Pos: 9}, persistence.Mark{Tail: "other", Lane: 0, Pos: 1})
			save(persistence.Mark{Tail: persistence.TailEffects, Lane: 0, Pos: 5}, persistence.Mark{Tail: persistence.TailEffects, Lane: 63, Pos: 10})
			equal(t, "marks", must(w.Marks(t.Context(), persistence.TailEffects))(t), [persistence.LaneCount]uint64{0: 7, 63: 10})
			equal(t, "another tail", must(w.Marks(t.Context(), "other"))(t), [persistence.LaneCount]uint64{0: 1})
		},
		"a turn that contradicts itself is refused with its batch": func(t *testing.T, w *world) {
			grains := w.registered(t, 2)
			for name, spoil := range map[string]func(*persistence.Turn){
				"no records":        func(turn *persistence.Turn) { turn.Records = nil },
				"a gap":             func(turn *persistence.Turn) { turn.Records[0].Seq++ },
				"another's record":  func(turn *persistence.Turn) { turn.Records[0].User++ },
				"another's row":     func(turn *persistence.Turn) { turn.Account.ID++ },
				"version of no use": func(turn *persistence.Turn) { turn.Account.Version++ },
			} {
				bad := grains[0].records(persistence.KindPrivacySet)
				spoil(bad)
				_, err := w.Commit(t.Context(), persistence.Batch{Node: w.node, Turns: []*persistence.Turn{grains[1].records(persistence.KindPrivacySet), bad}})
				if err == nil {
					t.Fatalf("%s: no error", name)
				}
				wantError(t, err, persistence.ErrNotCommitted)
			}
			equal(t, "version of the neighbour", w.history(t, grains[1].id).Version, 1)
		},
		"concurrent batches all commit, each user in order": func(t *testing.T, w *world) {
			const writers, turns = 8, 20
			grains := w.registered(t, writers)
			var running sync.WaitGroup
			errs := make(chan error, writers)
			for i, g := range grains {
				running.Go(func() {
					for n := range turns {
						turn := g.does(fmt.Sprintf("e%d", n))
						outcomes, err := w.Commit(t.Context(), persistence.Batch{Node: w.node, Turns: []*persistence.Turn{turn}})
						if err == nil && outcomes[0].Status != persistence.Committed {
							err = fmt.Errorf("turn %d of writer %d: status %d", n, i, outcomes[0].Status)
						}
						if err != nil {
							errs <- err
							return
						}
						g.took(turn)
					}
				})
			}
			running.Wait()
			close(errs)
			for err := range errs {
				t.Error(err)
			}
			for _, g := range grains {
				h := w.history(t, g.id)
				noError(t, h.Err)
				equal(t, "version", h.Version, turns+1)
			}
		},
	})
	rules(t, open, map[string]func(*testing.T, *world){
		"a deletion leaves a tombstone and no way in": func(t *testing.T, w *world) {
			g := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			turn := g.registers()
			turn.PasswordHash = "argon"
			w.takes(t, g, turn)
			session := persistence.Session{ID: [16]byte{1}, User: g.id, CreatedAt: at(0), ExpiresAt: at(1)}
			noError(t, w.CreateSession(t.Context(), session))
			deletion := g.deletes()
			w.takes(t, g, deletion)

			equal(t, "the history", w.history(t, g.id), persistence.History{User: g.id, Deleted: true})
			equal(t, "the row", must(w.Accounts(t.Context(), []user.ID{g.id}))(t)[0], nil)
			_, err := w.ByUsername(t.Context(), g.account.Username)
			wantError(t, err, persistence.ErrNotFound)
			_, err = w.ByUID(t.Context(), g.account.UID)
			wantError(t, err, persistence.ErrNotFound)
			_, err = w.PasswordHash(t.Context(), g.id)
			wantError(t, err, persistence.ErrNotFound)
			session.ID[0]++
			wantError(t, w.CreateSession(t.Context(), session), persistence.ErrNotFound)
			all := w.everything(t)
			if len(all) != 1 || !all[0].Deleted || all[0].Account != nil {
				t.Fatalf("stored about the deleted user: %+v", all)
			}
			equal(t, "the journal stays", all[0].Records, slices.Concat(turn.Records, deletion.Records))

			again := newGrain(g.id)
			equal(t, "any later turn", statuses(w.commits(t, again.registers())), []persistence.TurnStatus{persistence.Stale})
			equal(t, "any later turn", statuses(w.commits(t, g.records(persistence.KindPrivacySet))), []persistence.TurnStatus{persistence.Stale})
			equal(t, "any later turn", statuses(w.commits(t, g.deletes())), []persistence.TurnStatus{persistence.Stale})
		},
		"a name is free after its user is gone": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			w.takes(t, g, g.deletes())
			next := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			next.account.Username = g.account.Username
			w.takes(t, next, next.registers())
			equal(t, "who bears it", must(w.ByUsername(t.Context(), g.account.Username))(t).ID, next.id)
		},
		"a password hash is stored with the registration": func(t *testing.T, w *world) {
			g := newGrain(must(w.NextIDs(t.Context(), 1))(t))
			turn := g.registers()
			turn.PasswordHash = "$argon2id$v=19$m=19456"
			w.takes(t, g, turn)
			equal(t, "hash", must(w.PasswordHash(t.Context(), g.id))(t), turn.PasswordHash)
		},
		"an erased event is blank and keeps its place": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			w.takes(t, g, g.does("e1", "e2"))
			before := w.lane(t, persistence.LaneOf(g.id))
			w.takes(t, g, g.erases("e1"))
			after := w.lane(t, persistence.LaneOf(g.id))
			want := slices.Clone(before)
			want[1].Kind, want[1].Payload = persistence.KindActivityErased, nil
			equal(t, "the lane", after[:3], want)
			equal(t, "the deletion", after[3].Kind, persistence.KindActivityDeleted)
			equal(t, "its id is not in the unique column", after[3].EventID, "")
		},
		"an event recorded and erased in one turn is stored blank": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			turn := g.records(persistence.KindActivityRecorded, persistence.KindActivityDeleted)
			turn.Records[0].EventID, turn.Erase = "e1", []string{"e1"}
			w.takes(t, g, turn)
			stored := w.history(t, g.id).Records[1]
			equal(t, "kind", stored.Kind, persistence.KindActivityErased)
			equal(t, "payload", len(stored.Payload), 0)
			equal(t, "id", stored.EventID, "e1")
			equal(t, "what the caller holds is what is stored", turn.Records[0], stored)
		},
		"times keep their microseconds": func(t *testing.T, w *world) {
			g := w.registered(t, 1)[0]
			turn := g.records(persistence.KindPrivacySet)
			turn.Records[0].At = time.Date(2031, 12, 31, 23, 59, 59, 999999000, time.UTC)
			w.takes(t, g, turn)
			equal(t, "time", w.history(t, g.id).Records[1].At, turn.Records[0].At)
		},
	})
}
