package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"kith/actors/user"
)

// accountColumns are the columns of users and deleted_users that an Account is
// made of, in the order of accountValues and scanAccount.
const accountColumns = `id, uid, username, name, role, picture, followers, following, streams, videos,
	privacy, created_at, updated_at, version, email, bio, preferences, crew_members, studios`

// The bits of the privacy column.
const (
	privacyProfile = 1 << iota
	privacyWatchHistory
	privacyRatings
)

// settings is the stored form of user.Preferences.
type settings struct {
	FavGenres     []int64         `json:"fav_genres"`
	AdultContent  bool            `json:"adult_content"`
	Notifications map[string]bool `json:"notifications"`
	Language      string          `json:"language"`
}

// encodePreferences returns NULL for the default ones, which most have, and for
// none at all.
func (db *DB) encodePreferences(p user.Preferences) (driver.Value, error) {
	if p.Language == "" && p.Notifications == nil && p.FavGenres == nil || p.Equal(db.defaults) {
		return nil, nil
	}
	b, err := json.Marshal(settings(p))
	if err != nil {
		return nil, fmt.Errorf("encode preferences: %w", err)
	}
	return string(b), nil
}

func decodePreferences(v driver.Value) (user.Preferences, error) {
	if v == nil {
		return user.DefaultPreferences(), nil
	}
	var s settings
	if err := json.Unmarshal([]byte(text(v)), &s); err != nil {
		return user.Preferences{}, fmt.Errorf("decode preferences: %w", err)
	}
	return user.Preferences(s), nil
}

func privacyBits(p user.Privacy) int64 {
	var bits int64
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

// scanAccount reads the row of a query that begins with accountColumns.
func scanAccount(row []driver.Value) (*user.Account, error) {
	a := &user.Account{
		Card: user.Card{
			ID: user.ID(number(row[0])), UID: user.UID(blob(row[1])), Username: text(row[2]), Name: text(row[3]),
			Role: user.Role(text(row[4])), Picture: text(row[5]),
			Followers: integer(row[6]), Following: integer(row[7]), Streams: integer(row[8]), Videos: integer(row[9]),
			Privacy: user.Privacy{
				Profile:      integer(row[10])&privacyProfile != 0,
				WatchHistory: integer(row[10])&privacyWatchHistory != 0,
				Ratings:      integer(row[10])&privacyRatings != 0,
			},
			CreatedAt: moment(row[11]), UpdatedAt: moment(row[12]), Version: number(row[13]),
		},
		Email: text(row[14]), Bio: text(row[15]), CrewMembers: integer(row[17]), Studios: integer(row[18]),
	}
	var err error
	if a.Preferences, err = decodePreferences(row[16]); err != nil {
		return nil, fmt.Errorf("row of user %d: %w", a.ID, err)
	}
	return a, nil
}

const insertUser = `INSERT INTO users (` + accountColumns + `, last_activity_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const insertDeletedUser = `INSERT INTO deleted_users (` + accountColumns + `, deleted_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// insertAccount runs insertUser or insertDeletedUser; last is the column that
// they do not share.
func (db *DB) insertAccount(ctx context.Context, t *tx, sql string, a *user.Account, last driver.Value) error {
	preferences, err := db.encodePreferences(a.Preferences)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, sql, int64(a.ID), a.UID[:], a.Username, a.Name, string(a.Role), a.Picture, //nolint:gosec // ids fit
		a.Followers, a.Following, a.Streams, a.Videos, privacyBits(a.Privacy),
		a.CreatedAt.UnixMicro(), a.UpdatedAt.UnixMicro(), int64(a.Version), //nolint:gosec // versions fit
		a.Email, a.Bio, preferences, a.CrewMembers, a.Studios, last)
	return err
}

// updateUser leaves uid and username alone, which never change and are indexed.
const updateUser = `UPDATE users SET name = ?, role = ?, picture = ?, followers = ?, following = ?, streams = ?, videos = ?,
	privacy = ?, updated_at = ?, version = ?, email = ?, bio = ?, preferences = ?, crew_members = ?, studios = ?,
	last_activity_at = coalesce(?, last_activity_at)
	WHERE id = ? AND version = ?`

// updateAccount writes a if the stored version is the given one, and reports
// whether it was.
func (db *DB) updateAccount(ctx context.Context, t *tx, a *user.Account, version uint64, lastActivity driver.Value) (bool, error) {
	preferences, err := db.encodePreferences(a.Preferences)
	if err != nil {
		return false, err
	}
	n, err := t.exec(ctx, updateUser, a.Name, string(a.Role), a.Picture, a.Followers, a.Following, a.Streams, a.Videos,
		privacyBits(a.Privacy), a.UpdatedAt.UnixMicro(), int64(a.Version), a.Email, a.Bio, preferences, a.CrewMembers, a.Studios, //nolint:gosec // versions fit
		lastActivity, int64(a.ID), int64(version)) //nolint:gosec // ids and versions fit
	return n == 1, err
}
