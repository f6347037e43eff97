package user

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Apply records e in s. It is deterministic and total: it reads no clock, does
// no I/O and never refuses, because replay cannot refuse a fact. It updates s in
// place; copying sets here would make replay quadratic.
func (s *State) Apply(e Event) {
	s.Version++
	if at := e.RecordedAt(); at.After(s.LastAt) {
		s.LastAt = at
	}
	switch e := e.(type) {
	case Registered:
		s.ID, s.UID, s.Username, s.Name, s.Email = e.ID, e.UID, e.Username, e.Name, e.Email
		s.Role, s.Privacy = RoleUser, DefaultPrivacy()
		s.CreatedAt, s.UpdatedAt = e.At, e.At
	case ProfileUpdated:
		s.Name, s.Picture, s.Role, s.Bio, s.Email = e.Name, e.Picture, e.Role, e.Bio, e.Email
		s.UpdatedAt = e.At
	case PreferencesSet:
		s.Preferences = nil
		if p := e.Preferences; !p.Equal(DefaultPreferences()) {
			s.Preferences = &p
		}
		s.UpdatedAt = e.At
	case PrivacySet:
		s.Privacy, s.UpdatedAt = e.Privacy, e.At
	case Followed:
		s.Following.Add(e.Target)
	case Unfollowed:
		s.Following.Remove(e.Target)
	case CrewFollowed:
		s.Crew.Add(e.Crew)
	case CrewUnfollowed:
		s.Crew.Remove(e.Crew)
	case StudioFollowed:
		s.Studios.Add(e.Studio)
	case StudioUnfollowed:
		s.Studios.Remove(e.Studio)
	case ActivityRecorded:
		s.remember(RecentEvent{ID: e.Activity.EventID})
	case ActivityErased:
		s.remember(RecentEvent{ID: e.EventID, Erased: true})
	case ActivityDeleted:
		s.remember(RecentEvent{ID: e.EventID, Erased: true})
	case FollowerAdded:
		s.Followers.Add(e.Source)
		s.passed(e.Lane, e.Pos)
	case FollowerRemoved:
		s.Followers.Remove(e.Source)
		s.passed(e.Lane, e.Pos)
	case Severed:
		s.Following.Remove(e.Gone)
		s.Followers.Remove(e.Gone)
	case ContentCounted:
		s.Streams, s.Videos = counted(s.Streams, e.Streams), counted(s.Videos, e.Videos)
		s.remember(RecentEvent{ID: ContentKey(e.ID)})
	case Deleted:
		*s = State{ID: s.ID, UID: s.UID, Version: s.Version, LastAt: s.LastAt, Deleted: true}
	}
}

// counted returns a total after a change: never below 0, nor beyond what a number
// holds.
func counted(total, change int64) int64 {
	if change > 0 && total > math.MaxInt64-change {
		return math.MaxInt64
	}
	return max(0, total+change)
}

// remember notes an event id, dropping the oldest above MaxRecent. What was
// learned of the id before is out of date.
func (s *State) remember(r RecentEvent) {
	if _, learned := s.known[r.ID]; learned {
		s.Learn(r.ID, r.status())
	}
	if i := s.recent(r.ID); i >= 0 {
		s.Recent[i] = r
		return
	}
	if len(s.Recent) >= MaxRecent {
		s.Recent = slices.Delete(s.Recent, 0, len(s.Recent)-MaxRecent+1)
	}
	s.Recent = append(s.Recent, r)
}

func (s *State) recent(id string) int {
	return slices.IndexFunc(s.Recent, func(r RecentEvent) bool { return r.ID == id })
}

// passed notes the highest position applied of a source lane.
func (s *State) passed(lane uint8, pos uint64) {
	i, found := s.findMark(lane)
	if found {
		s.Applied[i] = max(s.Applied[i], NewLaneMark(lane, pos))
		return
	}
	if len(s.Applied) == cap(s.Applied) {
		// Insert would double: most users hear from few lanes, and users are many.
		s.Applied = append(make([]LaneMark, 0, len(s.Applied)+4), s.Applied...)
	}
	s.Applied = slices.Insert(s.Applied, i, NewLaneMark(lane, pos))
}

// applied reports whether the effect at pos of a source lane was applied.
func (s *State) applied(lane uint8, pos uint64) bool {
	i, found := s.findMark(lane)
	return found && pos <= s.Applied[i].Pos()
}

func (s *State) findMark(lane uint8) (int, bool) {
	return slices.BinarySearchFunc(s.Applied, lane, func(m LaneMark, lane uint8) int { return cmp.Compare(m.Lane(), lane) })
}

// Registered reports whether somebody registered at this id, and is still there.
func (s *State) Registered() bool { return s.Version > 0 && !s.Deleted }

// Account returns the row of the user that s says.
func (s *State) Account() Account {
	a := Account{
		Card: Card{
			ID: s.ID, UID: s.UID, Username: s.Username, Name: s.Name, Role: s.Role, Picture: s.Picture,
			Followers: int64(s.Followers.Len()), Following: int64(s.Following.Len()), Streams: s.Streams, Videos: s.Videos,
			Privacy: s.Privacy, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, Version: s.Version,
		},
		Email: s.Email, Bio: s.Bio, Preferences: s.preferences(),
		CrewMembers: int64(s.Crew.Len()), Studios: int64(s.Studios.Len()),
	}
	return a
}

func (s *State) preferences() Preferences {
	if s.Preferences == nil {
		return DefaultPreferences()
	}
	return *s.Preferences
}

// Learn tells s of an event id what the database knows, or what happened earlier
// in the turn, for the decisions until Forget.
func (s *State) Learn(id string, status EventStatus) {
	if s.known == nil {
		s.known = make(map[string]EventStatus)
	}
	s.known[id] = status
}

// Forget drops what was learned.
func (s *State) Forget() { s.known = nil }

// eventStatus returns what is known of an event id, 0 for nothing.
func (s *State) eventStatus(id string) EventStatus {
	if i := s.recent(id); i >= 0 {
		return s.Recent[i].status()
	}
	return s.known[id]
}

// recordedAt is the time of the next event: not before the newest one.
func (s *State) recordedAt(at time.Time) time.Time {
	at = at.UTC().Truncate(time.Microsecond)
	if at.Before(s.LastAt) {
		return s.LastAt
	}
	return at
}
