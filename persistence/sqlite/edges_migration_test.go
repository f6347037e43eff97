package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/sqlite"
	kithv1 "kith/proto/kith/v1"
)

// beforeSeqs is the version of the tables in which edges had no seq.
const beforeSeqs = 4

// oldJournal writes the journals and edges that a kith of that version left: user
// n follows and is followed in an order that neither times nor ids show.
func oldJournal(ctx context.Context, db *sql.DB, users int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // no more than a precaution once it has committed
	for n := 1; n <= users; n++ {
		seq := 0
		add := func(kind persistence.Kind, m proto.Message) error {
			payload, err := proto.Marshal(m)
			if err != nil {
				return err
			}
			seq++
			_, err = tx.ExecContext(ctx, `INSERT INTO journal (place, user_id, seq, kind, at, payload) VALUES (?, ?, ?, ?, 1, ?)`,
				int64(n%persistence.LaneCount)<<56|int64(n*100+seq), n, seq, kind, payload)
			return err
		}
		for _, r := range []struct {
			kind persistence.Kind
			m    proto.Message
		}{
			{persistence.KindRegistered, &kithv1.Registered{Uid: []byte("0123456789abcdef"), Username: "u"}},
			{persistence.KindFollowed, &kithv1.Followed{Target: 9}},
			{persistence.KindFollowed, &kithv1.Followed{Target: 1 << 40}},
			{persistence.KindFollowerAdded, &kithv1.FollowerAdded{Source: 300, Lane: 9, Pos: 77, FollowedAtUs: 5}},
			{persistence.KindCrewFollowed, &kithv1.CrewFollowed{Crew: 1<<63 - 1}},
			{persistence.KindUnfollowed, &kithv1.Unfollowed{Target: 9}},
			{persistence.KindFollowed, &kithv1.Followed{Target: 7}},
			{persistence.KindFollowed, &kithv1.Followed{Target: 9}}, // begun anew
			{persistence.KindStudioFollowed, &kithv1.StudioFollowed{Studio: 4}},
			{persistence.KindFollowed, &kithv1.Followed{Target: 8}},
			{persistence.KindUnfollowed, &kithv1.Unfollowed{Target: 8}}, // and it is no edge
		} {
			if err := add(r.kind, r.m); err != nil {
				return err
			}
		}
		for list, ids := range map[string][]int64{
			"following": {7, 9, 1 << 40}, "followers": {300}, "followed_crew": {1<<63 - 1}, "followed_studios": {4},
		} {
			for _, id := range ids {
				if _, err := tx.ExecContext(ctx, `INSERT INTO `+list+` (user_id, id, at) VALUES (?, ?, 5)`, n, id); err != nil {
					return err
				}
			}
		}
	}
	for _, id := range []int64{7, 9, 300, 1 << 40} {
		_, err := tx.ExecContext(ctx, `INSERT INTO users (id, uid, username, name, role, picture, followers, following, streams, videos,
			privacy, created_at, updated_at, version, email, bio, crew_members, studios)
			VALUES (?, ?, ?, '', 'user', '', 0, 0, 0, 0, 5, 1, 1, 1, '', '', 0, 0)`, id, fmt.Appendf(nil, "%016d", id), fmt.Sprintf("user%d", id))
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

func TestEdgesFromBeforeTheyHadASeqFindItInTheJournal(t *testing.T) {
	t.Parallel()
	const users = 250 // more than two pages of the migration
	path := filepath.Join(t.TempDir(), "kith.db")
	if err := sqlite.AtVersion(t.Context(), path, beforeSeqs, func(db *sql.DB) error { return oldJournal(t.Context(), db, users) }); err != nil {
		t.Fatal(err)
	}
	db := openAt(t, sqlite.Config{Path: path})
	for id := user.ID(1); id <= users; id++ {
		for kind, want := range map[persistence.EdgeKind]string{
			persistence.EdgeFollowing: "9@8 7@7 1099511627776@3", persistence.EdgeFollowers: "300@4",
			persistence.EdgeCrew: "9223372036854775807@5", persistence.EdgeStudios: "4@9",
		} {
			edges, err := db.List(t.Context(), kind, id, 0, 9)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range edges {
				got = append(got, fmt.Sprintf("%d@%d", e.ID, e.Seq))
			}
			if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
				t.Fatalf("user %d, list %d (-want +got): %s", id, kind, diff)
			}
		}
	}
}

// An edge without a record would have no place in its list.
func TestAnOldEdgeWithoutARecordStopsTheMigration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kith.db")
	err := sqlite.AtVersion(t.Context(), path, beforeSeqs, func(db *sql.DB) error {
		if err := oldJournal(t.Context(), db, 1); err != nil {
			return err
		}
		_, err := db.ExecContext(t.Context(), `DELETE FROM journal WHERE kind = 14`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Migrate(t.Context(), path); err == nil || !strings.Contains(err.Error(), "1 rows of followers have no record") {
		t.Errorf("error %v", err)
	}
	if v, err := sqlite.Status(t.Context(), path); err != nil || v.Current != beforeSeqs {
		t.Errorf("status %+v, error %v: the tables were changed", v, err)
	}
}
