package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/wire"
)

const (
	tagProfile = "profile"
	// maxFollowedShown bounds each list of followed things that a profile shows.
	maxFollowedShown = 1000
)

func (s *Server) addProfile() {
	handle(s, route{
		method: http.MethodGet, path: "/users/{username}/profile", id: "get-profile", tag: tagProfile,
		summary: "Get the profile of a user",
		description: "Preferences and privacy are part of your own profile only. " +
			"The lists of followed things are newest first and hold at most 1,000 each; the counts are whole.",
		also:   []int{http.StatusNotModified},
		errors: []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound},
	}, s.getProfile)
	handleBody(s, route{
		method: http.MethodPatch, path: "/users/self/profile", id: "patch-profile", tag: tagProfile,
		summary:     "Change your own profile",
		description: "A merge patch: what is absent stays, null resets to the default. display_name has none.",
		errors:      []int{http.StatusNotFound},
	}, s.patchProfile)
	handleBody(s, route{
		method: http.MethodPatch, path: "/users/self/preferences", id: "patch-preferences", tag: tagProfile,
		summary: "Change your own preferences",
		description: "A merge patch: what is absent stays, null resets to the default: " +
			`[], false, {"email":true,"push":false}, "en". Notification settings are merged key by key; null removes one.`,
		errors: []int{http.StatusNotFound},
	}, s.patchPreferences)
	handleBody(s, route{
		method: http.MethodPatch, path: "/users/self/privacy", id: "patch-privacy", tag: tagProfile,
		summary:     "Change what others may see of you",
		description: "A merge patch: what is absent stays, null resets to the default: true, false, true. It holds from the answer on.",
		errors:      []int{http.StatusNotFound},
	}, s.patchPrivacy)
}

// profileAnswer is {status,profile}.
type profileAnswer struct {
	Status  success `json:"status"`
	Profile profile `json:"profile"`
}

type profileOutput struct{ Body *profileAnswer }

// profile is the user profile of the API.
type profile struct {
	UID         string         `json:"_id" pattern:"^[0-9a-f]{32}$"`
	Username    string         `json:"username"`
	DisplayName string         `json:"display_name" minLength:"1" maxLength:"29"`
	Bio         string         `json:"bio" maxLength:"500"`
	AvatarURL   string         `json:"avatar_url"`
	CreatedAt   time.Time      `json:"created_at"`
	Preferences *preferences   `json:"preferences,omitempty" doc:"Your own profile only"`
	Privacy     *wire.Privacy  `json:"privacy,omitempty" doc:"Your own profile only"`
	Followed    followed       `json:"followed" doc:"Newest first, at most 1,000 each"`
	Counts      followedCounts `json:"followed_counts"`
}

type preferences struct {
	FavGenres     []int64         `json:"fav_genres" nullable:"false" maxItems:"100"`
	AdultContent  bool            `json:"adult_content"`
	Notifications map[string]bool `json:"notification_settings"`
	Language      string          `json:"language" doc:"BCP 47"`
}

type followed struct {
	Crew    []uint64 `json:"crew_members" nullable:"false"`
	Studios []uint64 `json:"studios" nullable:"false"`
	Users   []string `json:"other_users" nullable:"false" doc:"The uid of each"`
}

type followedCounts struct {
	Crew    int64 `json:"crew_members" minimum:"0"`
	Studios int64 `json:"studios" minimum:"0"`
	Users   int64 `json:"other_users" minimum:"0"`
}

func (s *Server) getProfile(ctx context.Context, in *usernameInput) (*taggedOutput[profileAnswer], error) {
	caller, target, err := s.pair(ctx, in.Username, false)
	if err != nil {
		return nil, err
	}
	viewer, err := s.viewer(ctx, caller, target)
	if err != nil {
		return nil, err
	}
	if !user.Visible(user.SectionProfile, viewer, target.Card.Privacy) {
		return nil, errPrivate
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	accounts, err := s.cfg.Directory.Accounts(ctx, []user.ID{target.Card.ID})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read user %d: %w", target.Card.ID, err)
	case len(accounts) != 1 || accounts[0] == nil:
		return nil, errUserNotFound // since the card was read
	}
	p, err := s.profileOf(ctx, accounts[0], viewer)
	if err != nil {
		return nil, err
	}
	return tagged(ctx, &profileAnswer{Profile: *p})
}

