package postgres_test

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
	"kith/test/services"
)

// loaded is a small world in which the orders of ids, usernames and uids differ.
func loaded(users int) postgres.World {
	at := time.UnixMicro(1_700_000_000_000_000).UTC()
	turn := func(id user.ID) (*persistence.Turn, error) {
		n := uint64(id)
		a := user.Account{Card: user.Card{
			ID: id, UID: user.UID{byte(255 - n%256), byte(n >> 8)}, Username: fmt.Sprintf("u%d", n*7919%1000), Name: fmt.Sprintf("Ann B%d", n%5),
			Role: user.RoleUser, Picture: "p", Followers: 1, Following: 3, Streams: 5, Videos: 6, Privacy: user.DefaultPrivacy(),
			CreatedAt: at, UpdatedAt: at.Add(time.Hour), Version: 4,
		}, Email: fmt.Sprintf("U%d@x.org", n), Bio: "bio", Preferences: user.DefaultPreferences(), CrewMembers: 7, Studios: 8}
		if id%3 == 0 {
			a.Preferences.Language = "de"
		}
		t := &persistence.Turn{
			User: id, Account: a, PasswordHash: "hash",
			Claims: []persistence.Claim{{Kind: persistence.ClaimEmail, Value: user.EmailKey(a.Email)}, {Kind: persistence.ClaimUsername, Value: a.Username}},
			// Not in order, and not of one time.
			Following: []persistence.Edge{{ID: n + 9, At: at, Seq: 3}, {ID: n + 2, At: at.Add(time.Duration(id) * time.Second), Seq: 1}, {ID: n + 5, At: at, Seq: 2}},
			Followers: []persistence.Edge{{ID: n + 1, At: at, Seq: 2}},
			Crew:      []persistence.Edge{{ID: 8, At: at, Seq: 4}},
			Studios:   []persistence.Edge{{ID: 9, At: at, Seq: 1}},
		}
		for i, kind := range []persistence.Kind{persistence.KindRegistered, persistence.KindActivityRecorded, persistence.KindProfileUpdated, persistence.KindFollowed} {
			r := persistence.Record{User: id, Seq: uint64(i) + 1, Kind: kind, At: at.Add(time.Duration(i) * time.Second), Payload: []byte{byte(i)}}
			if kind == persistence.KindActivityRecorded && id%2 == 0 {
				r.EventID, r.Payload = "e", nil
			}
			t.Records = append(t.Records, r)
		}
		return t, nil
	}
	return postgres.World{Users: users, Turn: turn, ClaimedAt: at, Tails: []persistence.TailName{persistence.TailEffects, persistence.TailBroker}}
}

// What is loaded is what the commits of the same turns leave, in every table, with
// every index.
func TestLoadLeavesWhatCommitsLeave(t *testing.T) {
	t.Parallel()
	const users = 300
	w := loaded(users)
	fast, slow := services.Database(t), services.Database(t)
	steps := 0
	w.Progress = func(n int) { steps += n }
	if err := postgres.Load(t.Context(), fast, w); err != nil {
		t.Fatal(err)
	}
	if steps != 2*users {
		t.Errorf("%d steps of progress, want %d", steps, 2*users)
	}

	db := openAt(t, postgres.Config{URL: slow, Now: func() time.Time { return w.ClaimedAt }})
	node := acquire(t, db)
	if _, err := db.NextIDs(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	batch := persistence.Batch{Node: node}
	for id := user.ID(1); id <= users; id++ {
		turn, err := w.Turn(id)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Claim(t.Context(), id, turn.Claims); err != nil {
			t.Fatal(err)
		}
		batch.Turns = append(batch.Turns, turn)
	}
	mustCommit(t, db, node, batch.Turns...)
	heads, err := db.Heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	batch.Turns = nil
	for _, tail := range w.Tails {
		for lane, pos := range heads {
			batch.Marks = append(batch.Marks, persistence.Mark{Tail: tail, Lane: uint8(lane), Pos: pos})
		}
	}
	if _, err := db.Commit(t.Context(), batch); err != nil {
		t.Fatal(err)
	}

	got, want := dump(t, fast), dump(t, slow)
	for table, rows := range want {
		if table == "nodes" || table == "lanes" { // nobody has held the lanes of what was loaded
			continue
		}
		if !reflect.DeepEqual(got[table], rows) {
			t.Errorf("table %s: %.500v\nwant %.500v", table, got[table], rows)
		}
	}
	if len(want["journal"]) != 4*users || len(want["name_prefixes"]) == 0 || len(got) != len(want) {
		t.Errorf("%d records, %d prefixes; %d tables, want %d", len(want["journal"]), len(want["name_prefixes"]), len(got), len(want))
	}

	// The server that opens it goes on where it ends.
	opened := openAt(t, postgres.Config{URL: fast})
	first, err := opened.NextIDs(t.Context(), 1)
	if err != nil || first != users+1 {
		t.Fatalf("the next id is %d (%v)", first, err)
	}
	register(t, opened, acquire(t, opened), first)
}

// dump returns the rows of all tables, sorted, and the indexes.
func dump(tb testing.TB, url string) map[string][]string {
	tb.Helper()
	c := dial(tb, url)
	list := func(sql string) []string {
		rows, err := c.Query(tb.Context(), sql)
		if err != nil {
			tb.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			tb.Fatal(err)
		}
		return all
	}
	tables := make(map[string][]string)
	for _, table := range list(`SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'goose_db_version'`) {
		tables[table] = list(`SELECT x::text FROM ` + table + ` x ORDER BY 1`)
	}
	tables["indexes"] = list(`SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1`)
	return tables
}

// A world that is not whole leaves nothing, and what is there stays as it is.
func TestLoadIsAllOrNothing(t *testing.T) {
	t.Parallel()
	url := services.Database(t)
	openAt(t, postgres.Config{URL: url})
	before := dump(t, url)
	missing := errors.New("missing")
	for name, spoil := range map[string]func(*persistence.Turn) error{
		"a turn that is not there":   func(*persistence.Turn) error { return missing },
		"a deletion":                 func(t *persistence.Turn) error { t.Deleted = true; return nil },
		"a later turn":               func(t *persistence.Turn) error { t.Version = 1; return nil },
		"another user's records":     func(t *persistence.Turn) error { t.Records[1].User++; return nil },
		"an edge that is removed":    func(t *persistence.Turn) error { t.Crew[0].Removed = true; return nil },
		"a name that is taken twice": func(t *persistence.Turn) error { t.Claims[1].Value, t.Account.Username = "u919", "u919"; return nil }, // of user 1
		"a text that cannot be":      func(t *persistence.Turn) error { t.Account.Bio = "\x00"; return nil },
	} {
		w := loaded(50)
		turn := w.Turn
		w.Turn = func(id user.ID) (*persistence.Turn, error) {
			made, err := turn(id)
			if id == 40 {
				err = spoil(made)
			}
			return made, err
		}
		if err := postgres.Load(t.Context(), url, w); err == nil {
			t.Errorf("%s: it is loaded", name)
		}
		if after := dump(t, url); !reflect.DeepEqual(after, before) {
			t.Fatalf("%s: %.500v is left", name, after)
		}
	}
	if err := postgres.Load(t.Context(), url, loaded(1)); err != nil {
		t.Fatal(err)
	}
	before = dump(t, url)
	wantError(t, postgres.Load(t.Context(), url, loaded(2)), fs.ErrExist)
	if after := dump(t, url); !reflect.DeepEqual(after, before) {
		t.Error("what was there is not as it was")
	}
}
