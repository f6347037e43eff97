package user

import "time"

// Role is what a user may do in the system.
type Role string

// The roles. Users choose between RoleUser and RoleCreator themselves;
// RoleAdmin is given by an operator.
const (
	RoleUser    Role = "user"
	RoleCreator Role = "creator"
	RoleAdmin   Role = "admin"
)

// Card is what a list or a lookup shows of a user, with what a reader needs to
// know to show it: the version and the privacy. It holds nothing that only the
// owner may see. A Card is never changed once it is handed out.
type Card struct {
	ID        ID
	UID       UID
	Username  string
	Name      string
	Role      Role
	Picture   string // "", an http(s) URL, or a path of the upload route
	Followers int64
	Following int64
	Streams   int64
	Videos    int64
	Privacy   Privacy
	CreatedAt time.Time // UTC, microseconds
	UpdatedAt time.Time // UTC, microseconds; moves with the user's own changes
	Version   uint64    // journal length when this was true
}

// Account is the whole row of a user: the card and what only the owner, or a
// profile page, is shown.
type Account struct {
	Card
	Email       string // "" when none
	Bio         string
	Preferences Preferences
	CrewMembers int64 // followed crew members
	Studios     int64 // followed studios
}
