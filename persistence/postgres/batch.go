package postgres

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// laneShift is where the lane is in journal.place; positions fit below.
const laneShift = 56

func place(lane uint8, pos uint64) int64 { return int64(lane)<<laneShift | int64(pos) } //nolint:gosec // positions stay below 2^56

// heads are the highest positions of the lanes.
type heads [persistence.LaneCount]uint64

// batch holds turns and marks as the columns of a statement, and which parts that
// needs. It is filled anew for each statement and keeps its buffers.
type batch struct {
	parts part
	cols  [colCount]array
	node  []byte
	epoch [8]byte
	full  []*persistence.Turn
	gone  array // users who are deleted
}

// fill encodes turns and marks. The names are those of users before the turn,
// where it may change them.
func (db *DB) fill(b *batch, n persistence.Node, turns []*persistence.Turn, marks []persistence.Mark, h *heads, names map[user.ID]versionedName) error {
	b.parts, b.full = 0, b.full[:0]
	for i := range b.cols {
		b.cols[i].reset()
	}
	b.gone.reset()
	b.node = append(b.node[:0], n.ID...)
	binary.BigEndian.PutUint64(b.epoch[:], n.Epoch)
	for _, t := range turns {
		b.records(t, h)
		b.lists(t)
		if wholeRow(t) {
			b.full = append(b.full, t)
			b.nameRows(t, names[t.User])
			b.tie(t, db.cfg.Quarantine)
		} else {
			b.plainRow(t)
		}
		if t.PasswordHash != "" {
			b.parts |= partPassword
			b.cols[colPasswordUser].uint8(uint64(t.User))
			b.cols[colPasswordHash].text(t.PasswordHash)
		}
	}
	// Rows that go are locked in an order that others keep to.
	slices.SortFunc(b.full, func(x, y *persistence.Turn) int { return cmp.Compare(x.User, y.User) })
	for _, t := range b.full {
		if err := db.fullRow(b, t); err != nil {
			return fmt.Errorf("turn of user %d at version %d: %w", t.User, t.Version, err)
		}
	}
	b.marks(marks)
	return nil
}

// value returns a parameter.
func (b *batch) value(c column) []byte {
	switch c {
	case colNode:
		return b.node
	case colEpoch:
		return b.epoch[:]
	}
	return b.cols[c].bytes(columnType(c))
}

// wholeRow reports whether a turn writes the whole row: it registers, deletes or
// changes more than numbers and times.
func wholeRow(t *persistence.Turn) bool {
	if t.Version == 0 || t.Deleted || len(t.Claims) > 0 {
		return true
	}
	for i := range t.Records {
		switch t.Records[i].Kind {
		case persistence.KindFollowed, persistence.KindUnfollowed, persistence.KindCrewFollowed, persistence.KindCrewUnfollowed,
			persistence.KindStudioFollowed, persistence.KindStudioUnfollowed, persistence.KindActivityRecorded, persistence.KindActivityErased,
			persistence.KindActivityDeleted, persistence.KindFollowerAdded, persistence.KindFollowerRemoved, persistence.KindSevered,
			persistence.KindContentCounted:
		default:
			return true
		}
	}
	return false
}

func (b *batch) plainRow(t *persistence.Turn) {
	b.parts |= partPlain
	c, a := &b.cols, &t.Account
	c[colID].uint8(uint64(t.User))
	c[colVersion].uint8(t.Version)
	c[colNext].uint8(a.Version)
	c[colFollowers].int8(a.Followers)
	c[colFollowing].int8(a.Following)
	c[colStreams].int8(a.Streams)
	c[colVideos].int8(a.Videos)
	c[colCrew].int8(a.CrewMembers)
	c[colStudios].int8(a.Studios)
	c[colUpdated].time(a.UpdatedAt)
	c[colActive].optionalTime(lastActivity(t))
}

func (db *DB) fullRow(b *batch, t *persistence.Turn) error {
	c, a := &b.cols, &t.Account
	prefs, err := db.encodePreferences(&a.Preferences)
	if err != nil {
		return err
	}
	deleted := time.Time{}
	switch {
	case t.Deleted:
		b.parts |= partDelete
		c[colFullDo].int2(doDelete)
		deleted = t.Records[len(t.Records)-1].At
		b.gone.uint8(uint64(t.User))
	case t.Version == 0:
		b.parts |= partRegister
		c[colFullDo].int2(doRegister)
	default:
		b.parts |= partChange
		c[colFullDo].int2(doChange)
	}
	claims := claimsOf(t)
	for _, claim := range claims {
		b.parts |= partClaims
		c[colClaimUser].uint8(uint64(t.User))
		c[colClaimKind].int2(int16(claim.Kind))
		c[colClaimValue].text(claim.Value)
	}
	c[colFullClaims].int8(int64(len(claims)))
	c[colFullVersion].uint8(t.Version)
	c[colFullID].uint8(uint64(t.User))
	c[colFullUID].blob(a.UID[:])
	c[colFullUsername].text(a.Username)
	c[colFullName].text(a.Name)
	c[colFullRole].text(string(a.Role))
	c[colFullPicture].text(a.Picture)
	c[colFullFollowers].int8(a.Followers)
	c[colFullFollowing].int8(a.Following)
	c[colFullStreams].int8(a.Streams)
	c[colFullVideos].int8(a.Videos)
	c[colFullPrivacy].int2(privacyBits(a.Privacy))
	c[colFullCreated].time(a.CreatedAt)
	c[colFullUpdated].time(a.UpdatedAt)
	c[colFullNext].uint8(a.Version)
	c[colFullCrew].int8(a.CrewMembers)
	c[colFullStudios].int8(a.Studios)
	c[colFullEmail].text(a.Email)
	c[colFullBio].text(a.Bio)
	c[colFullPreferences].json(prefs)
	c[colFullActive].optionalTime(lastActivity(t))
	c[colFullDeleted].optionalTime(deleted)
	return nil
}

