package user

import "time"

// Command is a request that may be refused. Commands are imperative: Follow.
// Input was validated (validate.go) before it became a command. At is supplied
// by the shell: the core has no clock, and the shell never lets time run
// backwards within one journal.
//
//sumtype:decl
type Command interface{ command() }

// Register makes the account. The shell has claimed Username and Email for ID.
type Register struct {
	ID       ID
	UID      UID
	Username string
	Name     string
	Email    string // "" for none
	At       time.Time
}

// UpdateProfile changes the fields that are not nil. Nothing to change is
// satisfied and records nothing, UpdatedAt stays.
type UpdateProfile struct {
	Name    *string
	Picture *string
	Role    *Role
	Bio     *string
	Email   *string // claimed by the shell; "" removes it
	At      time.Time
}

// SetPreferences replaces the preferences.
type SetPreferences struct {
	FavGenres     *[]int64
	AdultContent  *bool
	Notifications map[string]*bool // merged key by key; nil removes the key
	// ResetNotifications starts the merge from the default.
	ResetNotifications bool
	Language           *string
	At                 time.Time
}

// SetPrivacy changes the flags that are not nil.
type SetPrivacy struct {
	Profile      *bool
	WatchHistory *bool
	Ratings      *bool
	At           time.Time
}

// Follow starts following Target, a user who exists as far as the caller knows.
type Follow struct {
	Target ID
	At     time.Time
}

// Unfollow stops following Target.
type Unfollow struct {
	Target ID
	At     time.Time
}

// FollowCrew starts following a crew member.
type FollowCrew struct {
	Crew int64
	At   time.Time
}

// UnfollowCrew stops following a crew member.
type UnfollowCrew struct {
	Crew int64
	At   time.Time
}

// FollowStudio starts following a studio.
type FollowStudio struct {
	Studio int64
	At     time.Time
}

// UnfollowStudio stops following a studio.
type UnfollowStudio struct {
	Studio int64
	At     time.Time
}

// RecordActivity records a behaviour event. Refused with ErrAlreadyRecorded or
// ErrEventDeleted when the id is known.
type RecordActivity struct {
	Activity Activity
	At       time.Time
}

// DeleteActivity deletes a behaviour event.
type DeleteActivity struct {
	EventID string
	At      time.Time
}

// Delete ends the account for ever.
type Delete struct {
	At time.Time
}

// AddFollower is the effect of another user's Followed, found in lane Lane at
// position Pos. Positions that were passed already are satisfied.
type AddFollower struct {
	Source ID
	Lane   uint8
	Pos    uint64
	At     time.Time // when the other user followed
}

// RemoveFollower is the effect of another user's Unfollowed.
type RemoveFollower struct {
	Source ID
	Lane   uint8
	Pos    uint64
	At     time.Time
}

// Sever drops every edge to and from Gone, a user who was deleted. Ids never
// return, so it is exact without a position.
type Sever struct {
	Gone ID
	At   time.Time
}

// CountContent is what content services report: Streams and Videos more, or less
// when negative. An ID that was counted is satisfied.
type CountContent struct {
	ID      string
	Streams int64
	Videos  int64
	At      time.Time
}

func (Register) command()       {}
func (UpdateProfile) command()  {}
func (SetPreferences) command() {}
func (SetPrivacy) command()     {}
func (Follow) command()         {}
func (Unfollow) command()       {}
func (FollowCrew) command()     {}
func (UnfollowCrew) command()   {}
func (FollowStudio) command()   {}
func (UnfollowStudio) command() {}
func (RecordActivity) command() {}
func (DeleteActivity) command() {}
func (Delete) command()         {}
func (AddFollower) command()    {}
func (RemoveFollower) command() {}
func (Sever) command()          {}
func (CountContent) command()   {}
