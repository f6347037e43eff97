package live_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
)

// step is something that happens.
type step struct {
	what      string
	who, whom user.ID
	kind      user.ActivityType
	privacy   user.Privacy
	event     int // of those that who has recorded
}

func anySteps(t *rapid.T) []step {
	person := rapid.SampledFrom([]user.ID{ada, bob, cyd})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			what: rapid.SampledFrom([]string{
				"follow", "follow", "unfollow", "privacy", "does", "does", "does", "deletes", "profile", "cursor", "drop", "return", "return",
			}).Draw(t, "what"),
			who: person.Draw(t, "who"), whom: person.Draw(t, "whom"),
			kind:    rapid.SampledFrom([]user.ActivityType{user.ActivityView, user.ActivityRating}).Draw(t, "kind"),
			privacy: user.Privacy{Profile: rapid.Bool().Draw(t, "profile"), WatchHistory: rapid.Bool().Draw(t, "history"), Ratings: rapid.Bool().Draw(t, "ratings")},
			event:   rapid.IntRange(0, 5).Draw(t, "event"),
		}
	}), 30, 100).Draw(t, "steps")
}

// seat is a reader with one socket, and what it has come to know.
type seat struct {
	reader   user.ID
	socket   *socket
	detach   func()
	cursor   string
	position [persistence.LaneCount]uint64 // of cursor
	expected []string                      // since the last look
}

// truth says what sockets must be told, from the world alone.
type truth struct {
	*world

	seats  map[user.ID]*seat
	events map[user.ID][]string
	n      int
}

// TestDeliveredIsVisibleAndFollowedAndAResumeIsWhatWasMissed holds the hub to its
// two promises, over any history. What is recent it keeps, or only the last record
// or two, so that what was missed comes from the database.
func TestDeliveredIsVisibleAndFollowedAndAResumeIsWhatWasMissed(t *testing.T) {
	t.Parallel()
	for _, bytes := range []int{0, 600} {
		t.Run(fmt.Sprintf("%d bytes", bytes), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				steps := anySteps(rt)
				var wrong string
				inSmallWorld(t, bytes, func(w *world) {
					v := &truth{world: w, seats: map[user.ID]*seat{}, events: map[user.ID][]string{}}
					for i, s := range steps {
						if wrong = v.take(s); wrong != "" {
							wrong = fmt.Sprintf("step %d, %s: %s", i, s.what, wrong)
							break
						}
					}
					for _, s := range v.seats {
						if s.socket != nil {
							s.detach()
						}
					}
				})
				if wrong != "" {
					rt.Fatal(wrong)
				}
			})
		})
	}
}

// take does a step, and returns how what sockets were told differs from what they
// must be told.
func (v *truth) take(s step) string {
	time.Sleep(time.Millisecond) //nolint:forbidigo // the bubble's own time: no two things at once
	_, follows := v.follows[s.who][s.whom]
	switch s.what {
	case "follow":
		if s.who != s.whom && !follows {
			v.follow(s.who, s.whom)
			v.bothTold(s)
		}
	case "unfollow":
		if follows {
			v.commit(s.who, user.Unfollowed{Target: s.whom, At: time.Now().UTC()})
			v.commit(s.whom, user.FollowerRemoved{Source: s.who, Lane: persistence.LaneOf(s.who), Pos: 2, At: time.Now().UTC()})
			v.bothTold(s)
		}
	case "privacy":
		v.commit(s.who, user.PrivacySet{Privacy: s.privacy, At: time.Now().UTC()})
	case "does":
		v.n++
		id := fmt.Sprintf("e%d", v.n)
		v.does(s.who, s.kind, id)
		v.events[s.who] = append(v.events[s.who], id)
		v.told(s.who)
	case "deletes":
		if events := v.events[s.who]; len(events) > 0 {
			i := s.event % len(events)
			v.commit(s.who, user.ActivityDeleted{EventID: events[i], At: time.Now().UTC()})
			v.events[s.who] = slices.Delete(slices.Clone(events), i, i+1)
			v.told(s.who)
		}
	case "profile":
		v.commit(s.who, user.ProfileUpdated{Name: fmt.Sprintf("Name %d", v.n), At: time.Now().UTC()})
		v.told(s.who)
		v.selfTold(s.who)
	case "cursor":
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's own time
	case "drop":
		if seat := v.seats[s.who]; seat != nil && seat.socket != nil {
			seat.detach()
			seat.socket = nil
		}
	case "return":
		return v.returns(s.who)
	}
	return v.look()
}

// bothTold expects the newest records of two at their own sockets.
func (v *truth) bothTold(s step) {
	for _, id := range []user.ID{s.who, s.whom} {
		v.selfTold(id)
	}
}

