package usergrain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kith/actors/user"
	"kith/persistence"
)

// Finding is one difference that Verify found.
type Finding struct {
	User user.ID // 0: about no single user
	What string  // without personal data
}

// Report is what Verify found in one snapshot of the database.
type Report struct {
	Users   int // with a row
	Deleted int // tombstones
	Records int
	Edges   int // rows of following

	// Findings are differences that nothing on its way explains; at most
	// MaxFindings are kept, Differences counts all.
	Findings    []Finding
	Differences int

	// What is still on its way: it is no difference.
	Behind    int // records above the mark of the effects tail
	Parked    int // effects that wait for a target that does not activate
	Severings int // deleted users whose neighbours are being repaired
}

// MaxFindings bounds Report.Findings.
const MaxFindings = 100

// verifyPage is how many users are read at a time.
const verifyPage = 500

// verifier compares what is stored.
type verifier struct {
	audit    persistence.AuditSnapshot
	progress func(users int)
	report   Report
	pairs    map[pair]struct{}    // edges with an effect on its way
	leaving  map[user.ID]struct{} // deleted, with neighbours not repaired yet
	marks    [persistence.LaneCount]uint64
	heads    [persistence.LaneCount]uint64
	perLane  [persistence.LaneCount]uint64 // records seen
}

type pair struct{ source, target user.ID }

// Verify replays every journal in one snapshot of the database and compares the
// result with the rows, the lists, the snapshots and the other side of every
// edge. progress, if not nil, is told the number of users done. The error says
// that the data could not be read; what differs is in the report.
func Verify(ctx context.Context, audit persistence.Audit, progress func(users int)) (_ Report, err error) {
	snapshot, err := audit.Snapshot(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("verify: open a snapshot: %w", err)
	}
	defer func() {
		if closed := snapshot.Close(); err == nil && closed != nil {
			err = fmt.Errorf("verify: close the snapshot: %w", closed)
		}
	}()
	v := &verifier{
		audit: snapshot, progress: progress,
		pairs: make(map[pair]struct{}), leaving: make(map[user.ID]struct{}),
	}
	for _, step := range []func(context.Context) error{v.pending, v.users, v.edges} {
		if err := step(ctx); err != nil {
			return v.report, fmt.Errorf("verify: %w", err)
		}
	}
	return v.report, nil
}

func (v *verifier) found(id user.ID, format string, args ...any) {
	v.report.Differences++
	if len(v.report.Findings) < MaxFindings {
		v.report.Findings = append(v.report.Findings, Finding{User: id, What: fmt.Sprintf(format, args...)})
	}
}

// pending notes what is on its way between users.
func (v *verifier) pending(ctx context.Context) error {
	var err error
	if v.heads, err = v.audit.Heads(ctx); err != nil {
		return fmt.Errorf("heads: %w", err)
	}
	if v.marks, err = v.audit.Marks(ctx, persistence.TailEffects); err != nil {
		return fmt.Errorf("marks: %w", err)
	}
	for lane := range uint8(persistence.LaneCount) {
		for pos := v.marks[lane]; pos < v.heads[lane]; {
			records, err := v.audit.Lane(ctx, lane, pos, verifyPage)
			if err != nil {
				return fmt.Errorf("records of lane %d: %w", lane, err)
			}
			if len(records) == 0 {
				v.found(0, "lane %d has no record above %d, though its head is %d", lane, pos, v.heads[lane])
				break
			}
			for i := range records {
				v.onItsWay(&records[i], 0)
				pos = records[i].Pos
			}
			v.report.Behind += len(records)
		}
	}
	parked, err := v.audit.Parked(ctx)
	if err != nil {
		return fmt.Errorf("parked effects: %w", err)
	}
	v.report.Parked = len(parked)
	for _, p := range parked {
		if p.Target == 0 {
			v.found(0, "the record at %d/%d cannot be read: its effect is parked", p.Lane, p.Pos)
			continue
		}
		records, err := v.audit.Lane(ctx, p.Lane, p.Pos-1, 1)
		if err != nil {
			return fmt.Errorf("parked record %d/%d: %w", p.Lane, p.Pos, err)
		}
		if len(records) == 1 && records[0].Pos == p.Pos {
			v.onItsWay(&records[0], p.Target)
		}
	}
	severings, err := v.audit.Severings(ctx)
	if err != nil {
		return fmt.Errorf("severings: %w", err)
	}
	v.report.Severings = len(severings)
	for _, s := range severings {
		v.leaving[s.User] = struct{}{}
	}
	return nil
}

// onItsWay notes which edges the effect of a record may still change; target is
// the parked target, or 0.
func (v *verifier) onItsWay(r *persistence.Record, target user.ID) {
	e, err := DecodeRecord(r)
	if err != nil {
		return // found with its user
	}
	if follows, ok := e.(user.Followed); ok {
		v.pairs[pair{r.User, follows.Target}] = struct{}{}
	}
	if unfollows, ok := e.(user.Unfollowed); ok {
		v.pairs[pair{r.User, unfollows.Target}] = struct{}{}
	}
	if _, deletes := e.(user.Deleted); deletes && target == 0 {
		v.leaving[r.User] = struct{}{}
	} else if deletes {
		v.pairs[pair{r.User, target}] = struct{}{}
		v.pairs[pair{target, r.User}] = struct{}{}
	}
}

