package postgres

import (
	"strconv"
	"strings"
)

// part is a part of the statement that writes a batch. A batch is written by a
// statement of the parts that it needs: what a follow needs is planned and run in
// half the time of all parts.
type part uint32

const (
	partPlain     part = 1 << iota // rows of which only numbers and times change
	partChange                     // rows of which anything changes
	partRegister                   // new rows
	partDelete                     // rows that move to deleted_users
	partTies                       // users whose claims may be borne afterwards, or no more
	partClaims                     // claims that must be held
	partEvents                     // records with event ids
	partErase                      // events to blank
	partPassword                   // password hashes
	partDropNames                  // search prefixes that go
	partAddNames                   // search prefixes that come
	partMarks                      // marks of tails
	partLists                      // the first of two for each list: edges that come, edges that go

	partTurns = partPlain | partChange | partRegister | partDelete
)

// lists are the follow lists, in the order of their parts and columns.
func lists() [4]string {
	return [...]string{"following", "followers", "followed_crew", "followed_studios"}
}

func putPart(list int) part    { return partLists << (2 * list) }
func removePart(list int) part { return partLists << (2*list + 1) }

// statement is a text with the columns that are its parameters, in order.
type statement struct {
	name    string // "" until it is prepared
	text    string
	columns []column
}

// What to do with a whole row: colFullDo.
const (
	doChange   = 1
	doRegister = 2
	doDelete   = 3
)

// compose returns the statement of some parts. It returns one row: whether the
// fence holds, and the ids of the users whose turns were taken.
//
// All parts see one snapshot, so a row is written by at most one of them. They run
// only while the fence holds, and after it is locked: each begins with the test of
// it. Whether a user's turn is taken is decided where the row is written (ok), and
// what else the turn writes follows from that. Those tests are written "(x IN (…))
// IS TRUE", since a plain IN would be planned as a join, which is quadratic here.
func compose(p part) *statement {
	s := &composer{st: new(statement), seen: make(map[column]int), parts: p}
	s.add(`WITH fence AS MATERIALIZED (SELECT 1 FROM nodes WHERE id = `, colNode, ` AND epoch = `, colEpoch, ` FOR KEY SHARE)`)
	s.guards()
	s.rows()
	if p&partTurns != 0 {
		s.records()
		s.edges()
		s.rest()
	}
	if p&partMarks != 0 {
		s.add(`, marked AS (INSERT INTO tails (name, lane, pos) SELECT m.name, m.lane, m.pos FROM unnest(`, colMarkTail, colMarkLane, colMarkPos, `) AS m (name, lane, pos)
	WHERE EXISTS (SELECT 1 FROM fence) ON CONFLICT (name, lane) DO UPDATE SET pos = excluded.pos WHERE excluded.pos > tails.pos)`)
	}
	if p&partTurns != 0 {
		s.add(` SELECT EXISTS (SELECT 1 FROM fence), (SELECT array_agg(id) FROM ok)`)
	} else {
		s.add(` SELECT EXISTS (SELECT 1 FROM fence), NULL::bigint[]`)
	}
	s.st.text = s.b.String()
	return s.st
}

type composer struct {
	b     strings.Builder
	st    *statement
	seen  map[column]int // their numbers
	parts part
}

func (s *composer) has(p part) bool { return s.parts&p != 0 }

// add writes texts and parameters; parameters that follow each other are set off
// by commas.
func (s *composer) add(pieces ...any) {
	after := false // a parameter
	for _, piece := range pieces {
		switch piece := piece.(type) {
		case string:
			s.b.WriteString(piece)
			after = false
		case column:
			if after {
				s.b.WriteString(", ")
			}
			s.param(piece)
			after = true
		}
	}
}

func (s *composer) param(c column) {
	n, ok := s.seen[c]
	if !ok {
		s.st.columns = append(s.st.columns, c)
		n = len(s.st.columns)
		s.seen[c] = n
	}
	s.b.WriteByte('$')
	s.b.WriteString(strconv.Itoa(n))
	s.b.WriteString("::")
	s.b.WriteString(sqlType(columnType(c)))
	if c != colNode && c != colEpoch {
		s.b.WriteString("[]")
	}
}

