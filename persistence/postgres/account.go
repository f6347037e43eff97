package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/actors/user"
)

// accountColumns are what an Account is made of, in the order of scanAccount, as
// accountTables has them. Every user has a profile.
const (
	accountColumns = `u.id, u.uid, u.username, u.name, u.role, u.picture, u.followers, u.following, u.streams, u.videos,
	u.privacy, u.created_at, u.updated_at, u.version, p.email, p.bio, p.preferences, u.crew_members, u.studios`
	accountTables = `users u JOIN profiles p ON p.user_id = u.id`
)

// The bits of the privacy column.
const (
	privacyProfile = 1 << iota
	privacyWatchHistory
	privacyRatings
)

// preferences is the stored form of user.Preferences.
type preferences struct {
	FavGenres     []int64         `json:"fav_genres"`
	AdultContent  bool            `json:"adult_content"`
	Notifications map[string]bool `json:"notifications"`
	Language      string          `json:"language"`
}

// encodePreferences returns nil, which is NULL, for the default ones, which most
// have, and for none at all.
func (db *DB) encodePreferences(p *user.Preferences) ([]byte, error) {
	if p.Language == "" && p.Notifications == nil && p.FavGenres == nil || p.Equal(db.defaults) {
		return nil, nil
	}
	b, err := json.Marshal(preferences(*p))
	if err != nil {
		return nil, fmt.Errorf("encode preferences: %w", err)
	}
	return b, nil
}

func decodePreferences(b []byte) (user.Preferences, error) {
	if b == nil {
		return user.DefaultPreferences(), nil
	}
	var p preferences
	if err := json.Unmarshal(b, &p); err != nil {
		return user.Preferences{}, fmt.Errorf("decode preferences: %w", err)
	}
	return user.Preferences(p), nil
}

func privacyBits(p user.Privacy) int16 {
	var bits int16
	if p.Profile {
		bits |= privacyProfile
	}
	if p.WatchHistory {
		bits |= privacyWatchHistory
	}
	if p.Ratings {
		bits |= privacyRatings
	}
	return bits
}

func privacyOf(bits int16) user.Privacy {
	return user.Privacy{
		Profile: bits&privacyProfile != 0, WatchHistory: bits&privacyWatchHistory != 0, Ratings: bits&privacyRatings != 0,
	}
}

// scanAccount reads a row that begins with accountColumns; rest takes the columns
// after them.
func scanAccount(row pgx.Row, rest ...any) (*user.Account, error) {
	a := new(user.Account)
	var (
		privacy          int16
		settings         []byte
		created, updated time.Time
	)
	into := [...]any{
		(*uint64)(&a.ID), (*[16]byte)(&a.UID), &a.Username, &a.Name, (*string)(&a.Role), &a.Picture,
		&a.Followers, &a.Following, &a.Streams, &a.Videos, &privacy, &created, &updated, &a.Version,
		&a.Email, &a.Bio, &settings, &a.CrewMembers, &a.Studios,
	}
	var err error
	if len(rest) == 0 {
		err = row.Scan(into[:]...)
	} else {
		err = row.Scan(append(into[:], rest...)...)
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the operation, which knows its key
	}
	a.Privacy, a.CreatedAt, a.UpdatedAt = privacyOf(privacy), created.UTC(), updated.UTC()
	if a.Preferences, err = decodePreferences(settings); err != nil {
		return nil, fmt.Errorf("row of user %d: %w", a.ID, err)
	}
	return a, nil
}