func (v *truth) selfTold(id user.ID) {
	if seat := v.seats[id]; seat != nil && seat.socket != nil {
		records := v.lanes[persistence.LaneOf(id)]
		seat.expected = append(seat.expected, nameOf(&records[len(records)-1]))
	}
}

func nameOf(r *persistence.Record) string {
	return fmt.Sprintf("%s/%d", user.UID{15: byte(r.User)}, r.Seq)
}

// told expects the newest record of an author at those who follow and may see it.
func (v *truth) told(author user.ID) {
	records := v.lanes[persistence.LaneOf(author)]
	r := &records[len(records)-1]
	for reader, seat := range v.seats {
		if _, follows := v.follows[reader][author]; follows && seat.socket != nil && v.visible(reader, r) {
			seat.expected = append(seat.expected, nameOf(r))
		}
	}
}

// visible says whether a reader may see a record of another user now.
func (v *truth) visible(reader user.ID, r *persistence.Record) bool {
	viewer := user.ViewerStranger
	if _, back := v.follows[r.User][reader]; back {
		viewer = user.ViewerFollowed
	}
	sees := func(section user.Section) bool { return user.Visible(section, viewer, v.cards[r.User].Privacy) }
	e, err := usergrain.DecodeRecord(r)
	if err != nil {
		return false
	}
	switch e := e.(type) { //nolint:gochecksumtype // of the others nobody else is told
	case user.ActivityRecorded:
		return sees(e.Activity.Type.Section())
	case user.ActivityDeleted:
		return sees(user.SectionWatchHistory) || sees(user.SectionRatings)
	case user.ProfileUpdated:
		return true
	}
	return false
}

// returns connects a reader, with the cursor that it has, and compares what it is
// told with what it missed.
func (v *truth) returns(reader user.ID) string {
	s := v.seats[reader]
	if s == nil {
		s = &seat{reader: reader}
		v.seats[reader] = s
	}
	if s.socket != nil {
		return ""
	}
	if s.cursor != "" {
		s.expected = v.missed(reader, s.position)
	}
	session, socket := v.attach(reader, s.cursor)
	s.detach, s.socket = session.Detach, socket
	frames := socket.frames(v.t)
	if len(frames) == 0 || frames[0].Type != "ready" || frames[0].Data.Resumed != (s.cursor != "") {
		return fmt.Sprintf("told first: %s", told(frames))
	}
	if s.cursor == "" {
		s.position = v.heads()
	}
	s.cursor = frames[0].Data.Cursor
	got := []string{}
	for _, f := range frames[1:] {
		if f.ID != "" {
			got = append(got, f.ID)
		} else {
			return fmt.Sprintf("told %s in a replay", f.Type)
		}
	}
	return s.compare(got)
}

// missed names the records above a position that are a reader's own, or by whom the
// reader follows and may see now, since that follow began; in the order of time.
func (v *truth) missed(reader user.ID, position [persistence.LaneCount]uint64) []string {
	var missed []persistence.Record
	for lane, records := range v.lanes {
		for _, r := range records[position[lane]:] {
			since, follows := v.follows[reader][r.User]
			switch {
			case r.User == reader && r.Kind.ToldToOwner():
			case follows && r.Kind.ToldToFollowers() && !r.At.Before(since) && !v.deleted[r.EventID] && v.visible(reader, &r):
			default:
				continue
			}
			missed = append(missed, r)
		}
	}
	slices.SortFunc(missed, func(a, b persistence.Record) int { return a.At.Compare(b.At) })
	names := []string{}
	for i := range missed {
		names = append(names, nameOf(&missed[i]))
	}
	return names
}

func (v *truth) heads() (heads [persistence.LaneCount]uint64) {
	for lane := range v.lanes {
		heads[lane] = uint64(len(v.lanes[lane]))
	}
	return heads
}

// look compares what all sockets were told since the last time.
func (v *truth) look() string {
	synctest.Wait()
	for _, s := range v.seats {
		if s.socket == nil {
			continue
		}
		got := []string{}
		for _, f := range s.socket.frames(v.t) {
			switch {
			case f.Type == "cursor":
				s.cursor, s.position = f.Data.Cursor, v.heads()
			case f.ID != "":
				got = append(got, f.ID)
			case f.Type != "counters":
				return fmt.Sprintf("%s is told %s", names[s.reader], f.Type)
			}
		}
		if wrong := s.compare(got); wrong != "" {
			return wrong
		}
	}
	return ""
}

func (s *seat) compare(got []string) string {
	want := s.expected
	s.expected = nil
	if slices.Equal(got, want) || len(got)+len(want) == 0 {
		return ""
	}
	return fmt.Sprintf("%s is told of %s, not of %s", names[s.reader], strings.Join(got, ", "), strings.Join(want, ", "))
}
