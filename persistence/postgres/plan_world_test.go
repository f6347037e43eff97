package postgres_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/postgres"
	"kith/test/services"
)

// With -plan.users=1000000 nothing about the world is pretended.
var planUsers = flag.Int("plan.users", 10_000, "how many users the plans are made for; their statistics are those of a million")

// Users of the world who are not like the others.
const (
	planStar   user.ID = 1 // whom everybody follows
	planReader user.ID = 2 // who follows planReads more of everything
	planActor  user.ID = 3 // who has planEvents events more

	planReads  = 2000
	planEvents = 12_000
	planDegree = 9 // how many others everybody follows, besides the star
)

// planWorld is a world of so many users, each with as many edges and events.
func planWorld(users int) postgres.World {
	at := time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)
	n := uint64(users)
	turn := func(id user.ID) (*persistence.Turn, error) {
		t := &persistence.Turn{User: id, PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZWhhc2hzb21laGFzaHNvbWVoYXNoc29tZWhhc2g"}
		record := func(kind persistence.Kind) *persistence.Record {
			seq := uint64(len(t.Records)) + 1
			t.Records = append(t.Records, persistence.Record{User: id, Seq: seq, Kind: kind, At: at.Add(time.Duration(seq) * time.Minute), Payload: []byte("some bytes of a record")})
			return &t.Records[seq-1]
		}
		record(persistence.KindRegistered)
		follow := func(kind persistence.Kind, list *[]persistence.Edge, other uint64) {
			r := record(kind)
			*list = append(*list, persistence.Edge{ID: other, At: r.At, Seq: r.Seq})
		}
		i := uint64(id) - 1
		if id != planStar {
			follow(persistence.KindFollowed, &t.Following, uint64(planStar))
		}
		for k := range uint64(planDegree) {
			follow(persistence.KindFollowed, &t.Following, 3+(i+1+k*k*k*7)%(n-3))
		}
		followers := uint64(planDegree)
		if id == planStar {
			followers = n - 1
		}
		for k := range followers {
			follow(persistence.KindFollowerAdded, &t.Followers, 1+(i+1+k)%n)
		}
		for k := range uint64(3) {
			follow(persistence.KindCrewFollowed, &t.Crew, 1+(i*7+k)%5000)
			follow(persistence.KindStudioFollowed, &t.Studios, 1+(i*3+k)%300)
		}
		if id == planReader {
			for k := range uint64(planReads) {
				follow(persistence.KindFollowed, &t.Following, n/2+k)
				follow(persistence.KindCrewFollowed, &t.Crew, 10_000+k)
				follow(persistence.KindStudioFollowed, &t.Studios, 10_000+k)
			}
		}
		events := uint64(3)
		if id == planActor {
			events += planEvents
		}
		for k := range events {
			record(persistence.KindActivityRecorded).EventID = fmt.Sprintf("0190a1b2-c3d4-7e5f-8718-%012x", k)
		}
		t.Account = user.Account{Card: user.Card{
			ID: id, UID: user.UID{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16), 15: 1}, Username: fmt.Sprintf("user_%07d", i*7919%n), Name: planName(int(i)),
			Role: user.RoleUser, Followers: int64(len(t.Followers)), Following: int64(len(t.Following)), Privacy: user.DefaultPrivacy(),
			CreatedAt: at, UpdatedAt: at, Version: uint64(len(t.Records)),
		}, Email: fmt.Sprintf("user%d@example.org", i), Preferences: user.DefaultPreferences()}
		t.Claims = []persistence.Claim{{Kind: persistence.ClaimUsername, Value: t.Account.Username}, {Kind: persistence.ClaimEmail, Value: t.Account.Email}}
		return t, nil
	}
	return postgres.World{Users: users, Turn: turn, ClaimedAt: at, Tails: []persistence.TailName{persistence.TailEffects, persistence.TailBroker}}
}

func planName(i int) string {
	first := [...]string{"Ann", "Boris", "Carmen", "David", "Esther", "Farid", "Greta", "Hugo", "Ines", "Jane", "Karim", "Lena", "Marta", "Nils", "Olga", "Pavel"}
	last := [...]string{"Ander", "Berg", "Castel", "Dahl", "Eriks", "Fuchs", "Gold", "Hart", "Ivan", "Jans", "Keller", "Lind", "Moor", "Novak", "Ost", "Peters"}
	return first[i%len(first)] + " " + last[i/len(first)%len(last)]
}