// profileOf makes the profile that a viewer who may see it sees.
func (s *Server) profileOf(ctx context.Context, a *user.Account, viewer user.Viewer) (*profile, error) {
	p := &profile{
		UID: a.UID.String(), Username: a.Username, DisplayName: a.Name, Bio: a.Bio, AvatarURL: a.Picture, CreatedAt: a.CreatedAt,
		Counts: followedCounts{Crew: a.CrewMembers, Studios: a.Studios, Users: a.Following},
	}
	if user.Visible(user.SectionSettings, viewer, a.Privacy) {
		p.Preferences = &preferences{
			FavGenres: a.Preferences.FavGenres, AdultContent: a.Preferences.AdultContent,
			Notifications: a.Preferences.Notifications, Language: a.Preferences.Language,
		}
		privacy := wire.NewPrivacy(a.Privacy)
		p.Privacy = &privacy
	}
	var err error
	if p.Followed.Crew, err = s.followedIDs(ctx, persistence.EdgeCrew, a.ID); err != nil {
		return nil, err
	}
	if p.Followed.Studios, err = s.followedIDs(ctx, persistence.EdgeStudios, a.ID); err != nil {
		return nil, err
	}
	others, err := s.followedIDs(ctx, persistence.EdgeFollowing, a.ID)
	if err != nil {
		return nil, err
	}
	ids := make([]user.ID, len(others))
	for i, id := range others {
		ids[i] = user.ID(id)
	}
	cards, err := s.people.all(ctx, ids)
	if err != nil {
		return nil, err
	}
	p.Followed.Users = make([]string, 0, len(cards))
	for _, c := range cards {
		if c != nil { // else deleted since the edges were read
			p.Followed.Users = append(p.Followed.Users, c.Card.UID.String())
		}
	}
	return p, nil
}

// followedIDs returns the newest ids of a list, never nil.
func (s *Server) followedIDs(ctx context.Context, kind persistence.EdgeKind, id user.ID) ([]uint64, error) {
	edges, err := s.cfg.Edges.List(ctx, kind, id, 0, maxFollowedShown)
	if err != nil {
		return nil, fmt.Errorf("list what user %d follows: %w", id, err)
	}
	ids := make([]uint64, len(edges))
	for i, e := range edges {
		ids[i] = e.ID
	}
	return ids, nil
}

// profilePatch is what PATCH changes of a profile.
type profilePatch struct {
	DisplayName patch[string] `json:"display_name,omitzero" minLength:"1" maxLength:"29" nullable:"false"`
	Bio         patch[string] `json:"bio,omitzero" text:"lines" maxLength:"500"`
	AvatarURL   patch[string] `json:"avatar_url,omitzero" doc:"Empty, an http(s) URL, or the path of your own upload" maxLength:"2048"`
}

func (s *Server) patchProfile(ctx context.Context, _ *struct{}, in *profilePatch) (*profileOutput, error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	if in.DisplayName.given && in.DisplayName.value == nil {
		return nil, badBody("display_name", "must not be null")
	}
	c := user.UpdateProfile{At: s.cfg.Now()}
	if err := errors.Join(
		inField("display_name", parseInto(&c.Name, in.DisplayName.value, user.ParseName)),
		parseInto(&c.Bio, in.Bio.or(""), user.ParseBio),
		inField("avatar_url", s.parsePicture(ctx, &c.Picture, in.AvatarURL.or(""), caller.Card.UID)),
	); err != nil {
		return nil, err // the first of them is told
	}
	return s.changeProfile(ctx, caller, c, c.Name == nil && c.Bio == nil && c.Picture == nil)
}

