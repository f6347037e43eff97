package usergrain

import (
	"fmt"
	"time"

	"kith/actors/user"
	"kith/persistence"
	kithv1 "kith/proto/kith/v1"
)

// commandToProto encodes a command for its grain. At is left out: the clock of a
// decision is the grain's.
func commandToProto(c user.Command) (*kithv1.Command, error) {
	m := &kithv1.Command{}
	switch c := c.(type) {
	case user.UpdateProfile:
		up := &kithv1.UpdateProfile{Name: c.Name, Picture: c.Picture, Bio: c.Bio, Email: c.Email}
		if c.Role != nil {
			up.Role = new(string(*c.Role))
		}
		m.Command = &kithv1.Command_UpdateProfile{UpdateProfile: up}
	case user.SetPreferences:
		sp := &kithv1.SetPreferences{AdultContent: c.AdultContent, Language: c.Language, ResetNotifications: c.ResetNotifications}
		if c.FavGenres != nil {
			sp.FavGenres = &kithv1.Genres{Ids: *c.FavGenres}
		}
		for key, wanted := range c.Notifications {
			if wanted == nil {
				sp.RemoveNotifications = append(sp.RemoveNotifications, key)
				continue
			}
			if sp.Notifications == nil {
				sp.Notifications = make(map[string]bool)
			}
			sp.Notifications[key] = *wanted
		}
		m.Command = &kithv1.Command_SetPreferences{SetPreferences: sp}
	case user.SetPrivacy:
		m.Command = &kithv1.Command_SetPrivacy{SetPrivacy: &kithv1.SetPrivacy{Profile: c.Profile, WatchHistory: c.WatchHistory, Ratings: c.Ratings}}
	case user.Follow:
		m.Command = &kithv1.Command_Follow{Follow: &kithv1.Follow{Target: uint64(c.Target)}}
	case user.Unfollow:
		m.Command = &kithv1.Command_Unfollow{Unfollow: &kithv1.Unfollow{Target: uint64(c.Target)}}
	case user.FollowCrew:
		m.Command = &kithv1.Command_FollowCrew{FollowCrew: &kithv1.FollowCrew{Crew: c.Crew}}
	case user.UnfollowCrew:
		m.Command = &kithv1.Command_UnfollowCrew{UnfollowCrew: &kithv1.UnfollowCrew{Crew: c.Crew}}
	case user.FollowStudio:
		m.Command = &kithv1.Command_FollowStudio{FollowStudio: &kithv1.FollowStudio{Studio: c.Studio}}
	case user.UnfollowStudio:
		m.Command = &kithv1.Command_UnfollowStudio{UnfollowStudio: &kithv1.UnfollowStudio{Studio: c.Studio}}
	case user.RecordActivity:
		m.Command = &kithv1.Command_RecordActivities{RecordActivities: &kithv1.RecordActivities{Activities: []*kithv1.Activity{activityToProto(c.Activity)}}}
	case user.DeleteActivity:
		m.Command = &kithv1.Command_DeleteActivity{DeleteActivity: &kithv1.DeleteActivity{EventId: c.EventID}}
	case user.Delete:
		m.Command = &kithv1.Command_Delete{Delete: &kithv1.Delete{}}
	case user.Sever:
		m.Command = &kithv1.Command_Sever{Sever: &kithv1.Sever{Gone: uint64(c.Gone)}}
	case user.CountContent:
		m.Command = &kithv1.Command_CountContent{CountContent: &kithv1.CountContent{Id: c.ID, Streams: c.Streams, Videos: c.Videos}}
	case user.Register, user.AddFollower, user.RemoveFollower:
		// Register has a path of its own, and followers come as effects.
		return nil, fmt.Errorf("usergrain: %T is not sent as a command", c)
	}
	return m, nil
}