// guards reads what may refuse a turn, besides its version.
func (s *composer) guards() {
	if s.has(partTies) {
		// The lock makes whoever sweeps or releases a claim wait for the batch, and
		// the batch for them. All lock by kind and value; so all that will be changed
		// is locked here. Index: claims_user.
		s.add(`, held AS MATERIALIZED (SELECT c.user_id, c.kind, c.value FROM claims c WHERE c.user_id = ANY (`, colTieUser, `) AND EXISTS (SELECT 1 FROM fence)
	ORDER BY c.kind, c.value FOR NO KEY UPDATE)`)
	}
	if s.has(partClaims) {
		s.add(`, holders AS MATERIALIZED (SELECT x.user_id, count(*) AS n FROM unnest(`, colClaimUser, colClaimKind, colClaimValue, `) AS x (user_id, kind, value)
	WHERE ((x.user_id, x.kind, x.value) IN (SELECT user_id, kind, value FROM held)) IS TRUE GROUP BY x.user_id)`)
	}
	if s.has(partEvents) { // index: journal_event
		s.add(`, known AS MATERIALIZED (SELECT x.user_id FROM unnest(`, colEventUser, colEventID, `) AS x (user_id, id)
	WHERE EXISTS (SELECT 1 FROM journal j WHERE j.user_id = x.user_id AND j.event_id = x.id))`)
	}
	if s.has(partErase) { // index: journal_event
		s.add(`, missing AS MATERIALIZED (SELECT x.user_id FROM unnest(`, colEraseUser, colEraseID, `) AS x (user_id, id)
	WHERE NOT EXISTS (SELECT 1 FROM journal j WHERE j.user_id = x.user_id AND j.event_id = x.id AND j.kind <> 12))`)
	}
}

// holds writes the guards of a turn t.
func (s *composer) holds(full bool) {
	s.add(` EXISTS (SELECT 1 FROM fence)`)
	if full && s.has(partClaims) {
		s.add(` AND (t.claims = 0 OR (t.id, t.claims) IN (SELECT user_id, n FROM holders))`)
	}
	if s.has(partEvents) {
		s.add(` AND (t.id IN (SELECT user_id FROM known)) IS NOT TRUE`)
	}
	if s.has(partErase) {
		s.add(` AND (t.id IN (SELECT user_id FROM missing)) IS NOT TRUE`)
	}
}

// rows writes the rows of users, and says whose were written.
func (s *composer) rows() {
	var taken []string
	if s.has(partPlain) {
		s.add(`, plain AS (UPDATE users u SET version = t.next, followers = t.followers, following = t.following, streams = t.streams, videos = t.videos,
	crew_members = t.crew, studios = t.studios, updated_at = t.updated`)
		if s.has(partEvents) {
			s.add(`, last_activity_at = coalesce(t.active, u.last_activity_at)`)
		}
		s.add(` FROM unnest(`, colID, colVersion, colNext, colFollowers, colFollowing, colStreams, colVideos, colCrew, colStudios, colUpdated)
		if s.has(partEvents) {
			s.add(`, `, colActive)
		}
		s.add(`) AS t (id, version, next, followers, following, streams, videos, crew, studios, updated`)
		if s.has(partEvents) {
			s.add(`, active`)
		}
		s.add(`) WHERE u.id = t.id AND u.version = t.version AND`)
		s.holds(false)
		s.add(` RETURNING u.id)`)
		taken = append(taken, "plain")
	}
	if s.has(partChange) {
		// uid and username never change.
		s.add(`, changed AS (UPDATE users u SET name = t.name, role = t.role, picture = t.picture, followers = t.followers, following = t.following,
	streams = t.streams, videos = t.videos, privacy = t.privacy, updated_at = t.updated, version = t.next, crew_members = t.crew, studios = t.studios,
	last_activity_at = coalesce(t.active, u.last_activity_at)
	FROM unnest(`, colFullDo, colFullClaims, colFullVersion, colFullID, colFullName, colFullRole, colFullPicture, colFullFollowers, colFullFollowing,
			colFullStreams, colFullVideos, colFullPrivacy, colFullUpdated, colFullNext, colFullCrew, colFullStudios, colFullActive, `)
	AS t (todo, claims, version, id, name, role, picture, followers, following, streams, videos, privacy, updated, next, crew, studios, active)
	WHERE t.todo = 1 AND u.id = t.id AND u.version = t.version AND`)
		s.holds(true)
		s.add(` RETURNING u.id)`)
		taken = append(taken, "changed")
	}
	if s.has(partRegister) {
		// In the order of the names: two committers wait for each other's in one order.
		s.add(`, registered AS (INSERT INTO users (id, uid, username, name, role, picture, followers, following, streams, videos, privacy,
	created_at, updated_at, version, crew_members, studios, last_activity_at)
	SELECT t.id, t.uid, t.username, t.name, t.role, t.picture, t.followers, t.following, t.streams, t.videos, t.privacy, t.created, t.updated, t.next, t.crew, t.studios, t.active
	FROM unnest(`, colFullDo, colFullClaims, colFullID, colFullUID, colFullUsername, colFullName, colFullRole, colFullPicture, colFullFollowers, colFullFollowing,
			colFullStreams, colFullVideos, colFullPrivacy, colFullCreated, colFullUpdated, colFullNext, colFullCrew, colFullStudios, colFullActive, `)
	AS t (todo, claims, id, uid, username, name, role, picture, followers, following, streams, videos, privacy, created, updated, next, crew, studios, active)
	WHERE t.todo = 2 AND NOT EXISTS (SELECT 1 FROM deleted_users d WHERE d.id = t.id) AND`)
		s.holds(true)
		s.add(` ORDER BY t.username ON CONFLICT DO NOTHING RETURNING id)`)
		taken = append(taken, "registered")
	}
	if s.has(partDelete) {
		s.deletions()
		taken = append(taken, "deleted")
	}
	if len(taken) > 0 {
		s.add(`, ok AS MATERIALIZED (SELECT id FROM `, strings.Join(taken, ` UNION ALL SELECT id FROM `), `)`)
	}
}