// tie encodes what claims a row bears after a turn that may change it.
func (b *batch) tie(t *persistence.Turn, quarantine time.Duration) {
	if !t.Deleted && len(t.Claims) == 0 && !updatesProfile(t) {
		return
	}
	b.parts |= partTies
	do, until := int16(doChange), time.Time{}
	if t.Deleted {
		do = doDelete
		if quarantine > 0 {
			until = t.Records[len(t.Records)-1].At.Add(quarantine)
		}
	}
	c := &b.cols
	c[colTieUser].uint8(uint64(t.User))
	c[colTieDo].int2(do)
	c[colTieUsername].text(t.Account.Username)
	c[colTieEmail].text(user.EmailKey(t.Account.Email))
	c[colTieUntil].optionalTime(until)
}

// updatesProfile reports whether a turn may change the name or the email.
func updatesProfile(t *persistence.Turn) bool {
	return slices.ContainsFunc(t.Records, func(r persistence.Record) bool { return r.Kind == persistence.KindProfileUpdated })
}

func (b *batch) records(t *persistence.Turn, h *heads) {
	c, lane := &b.cols, persistence.LaneOf(t.User)
	base := place(lane, h[lane])
	for i := range t.Records {
		r := &t.Records[i]
		kind, payload := r.Kind, r.Payload
		if erasedAtOnce(t, r) {
			kind, payload = persistence.KindActivityErased, nil
		}
		c[colRecordBase].int8(base)
		c[colRecordUser].uint8(uint64(t.User))
		c[colRecordSeq].uint8(r.Seq)
		c[colRecordAt].time(r.At)
		c[colRecordKind].int2(int16(kind))
		c[colRecordPayload].blob(payload)
		if r.EventID == "" {
			c[colRecordEvent].null()
			continue
		}
		b.parts |= partEvents
		c[colRecordEvent].text(r.EventID)
		c[colEventUser].uint8(uint64(t.User))
		c[colEventID].text(r.EventID)
	}
	for _, id := range t.Erase {
		if slices.ContainsFunc(t.Records, func(r persistence.Record) bool { return r.EventID == id }) {
			continue // is inserted blank
		}
		b.parts |= partErase
		c[colEraseUser].uint8(uint64(t.User))
		c[colEraseID].text(id)
	}
}

// erasedAtOnce reports whether the turn that records r erases it too.
func erasedAtOnce(t *persistence.Turn, r *persistence.Record) bool {
	return len(t.Erase) > 0 && r.Kind == persistence.KindActivityRecorded && slices.Contains(t.Erase, r.EventID)
}

// lastActivity returns the time of the turn's newest behaviour event that stays,
// or the zero time.
func lastActivity(t *persistence.Turn) time.Time {
	for i := len(t.Records) - 1; i >= 0; i-- {
		if r := &t.Records[i]; r.Kind == persistence.KindActivityRecorded && !erasedAtOnce(t, r) {
			return r.At
		}
	}
	return time.Time{}
}

func (b *batch) lists(t *persistence.Turn) {
	for i, edges := range [...][]persistence.Edge{t.Following, t.Followers, t.Crew, t.Studios} {
		put, remove := edgeColumns(i)
		for j := range edges {
			e := &edges[j]
			if e.Removed {
				b.parts |= removePart(i)
				b.cols[remove].uint8(uint64(t.User))
				b.cols[remove+1].uint8(e.ID)
				continue
			}
			b.parts |= putPart(i)
			b.cols[put].uint8(uint64(t.User))
			b.cols[put+1].uint8(e.ID)
			b.cols[put+2].uint8(e.Seq)
			b.cols[put+3].time(e.At)
		}
	}
}

// claimsOf returns the claims of a turn, each once.
func claimsOf(t *persistence.Turn) []persistence.Claim {
	if len(t.Claims) == 0 {
		return nil
	}
	return slices.Compact(slices.SortedFunc(slices.Values(t.Claims), compareClaims))
}

func (b *batch) marks(marks []persistence.Mark) {
	if len(marks) == 0 {
		return
	}
	// One row a mark: a statement does not write a row twice.
	newest := make(map[persistence.Mark]uint64, len(marks))
	for _, m := range marks {
		k := persistence.Mark{Tail: m.Tail, Lane: m.Lane}
		newest[k] = max(newest[k], m.Pos)
	}
	b.parts |= partMarks
	for k, pos := range newest {
		b.cols[colMarkTail].text(string(k.Tail))
		b.cols[colMarkLane].int2(int16(k.Lane))
		b.cols[colMarkPos].uint8(pos)
	}
}