// inField renames the field that a rule is about to what this route calls it.
func inField(field string, err error) error {
	if invalid, ok := errors.AsType[*user.InvalidError](err); ok {
		return &user.InvalidError{Field: field, Message: invalid.Message}
	}
	return err
}

// preferencesPatch is what PATCH changes of preferences.
type preferencesPatch struct {
	FavGenres     patch[[]int64]          `json:"fav_genres,omitzero" doc:"Not negative; duplicates are dropped" maxItems:"100"`
	AdultContent  patch[bool]             `json:"adult_content,omitzero"`
	Notifications patch[map[string]*bool] `json:"notification_settings,omitzero" doc:"At most 50 keys of at most 64 characters"`
	Language      patch[string]           `json:"language,omitzero" doc:"BCP 47" maxLength:"64"`
}

func (s *Server) patchPreferences(ctx context.Context, _ *struct{}, in *preferencesPatch) (*profileOutput, error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	defaults := user.DefaultPreferences()
	c := user.SetPreferences{AdultContent: in.AdultContent.or(defaults.AdultContent), At: s.cfg.Now()}
	if genres := in.FavGenres.or(defaults.FavGenres); genres != nil {
		kept, err := user.ParseGenres(*genres)
		if err != nil {
			return nil, err
		}
		c.FavGenres = &kept
	}
	if n := in.Notifications; n.given && n.value == nil {
		c.ResetNotifications = true
	} else if n.given {
		if err := user.CheckNotifications(*n.value); err != nil {
			return nil, err
		}
		c.Notifications = *n.value
	}
	if err := parseInto(&c.Language, in.Language.or(defaults.Language), user.ParseLanguage); err != nil {
		return nil, err
	}
	return s.changeProfile(ctx, caller, c, c.AdultContent == nil && c.FavGenres == nil && !c.ResetNotifications && len(c.Notifications) == 0 && c.Language == nil)
}

// privacyPatch is what PATCH changes of privacy.
type privacyPatch struct {
	Profile      patch[bool] `json:"profile_public,omitzero"`
	WatchHistory patch[bool] `json:"watch_history_public,omitzero"`
	Ratings      patch[bool] `json:"show_ratings_public,omitzero"`
}

func (s *Server) patchPrivacy(ctx context.Context, _ *struct{}, in *privacyPatch) (*profileOutput, error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	defaults := user.DefaultPrivacy()
	c := user.SetPrivacy{
		Profile: in.Profile.or(defaults.Profile), WatchHistory: in.WatchHistory.or(defaults.WatchHistory),
		Ratings: in.Ratings.or(defaults.Ratings), At: s.cfg.Now(),
	}
	return s.changeProfile(ctx, caller, c, c.Profile == nil && c.WatchHistory == nil && c.Ratings == nil)
}

// changeProfile sends the caller's own change and answers with the profile after
// it. A change of nothing only reads. It may be repeated.
func (s *Server) changeProfile(ctx context.Context, caller *persistence.CachedCard, c user.Command, nothing bool) (*profileOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	id := caller.Card.ID
	var account *user.Account
	if nothing {
		accounts, err := s.cfg.Directory.Accounts(ctx, []user.ID{id})
		switch {
		case err != nil:
			return nil, fmt.Errorf("read user %d: %w", id, err)
		case len(accounts) != 1 || accounts[0] == nil:
			return nil, errUserNotFound
		}
		account = accounts[0]
	} else {
		result, err := s.cfg.Grains.Do(ctx, id, c)
		if err != nil {
			return nil, fmt.Errorf("change the profile of user %d: %w", id, err)
		}
		account = &result.Account
	}
	p, err := s.profileOf(ctx, account, user.ViewerOwner)
	if err != nil {
		return nil, err
	}
	return &profileOutput{Body: &profileAnswer{Profile: *p}}, nil
}