// deletions moves rows to deleted_users. A turn may register and delete at once:
// then there is no row yet.
func (s *composer) deletions() {
	s.add(`, gone AS (DELETE FROM users u USING unnest(`, colFullDo, colFullClaims, colFullVersion, colFullID, `) AS t (todo, claims, version, id)
	WHERE t.todo = 3 AND u.id = t.id AND u.version = t.version AND`)
	s.holds(true)
	s.add(` RETURNING u.id), never AS MATERIALIZED (SELECT t.id FROM unnest(`, colFullDo, colFullClaims, colFullVersion, colFullID, `) AS t (todo, claims, version, id)
	WHERE t.todo = 3 AND t.version = 0 AND NOT EXISTS (SELECT 1 FROM users u WHERE u.id = t.id) AND NOT EXISTS (SELECT 1 FROM deleted_users d WHERE d.id = t.id) AND`)
	s.holds(true)
	s.add(`), deleted AS (INSERT INTO deleted_users (id, uid, username, name, role, picture, followers, following, streams, videos, privacy,
	created_at, updated_at, version, crew_members, studios, email, bio, preferences, deleted_at)
	SELECT t.* FROM unnest(`, colFullID, colFullUID, colFullUsername, colFullName, colFullRole, colFullPicture, colFullFollowers, colFullFollowing,
		colFullStreams, colFullVideos, colFullPrivacy, colFullCreated, colFullUpdated, colFullNext, colFullCrew, colFullStudios, colFullEmail, colFullBio,
		colFullPreferences, colFullDeleted, `)
	AS t (id, uid, username, name, role, picture, followers, following, streams, videos, privacy, created, updated, next, crew, studios, email, bio, preferences, deleted)
	WHERE (t.id IN (SELECT id FROM gone UNION ALL SELECT id FROM never)) IS TRUE RETURNING id),
	no_profile AS (DELETE FROM profiles WHERE user_id = ANY (ARRAY(SELECT id FROM deleted))),
	no_password AS (DELETE FROM credentials WHERE user_id = ANY (ARRAY(SELECT id FROM deleted)))`)
}

// deleteSessions runs after the statement, so that it sees the sessions that were
// begun while the deletion waited for them.
const deleteSessions = `DELETE FROM sessions s WHERE s.user_id = ANY ($1::bigint[]) AND NOT EXISTS (SELECT 1 FROM users u WHERE u.id = s.user_id)`

// records appends what the taken turns recorded, at dense positions: the base is
// the place of the newest record of the lane.
func (s *composer) records() {
	event, column := "", []any{}
	if s.has(partEvents) {
		event, column = ", event_id", []any{`, `, colRecordEvent}
	}
	s.add(`, written AS (INSERT INTO journal (place, user_id, seq, at, kind, payload`, event, `)
	SELECT r.base + row_number() OVER (PARTITION BY r.base ORDER BY r.ord), r.user_id, r.seq, r.at, r.kind, r.payload`, event, `
	FROM unnest(`, colRecordBase, colRecordUser, colRecordSeq, colRecordAt, colRecordKind, colRecordPayload)
	s.add(column...)
	s.add(`) WITH ORDINALITY AS r (base, user_id, seq, at, kind, payload`, event, `, ord) WHERE (r.user_id IN (SELECT id FROM ok)) IS TRUE)`)
	if s.has(partErase) { // index: journal_event
		s.add(`, erased AS (UPDATE journal j SET kind = 12, payload = '' FROM unnest(`, colEraseUser, colEraseID, `) AS x (user_id, id)
	WHERE j.user_id = x.user_id AND j.event_id = x.id AND j.kind = 11 AND (x.user_id IN (SELECT id FROM ok)) IS TRUE)`)
	}
}