// commandsFromProto decodes what commandToProto wrote, at the grain.
func commandsFromProto(id user.ID, m *kithv1.Command, at time.Time) ([]user.Command, error) {
	switch c := m.GetCommand().(type) {
	case *kithv1.Command_Register:
		uid, err := uidFromBytes(c.Register.GetUid())
		if err != nil {
			return nil, fmt.Errorf("decode command: %w", err)
		}
		return one(user.Register{ID: id, UID: uid, Username: c.Register.GetUsername(), Name: c.Register.GetName(), Email: c.Register.GetEmail(), At: at})
	case *kithv1.Command_UpdateProfile:
		up := user.UpdateProfile{Name: c.UpdateProfile.Name, Picture: c.UpdateProfile.Picture, Bio: c.UpdateProfile.Bio, Email: c.UpdateProfile.Email, At: at}
		if c.UpdateProfile.Role != nil {
			role := user.Role(c.UpdateProfile.GetRole())
			up.Role = &role
		}
		return one(up)
	case *kithv1.Command_SetPreferences:
		sp := user.SetPreferences{AdultContent: c.SetPreferences.AdultContent, Language: c.SetPreferences.Language, ResetNotifications: c.SetPreferences.GetResetNotifications(), At: at}
		if c.SetPreferences.GetFavGenres() != nil {
			ids := c.SetPreferences.GetFavGenres().GetIds()
			sp.FavGenres = &ids
		}
		for key, wanted := range c.SetPreferences.GetNotifications() {
			if sp.Notifications == nil {
				sp.Notifications = make(map[string]*bool)
			}
			sp.Notifications[key] = &wanted
		}
		for _, key := range c.SetPreferences.GetRemoveNotifications() {
			if sp.Notifications == nil {
				sp.Notifications = make(map[string]*bool)
			}
			sp.Notifications[key] = nil
		}
		return one(sp)
	case *kithv1.Command_SetPrivacy:
		return one(user.SetPrivacy{Profile: c.SetPrivacy.Profile, WatchHistory: c.SetPrivacy.WatchHistory, Ratings: c.SetPrivacy.Ratings, At: at})
	case *kithv1.Command_Follow:
		return one(user.Follow{Target: user.ID(c.Follow.GetTarget()), At: at})
	case *kithv1.Command_Unfollow:
		return one(user.Unfollow{Target: user.ID(c.Unfollow.GetTarget()), At: at})
	case *kithv1.Command_FollowCrew:
		return one(user.FollowCrew{Crew: c.FollowCrew.GetCrew(), At: at})
	case *kithv1.Command_UnfollowCrew:
		return one(user.UnfollowCrew{Crew: c.UnfollowCrew.GetCrew(), At: at})
	case *kithv1.Command_FollowStudio:
		return one(user.FollowStudio{Studio: c.FollowStudio.GetStudio(), At: at})
	case *kithv1.Command_UnfollowStudio:
		return one(user.UnfollowStudio{Studio: c.UnfollowStudio.GetStudio(), At: at})
	case *kithv1.Command_RecordActivities:
		commands := make([]user.Command, 0, len(c.RecordActivities.GetActivities()))
		for _, a := range c.RecordActivities.GetActivities() {
			commands = append(commands, user.RecordActivity{Activity: activityFromProto(a), At: at})
		}
		return commands, nil
	case *kithv1.Command_DeleteActivity:
		return one(user.DeleteActivity{EventID: c.DeleteActivity.GetEventId(), At: at})
	case *kithv1.Command_Delete:
		return one(user.Delete{At: at})
	case *kithv1.Command_CountContent:
		return one(user.CountContent{ID: c.CountContent.GetId(), Streams: c.CountContent.GetStreams(), Videos: c.CountContent.GetVideos(), At: at})
	case *kithv1.Command_Sever:
		return one(user.Sever{Gone: user.ID(c.Sever.GetGone()), At: at})
	}
	return nil, fmt.Errorf("decode command: unknown command %T", m.GetCommand())
}

func one(c user.Command) ([]user.Command, error) { return []user.Command{c}, nil }

// effectsFromProto decodes the effects of other users' records.
func effectsFromProto(m *kithv1.Effects) ([]user.Command, error) {
	commands := make([]user.Command, 0, len(m.GetEffects()))
	for _, e := range m.GetEffects() {
		if e.GetLane() >= persistence.LaneCount {
			return nil, fmt.Errorf("decode effects: lane %d does not exist", e.GetLane())
		}
		lane := uint8(e.GetLane()) //nolint:gosec // checked above
		if e.GetRemoved() {
			commands = append(commands, user.RemoveFollower{Source: user.ID(e.GetSource()), Lane: lane, Pos: e.GetPos(), At: fromMicro(e.GetAtUs())})
		} else {
			commands = append(commands, user.AddFollower{Source: user.ID(e.GetSource()), Lane: lane, Pos: e.GetPos(), At: fromMicro(e.GetAtUs())})
		}
	}
	return commands, nil
}

func accountToProto(a *user.Account) *kithv1.Account {
	return &kithv1.Account{
		Id: uint64(a.ID), Uid: a.UID[:], Username: a.Username, Name: a.Name, Role: string(a.Role), Picture: a.Picture,
		Followers: a.Followers, Following: a.Following, Streams: a.Streams, Videos: a.Videos, Privacy: privacyToProto(a.Privacy),
		CreatedAtUs: toMicro(a.CreatedAt), UpdatedAtUs: toMicro(a.UpdatedAt), Version: a.Version,
		Email: a.Email, Bio: a.Bio, Preferences: preferencesToProto(a.Preferences), CrewMembers: a.CrewMembers, Studios: a.Studios,
	}
}

func accountFromProto(m *kithv1.Account) (user.Account, error) {
	if m == nil {
		return user.Account{}, nil
	}
	uid, err := uidFromBytes(m.GetUid())
	return user.Account{
		Card: user.Card{
			ID: user.ID(m.GetId()), UID: uid, Username: m.GetUsername(), Name: m.GetName(), Role: user.Role(m.GetRole()), Picture: m.GetPicture(),
			Followers: m.GetFollowers(), Following: m.GetFollowing(), Streams: m.GetStreams(), Videos: m.GetVideos(), Privacy: privacyFromProto(m.GetPrivacy()),
			CreatedAt: fromMicro(m.GetCreatedAtUs()), UpdatedAt: fromMicro(m.GetUpdatedAtUs()), Version: m.GetVersion(),
		},
		Email: m.GetEmail(), Bio: m.GetBio(), Preferences: preferencesFromProto(m.GetPreferences()), CrewMembers: m.GetCrewMembers(), Studios: m.GetStudios(),
	}, err
}
