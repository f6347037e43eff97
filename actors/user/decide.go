package user

import (
	"maps"
	"slices"
	"time"
)

// Decide returns the events that c causes in s, or why c is refused. No events
// and no error means that c is already satisfied, which is what makes sending it
// again safe. Decide only reads s.
func Decide(s *State, c Command) ([]Event, error) {
	if register, ok := c.(Register); ok {
		return decideRegister(s, register)
	}
	if s.Deleted {
		return decideDeleted(c)
	}
	if !s.Registered() {
		return nil, ErrNotRegistered
	}
	switch c := c.(type) {
	case UpdateProfile:
		return decideProfile(s, c)
	case SetPreferences:
		return decidePreferences(s, c)
	case SetPrivacy:
		return decidePrivacy(s, c)

	case Follow:
		switch {
		case !isID(c.Target):
			return nil, ErrNotRegistered
		case c.Target == s.ID:
			return nil, ErrSelfFollow
		case s.Following.Contains(c.Target):
			return nil, nil
		}
		return one(Followed{Target: c.Target, At: s.recordedAt(c.At)})
	case Unfollow:
		if !s.Following.Contains(c.Target) {
			return nil, nil
		}
		return one(Unfollowed{Target: c.Target, At: s.recordedAt(c.At)})

	case FollowCrew:
		switch {
		case !isID(c.Crew):
			return nil, invalid("id", crewIDRule)
		case s.Crew.Contains(c.Crew):
			return nil, nil
		case s.Crew.Len() >= MaxFollowed:
			return nil, ErrTooManyFollowed
		}
		return one(CrewFollowed{Crew: c.Crew, At: s.recordedAt(c.At)})
	case UnfollowCrew:
		if !s.Crew.Contains(c.Crew) {
			return nil, nil
		}
		return one(CrewUnfollowed{Crew: c.Crew, At: s.recordedAt(c.At)})
	case FollowStudio:
		switch {
		case !isID(c.Studio):
			return nil, invalid("id", studioIDRule)
		case s.Studios.Contains(c.Studio):
			return nil, nil
		case s.Studios.Len() >= MaxFollowed:
			return nil, ErrTooManyFollowed
		}
		return one(StudioFollowed{Studio: c.Studio, At: s.recordedAt(c.At)})
	case UnfollowStudio:
		if !s.Studios.Contains(c.Studio) {
			return nil, nil
		}
		return one(StudioUnfollowed{Studio: c.Studio, At: s.recordedAt(c.At)})

	case RecordActivity:
		switch s.eventStatus(c.Activity.EventID) {
		case EventRecorded:
			return nil, ErrAlreadyRecorded
		case EventErased:
			return nil, ErrEventDeleted
		case EventMissing:
		}
		return one(ActivityRecorded{Activity: c.Activity, At: s.recordedAt(c.At)})
	case DeleteActivity:
		switch s.eventStatus(c.EventID) {
		case EventErased, EventMissing:
			return nil, ErrEventNotFound
		case EventRecorded:
		}
		// Unknown here: the database refuses the turn if there is no such event.
		return one(ActivityDeleted{EventID: c.EventID, At: s.recordedAt(c.At)})

	case AddFollower:
		if s.applied(c.Lane, c.Pos) || s.Followers.Contains(c.Source) || !isID(c.Source) {
			return nil, nil
		}
		return one(FollowerAdded{Source: c.Source, Lane: c.Lane, Pos: c.Pos, FollowedAt: c.At, At: s.recordedAt(c.At)})
	case RemoveFollower:
		if s.applied(c.Lane, c.Pos) || !s.Followers.Contains(c.Source) {
			return nil, nil
		}
		return one(FollowerRemoved{Source: c.Source, Lane: c.Lane, Pos: c.Pos, At: s.recordedAt(c.At)})
	case Sever:
		if !s.Following.Contains(c.Gone) && !s.Followers.Contains(c.Gone) {
			return nil, nil
		}
		return one(Severed{Gone: c.Gone, At: s.recordedAt(c.At)})
	case CountContent:
		if s.eventStatus(ContentKey(c.ID)) == EventRecorded {
			return nil, nil
		}
		// Unknown here: the database refuses the turn if it was counted.
		return one(ContentCounted{ID: c.ID, Streams: c.Streams, Videos: c.Videos, At: s.recordedAt(c.At)})
	case Delete:
		return one(Deleted{At: s.recordedAt(c.At)})
	case Register:
	}
	panic("user: unknown command")
}