// planRest fills, for so many users, what no turn of a world does.
func planRest(users int) []string {
	uuid := func(kind string) string { return `md5('` + kind + `' || i)::uuid` }
	series := func(n int) string { return fmt.Sprintf(` FROM generate_series(1, %d) AS i`, n) }
	return []string{
		`INSERT INTO sessions (id, user_id, generation, rotations, created_at, expires_at, access_until)
			SELECT ` + uuid("session") + `, 1 + i % ` + fmt.Sprint(users) + `, 0, '{}', now(), now() + i * interval '1 second', now()` + series(users/2),
		`INSERT INTO ended_sessions (seq, id, until) SELECT i, ` + uuid("ended") + `, now() + i * interval '1 second'` + series(users/10),
		`UPDATE counters SET next_ended = 1 + ` + fmt.Sprint(users/10),
		`INSERT INTO deleted_users SELECT ` + fmt.Sprint(10*users) + ` + i, ` + uuid("deleted") + `, 'gone_' || i, 'Gone', 'user', '', 0, 0, 0, 0, 1, now(), now(), 2, 0, 0, '', '', NULL, now()` + series(users/20),
		`INSERT INTO snapshots (user_id, seq, state) SELECT i, 5, convert_to(repeat('s', 300), 'UTF8')` + series(users/2),
		`INSERT INTO claims (kind, value, user_id, at, loose) SELECT 2, 'loose' || i || '@example.org', i, now() - interval '1 hour', true` + series(users/50),
		`INSERT INTO parked (target, lane, pos, at, reason) SELECT i % 100, i % 64, i, now(), 'why'` + series(users/10),
		`INSERT INTO notifications_seen (user_id, seq) SELECT i, CASE i WHEN 1 THEN ` + fmt.Sprint(users-50) + ` ELSE 5 END` + series(users/2), // the star has seen most
	}
}

// planDB returns a database with the world.
func planDB(tb testing.TB) (*postgres.DB, string) {
	tb.Helper()
	url := services.Database(tb)
	db := openAt(tb, postgres.Config{URL: url})
	c := dial(tb, url)
	// Nobody else is to gather statistics.
	exec(tb, c, `DO $$ DECLARE t text; BEGIN FOR t IN SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
		LOOP EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = false)', t); END LOOP; END $$`)
	if err := postgres.Load(tb.Context(), url, planWorld(*planUsers)); err != nil {
		tb.Fatal(err)
	}
	for _, sql := range planRest(*planUsers) {
		exec(tb, c, sql)
	}
	exec(tb, c, `VACUUM ANALYZE`)
	return db, url
}

// pretendAMillion makes the statistics of the world those of one with a million
// users.
//
// A world of a million takes minutes to load. So a smaller one says of itself, in
// pg_class, that there are so many more rows for each page of its tables and
// indexes; how many that makes the planner works out from the pages that there
// are. Its files remain as small as they are: reading all of one looks cheaper than
// it would be, and a plan that prefers an index all the same would do so even more
// at full size.
//
// What the planner knows of values are fractions, which stay true, except for how
// many users there are in a list or in the journal. From a sample of a large table
// it believes in far fewer than there are, and then in longer lists: a tenth of
// the users makes lists ten times as long. Plans must be the same either way.
func pretendAMillion(tb testing.TB, c *pgx.Conn, fewer float64) {
	tb.Helper()
	const full = 1_000_000
	if *planUsers == full {
		return
	}
	if !ask[bool](tb, c, `SELECT rolsuper FROM pg_roles WHERE rolname = current_user`) {
		tb.Fatal("only a superuser can change statistics: test with one, or with -plan.users=1000000")
	}
	for table, rows := range map[string]float64{"following": 1 + planDegree, "followers": 1 + planDegree, "followed_crew": 3, "followed_studios": 3, "journal": 11 + 2*planDegree} {
		exec(tb, c, fmt.Sprintf(`ALTER TABLE %s ALTER user_id SET (n_distinct = %g)`, table, -1/(rows*fewer)))
	}
	exec(tb, c, `ANALYZE`)
	exec(tb, c, `UPDATE pg_class SET reltuples = reltuples * $1 WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i') AND reltuples > 100`, float32(full)/float32(*planUsers))
}
