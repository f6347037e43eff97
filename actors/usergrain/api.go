package usergrain

import (
	"time"

	"kith/actors/user"
)

// Registration is what a new user brings. All fields were validated.
type Registration struct {
	Username     string
	Name         string
	Email        string // "" for none
	PasswordHash string // "" for none
	Identity     string // of an outside provider, issuer and subject; "" for none
}

// Result is what a command did.
type Result struct {
	// Changed is false when the command was already satisfied.
	Changed bool
	// Account is the committed account after the command; zero when the user is
	// deleted.
	Account user.Account
}

// Effect is that Source began (or, with Removed, stopped) following the user to
// whom it is delivered, as the record at position Pos of Lane says.
type Effect struct {
	Source  user.ID
	Lane    uint8
	Pos     uint64
	At      time.Time // when Source did so
	Removed bool
}