func one(e Event) ([]Event, error) { return []Event{e}, nil }

func decideRegister(s *State, c Register) ([]Event, error) {
	switch {
	case s.Deleted:
		return nil, ErrDeleted
	case !s.Registered():
		return one(Registered{ID: c.ID, UID: c.UID, Username: c.Username, Name: c.Name, Email: c.Email, At: s.recordedAt(c.At)})
	case s.UID == c.UID && s.Username == c.Username:
		return nil, nil
	}
	return nil, ErrAlreadyRegistered
}

// decideDeleted answers for a tombstone. What would take something away is
// satisfied; a follower that comes too late is refused, so that the tail tells
// the other side to drop the edge.
func decideDeleted(c Command) ([]Event, error) {
	switch c.(type) {
	case RemoveFollower, Sever, Delete:
		return nil, nil
	case Register, UpdateProfile, SetPreferences, SetPrivacy, Follow, Unfollow, FollowCrew, UnfollowCrew,
		FollowStudio, UnfollowStudio, RecordActivity, DeleteActivity, AddFollower, CountContent:
	}
	return nil, ErrDeleted
}

func decideProfile(s *State, c UpdateProfile) ([]Event, error) {
	if c.Name == nil && c.Picture == nil && c.Role == nil && c.Bio == nil && c.Email == nil {
		return nil, nil
	}
	e := ProfileUpdated{Name: s.Name, Picture: s.Picture, Role: s.Role, Bio: s.Bio, Email: s.Email, At: after(s.UpdatedAt, s.recordedAt(c.At))}
	set(&e.Name, c.Name)
	set(&e.Picture, c.Picture)
	set(&e.Role, c.Role)
	set(&e.Bio, c.Bio)
	set(&e.Email, c.Email)
	return one(e)
}

// after makes a change of the user's own visible in updated_at, even when two
// fall into one microsecond.
func after(last, at time.Time) time.Time {
	if at.After(last) {
		return at
	}
	return last.Add(time.Microsecond)
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

// maxNotificationSettings bounds the notification settings after a merge.
const maxNotificationSettings = 50

const tooManyNotificationSettings = "At most 50 notification settings are allowed"

func decidePreferences(s *State, c SetPreferences) ([]Event, error) {
	p := s.preferences()
	if c.FavGenres != nil {
		p.FavGenres = slices.Clone(*c.FavGenres)
		if p.FavGenres == nil {
			p.FavGenres = []int64{}
		}
	}
	set(&p.AdultContent, c.AdultContent)
	set(&p.Language, c.Language)
	p.Notifications = maps.Clone(p.Notifications)
	if c.ResetNotifications {
		p.Notifications = DefaultPreferences().Notifications
	}
	if p.Notifications == nil {
		p.Notifications = make(map[string]bool, len(c.Notifications))
	}
	for key, wanted := range c.Notifications {
		if wanted == nil {
			delete(p.Notifications, key)
			continue
		}
		p.Notifications[key] = *wanted
	}
	if len(p.Notifications) > maxNotificationSettings {
		return nil, &InvalidError{Field: "notification_settings", Message: tooManyNotificationSettings}
	}
	if p.Equal(s.preferences()) {
		return nil, nil
	}
	return one(PreferencesSet{Preferences: p, At: after(s.UpdatedAt, s.recordedAt(c.At))})
}

func decidePrivacy(s *State, c SetPrivacy) ([]Event, error) {
	p := s.Privacy
	set(&p.Profile, c.Profile)
	set(&p.WatchHistory, c.WatchHistory)
	set(&p.Ratings, c.Ratings)
	if p == s.Privacy {
		return nil, nil
	}
	return one(PrivacySet{Privacy: p, At: after(s.UpdatedAt, s.recordedAt(c.At))})
}
