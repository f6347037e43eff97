package user

import (
	"maps"
	"slices"
)

// Privacy says what of a user others may see. See Visible.
type Privacy struct {
	Profile      bool // the profile is public
	WatchHistory bool // views and watchlist changes are public
	Ratings      bool // ratings and reviews are public
}

// DefaultPrivacy is the privacy of a new account.
func DefaultPrivacy() Privacy { return Privacy{Profile: true, WatchHistory: false, Ratings: true} }

// Preferences are a user's own settings; nobody else sees them.
type Preferences struct {
	FavGenres     []int64         // no duplicates, in the order given
	AdultContent  bool            //
	Notifications map[string]bool // channel -> wanted
	Language      string          // BCP 47
}

// DefaultPreferences are the preferences of a new account.
func DefaultPreferences() Preferences {
	return Preferences{
		FavGenres:     []int64{},
		Notifications: map[string]bool{"email": true, "push": false},
		Language:      "en",
	}
}

// Equal reports whether p and q say the same.
func (p Preferences) Equal(q Preferences) bool {
	return slices.Equal(p.FavGenres, q.FavGenres) &&
		p.AdultContent == q.AdultContent &&
		maps.Equal(p.Notifications, q.Notifications) &&
		p.Language == q.Language
}