func (s *composer) edges() {
	for i, list := range lists() {
		put, remove := edgeColumns(i)
		if s.has(putPart(i)) {
			s.add(`, `, list, `_put AS (INSERT INTO `, list, ` (user_id, id, seq, at) SELECT e.user_id, e.id, e.seq, e.at
	FROM unnest(`, put, put+1, put+2, put+3, `) AS e (user_id, id, seq, at) WHERE (e.user_id IN (SELECT id FROM ok)) IS TRUE
	ON CONFLICT (user_id, id) DO UPDATE SET seq = excluded.seq, at = excluded.at)`)
		}
		if s.has(removePart(i)) {
			s.add(`, `, list, `_removed AS (DELETE FROM `, list, ` f USING unnest(`, remove, remove+1, `) AS e (user_id, id)
	WHERE f.user_id = e.user_id AND f.id = e.id AND (e.user_id IN (SELECT id FROM ok)) IS TRUE)`)
		}
	}
}

// rest writes what few turns write.
func (s *composer) rest() {
	if s.has(partChange | partRegister) {
		s.add(`, profile AS (INSERT INTO profiles (user_id, email, bio, preferences) SELECT t.id, t.email, t.bio, t.preferences
	FROM unnest(`, colFullDo, colFullID, colFullEmail, colFullBio, colFullPreferences, `) AS t (todo, id, email, bio, preferences)
	WHERE t.todo < 3 AND (t.id IN (SELECT id FROM ok)) IS TRUE
	ON CONFLICT (user_id) DO UPDATE SET email = excluded.email, bio = excluded.bio, preferences = excluded.preferences)`)
	}
	if s.has(partTies) {
		s.ties()
	}
	if s.has(partPassword) {
		s.add(`, password AS (INSERT INTO credentials (user_id, password_hash) SELECT p.user_id, p.hash
	FROM unnest(`, colPasswordUser, colPasswordHash, `) AS p (user_id, hash) WHERE (p.user_id IN (SELECT id FROM ok)) IS TRUE
	ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash)`)
	}
	if s.has(partDropNames) {
		s.add(`, unnamed AS (DELETE FROM name_prefixes n USING unnest(`, colDropUser, colDropPrefix, colDropName, `) AS p (user_id, prefix, username)
	WHERE n.prefix = p.prefix AND n.username = p.username AND (p.user_id IN (SELECT id FROM ok)) IS TRUE)`)
	}
	if s.has(partAddNames) {
		s.add(`, named AS (INSERT INTO name_prefixes (prefix, username) SELECT p.prefix, p.username
	FROM unnest(`, colAddUser, colAddPrefix, colAddName, `) AS p (user_id, prefix, username) WHERE (p.user_id IN (SELECT id FROM ok)) IS TRUE
	ON CONFLICT DO NOTHING)`)
	}
}

// ties notes which of a user's claims the row bears after the turn (see bears).
// The name of a user who is deleted is dated with the end of its quarantine here,
// in the same transaction, or the sweep could come first. Index: claims_user.
//
// A claim may be renewed at the same time. Then this row is looked at again, alone,
// and that cannot ask ok, which writes; so it is asked beforehand (ARRAY).
func (s *composer) ties() {
	s.add(`, tied AS (UPDATE claims c SET loose = NOT c.loose, at = CASE WHEN c.kind = 1 THEN coalesce(t.until, c.at) ELSE c.at END
	FROM unnest(`, colTieDo, colTieUser, colTieUsername, colTieEmail, colTieUntil, `) AS t (todo, id, username, email, until)
	WHERE c.user_id = t.id AND t.id = ANY (ARRAY(SELECT id FROM ok))
	AND c.loose = (t.todo < 3 AND CASE c.kind WHEN 1 THEN c.value = t.username WHEN 2 THEN c.value = t.email ELSE c.kind = 3 END))`)
}