func (v *verifier) users(ctx context.Context) error {
	for after := user.ID(0); ; {
		page, err := v.audit.Users(ctx, after, verifyPage)
		if err != nil {
			return fmt.Errorf("users above %d: %w", after, err)
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			v.user(&page[i])
			after = page[i].User
		}
		if v.progress != nil {
			v.progress(v.report.Users + v.report.Deleted)
		}
	}
	for lane, head := range v.heads {
		if v.perLane[lane] != head {
			v.found(0, "lane %d holds %d records, though its head is %d", lane, v.perLane[lane], head)
		}
	}
	return nil
}

// user replays one journal and compares.
func (v *verifier) user(u *persistence.AuditedUser) {
	v.report.Records += len(u.Records)
	v.report.Edges += len(u.Following)
	v.perLane[persistence.LaneOf(u.User)] += uint64(len(u.Records))
	if u.Account != nil {
		v.report.Users++
	}
	if u.Deleted {
		v.report.Deleted++
	}

	state := user.State{ID: u.User}
	for i := range u.Records {
		r := &u.Records[i]
		if r.Seq != uint64(i)+1 {
			v.found(u.User, "the journal lacks record %d", i+1)
			return
		}
		e, err := DecodeRecord(r)
		if err != nil {
			v.found(u.User, "record %d cannot be read: %v", r.Seq, err)
			return
		}
		state.Apply(e)
		if u.Snapshot != nil && u.Snapshot.Seq == r.Seq {
			v.snapshot(u, &state)
		}
	}
	switch {
	case u.Deleted != state.Deleted:
		v.found(u.User, "deleted_users says %t, the journal says %t", u.Deleted, state.Deleted)
	case state.Deleted && u.Account != nil:
		v.found(u.User, "is deleted, but has a row")
	case state.Deleted:
		_, leaving := v.leaving[u.User]
		if n := len(u.Following) + len(u.Followers) + len(u.Crew) + len(u.Studios); n > 0 && !leaving {
			v.found(u.User, "is deleted, but has %d edges", n)
		}
	case u.Account == nil:
		v.found(u.User, "has a journal, but no row")
	default:
		account := state.Account()
		if differ := differences(&account, u.Account); len(differ) > 0 {
			v.found(u.User, "the row differs from the journal in %s", strings.Join(differ, ", "))
		}
		v.list(u.User, "following", sorted(&state.Following), u.Following)
		v.list(u.User, "followers", sorted(&state.Followers), u.Followers)
		v.list(u.User, "followed_crew", sorted(&state.Crew), u.Crew)
		v.list(u.User, "followed_studios", sorted(&state.Studios), u.Studios)
	}
}

func (v *verifier) list(id user.ID, name string, journal, rows []uint64) {
	if !slices.Equal(journal, rows) {
		v.found(id, "%s has %d rows, the journal says %d, or others", name, len(rows), len(journal))
	}
}

// snapshot compares the saved snapshot with the replay up to it. An event that was
// erased since is replayed as erased; an activation learns that from the record of the
// deletion, which comes after the snapshot.
func (v *verifier) snapshot(u *persistence.AuditedUser, replayed *user.State) {
	saved, err := DecodeSnapshot(u.Snapshot.State)
	if err != nil {
		return // of another format: ignored by activations too
	}
	for i := range min(len(saved.Recent), len(replayed.Recent)) {
		if saved.Recent[i].ID == replayed.Recent[i].ID && replayed.Recent[i].Erased {
			saved.Recent[i].Erased = true
		}
	}
	a, errA := EncodeSnapshot(&saved)
	b, errB := EncodeSnapshot(replayed)
	if errA != nil || errB != nil || !slices.Equal(a, b) {
		v.found(u.User, "the snapshot at record %d differs from the replay", u.Snapshot.Seq)
	}
}

// edges looks at the other side of every edge.
func (v *verifier) edges(ctx context.Context) error {
	err := v.audit.OneSided(ctx, func(e persistence.OneSidedEdge) error {
		_, coming := v.pairs[pair{e.Source, e.Target}]
		_, sourceLeaving := v.leaving[e.Source]
		_, targetLeaving := v.leaving[e.Target]
		if coming || sourceLeaving || targetLeaving {
			return nil
		}
		side := "its own list only"
		if !e.InFollowing {
			side = "the other's list only"
		}
		v.found(e.Source, "the edge to user %d is in %s", e.Target, side)
		return nil
	})
	if err != nil {
		return fmt.Errorf("edges: %w", err)
	}
	return nil
}

func sorted[T ~uint64 | ~int64](s *user.Set[T]) []uint64 {
	var ids []uint64
	for id := range s.All() {
		ids = append(ids, uint64(id))
	}
	return ids
}

// differences names the fields in which two accounts differ.
func differences(a, b *user.Account) []string {
	var names []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"uid", a.UID == b.UID},
		{"username", a.Username == b.Username},
		{"name", a.Name == b.Name},
		{"role", a.Role == b.Role},
		{"profile_picture", a.Picture == b.Picture},
		{"followers", a.Followers == b.Followers},
		{"following", a.Following == b.Following},
		{"total_streams", a.Streams == b.Streams},
		{"total_videos", a.Videos == b.Videos},
		{"privacy", a.Privacy == b.Privacy},
		{"created_at", a.CreatedAt.Equal(b.CreatedAt)},
		{"updated_at", a.UpdatedAt.Equal(b.UpdatedAt)},
		{"version", a.Version == b.Version},
		{"email", a.Email == b.Email},
		{"bio", a.Bio == b.Bio},
		{"preferences", a.Preferences.Equal(b.Preferences)},
		{"crew_members", a.CrewMembers == b.CrewMembers},
		{"studios", a.Studios == b.Studios},
	} {
		if !f.same {
			names = append(names, f.name)
		}
	}
	return names
}
